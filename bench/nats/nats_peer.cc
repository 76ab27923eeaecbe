// The bare counterparts of the platform's benchmarks: what NATS costs without an engine, with the
// same client library. Prints one JSON object.
//
//   bench_nats_peer ack URL DELIVER_SUBJECT QUEUE COUNT
//     acknowledges COUNT deliveries of a push consumer, each at once.
//   bench_nats_peer follow URL SUBJECT COUNT RATE DELIVER_SUBJECT...
//     publishes COUNT proposals (RATE a second; 0: one at a time; -1: as fast as it goes) and tells
//     how long after each publish a message with its id came on each deliver subject.
//   bench_nats_peer kv URL put|get CONNECTIONS SECONDS VALUE_BYTES
//     JetStream KV in the bucket "bench", a connection and a thread each.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <nats/nats.h>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const std::string& what, natsStatus status) {
  std::fprintf(stderr, "bench_nats_peer: %s: %s\n", what.c_str(), natsStatus_GetText(status));
  std::exit(1);
}

void check(natsStatus status, const char* what) {
  if (status != NATS_OK) die(what, status);
}

struct Options {
  natsOptions* raw = nullptr;
  explicit Options(const char* url) {
    check(natsOptions_Create(&raw), "options");
    check(natsOptions_SetURL(raw, url), "URL");
    check(natsOptions_SetMaxPendingMsgs(raw, 1'000'000), "limits");
  }
  ~Options() { natsOptions_Destroy(raw); }
};

// A gate that `count` events open.
class Gate {
 public:
  explicit Gate(std::size_t count) : left_(count) {}
  void pass() {
    const std::lock_guard lock(mutex_);
    if (left_ > 0 && --left_ == 0) open_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    open_.wait(lock, [this] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable open_;
  std::size_t left_;
};

void acknowledge(natsConnection* connection, natsSubscription*, natsMsg* message, void* closure) {
  check(natsConnection_PublishString(connection, natsMsg_GetReply(message), "+ACK"), "ack");
  natsMsg_Destroy(message);
  static_cast<Gate*>(closure)->pass();
}

int ack(const char* url, const char* subject, const char* queue, std::size_t count) {
  const Options options(url);
  natsConnection* connection = nullptr;
  natsSubscription* subscription = nullptr;
  Gate done(count);
  check(natsConnection_Connect(&connection, options.raw), "connect");
  check(
      natsConnection_QueueSubscribe(&subscription, connection, subject, queue, acknowledge, &done),
      "subscribe");
  check(natsSubscription_SetPendingLimits(subscription, -1, -1), "limits");
  const auto begin = Clock::now();
  done.wait();
  check(natsConnection_Flush(connection), "flush");
  const std::chrono::duration<double> took = Clock::now() - begin;
  std::printf("{\"acked\": %zu, \"seconds\": %.6f}\n", count, took.count());
  natsConnection_Close(connection);
  natsSubscription_Destroy(subscription);
  natsConnection_Destroy(connection);
  return 0;
}

// ---- Publish, and see what comes of it --------------------------------------------------------

// What one deliver subject has shown so far: when each numbered message came.
struct Sightings {
  explicit Sightings(std::size_t most) : at(most), seen(most, false) {}

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Clock::time_point> at;
  std::vector<bool> seen;
  std::size_t count = 0;
};

// Ids are "lat-", a number and what no other run has; they stand in the body of all that a proposal
// causes.
void see(natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
  const auto now = Clock::now();
  const std::string_view body(natsMsg_GetData(message),
                              static_cast<std::size_t>(natsMsg_GetDataLength(message)));
  auto& sightings = *static_cast<Sightings*>(closure);
  if (const auto place = body.find("\"lat-"); place != std::string_view::npos) {
    const std::size_t number = std::strtoul(body.data() + place + 5, nullptr, 10);
    const std::lock_guard lock(sightings.mutex);
    if (number < sightings.at.size() && !sightings.seen[number]) {
      sightings.seen[number] = true;
      sightings.at[number] = now;
      ++sightings.count;
      sightings.changed.notify_all();
    }
  }
  natsMsg_Destroy(message);
}

double percentile(const std::vector<double>& sorted, double share) {
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(std::lround(last * share))];
}

std::string proposal_of(std::size_t number) {
  static const std::string kRun = std::to_string(Clock::now().time_since_epoch().count());
  return "{\"id\":\"lat-" + std::to_string(number) + "-" + kRun +
         "\",\"op\":\"set\",\"key\":\"bench.k" + std::to_string(number % 100) +
         "\",\"value\":{\"n\":" + std::to_string(number) +
         ",\"text\":\"a fact\"},\"actor\":\"bench\",\"reason\":\"benchmark\"}";
}

void report(const std::vector<Clock::time_point>& sent, const Sightings& sightings, bool first) {
  std::vector<double> us;
  for (std::size_t i = 0; i < sent.size(); ++i) {
    us.push_back(std::chrono::duration<double, std::micro>(sightings.at[i] - sent[i]).count());
  }
  std::sort(us.begin(), us.end());
  std::printf("%s{\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f}", first ? "" : ", ",
              percentile(us, 0.5), percentile(us, 0.99), percentile(us, 0.999));
}

// `rate` a second; 0 = each after the one before was seen everywhere; below = as fast as possible.
int follow(const char* url, const char* subject, std::size_t count, double rate,
           const std::vector<const char*>& deliver) {
  const Options options(url);
  // Each publish at once: the library would wait a millisecond for more.
  if (rate >= 0) check(natsOptions_SetSendAsap(options.raw, true), "asap");
  natsConnection* connection = nullptr;
  check(natsConnection_Connect(&connection, options.raw), "connect");
  std::vector<std::unique_ptr<Sightings>> all;
  for (const char* name : deliver) {
    all.push_back(std::make_unique<Sightings>(count));
    natsSubscription* subscription = nullptr;
    check(natsConnection_Subscribe(&subscription, connection, name, see, all.back().get()),
          "subscribe");
    check(natsSubscription_SetPendingLimits(subscription, -1, -1), "limits");
  }
  check(natsConnection_Flush(connection), "flush");
  const auto wait_for = [&](std::size_t seen) {
    for (const auto& sightings : all) {
      std::unique_lock lock(sightings->mutex);
      const bool there = sightings->changed.wait_for(lock, std::chrono::seconds(60),
                                                     [&] { return sightings->count >= seen; });
      if (!there) die("not everything came", NATS_TIMEOUT);
    }
  };
  std::vector<Clock::time_point> sent(count);
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    if (rate > 0) {
      const std::chrono::duration<double> due(static_cast<double>(i) / rate);
      std::this_thread::sleep_until(begin + std::chrono::duration_cast<Clock::duration>(due));
    }
    const std::string body = proposal_of(i);
    sent[i] = Clock::now();
    check(natsConnection_PublishString(connection, subject, body.c_str()), "publish");
    if (rate == 0) wait_for(i + 1);
  }
  wait_for(count);
  const std::chrono::duration<double> took = Clock::now() - begin;
  std::printf("{\"seconds\": %.6f, \"seen\": [", took.count());
  for (std::size_t i = 0; i < all.size(); ++i) report(sent, *all[i], i == 0);
  std::printf("]}\n");
  std::fflush(stdout);
  std::_Exit(0);  // callbacks may still run; there is nothing to clean up
}

// ---- JetStream KV -----------------------------------------------------------------------------

// One connection that puts or gets, one call after the other.
void use_kv(const char* url, bool puts, std::size_t number, const std::string& value,
            Clock::time_point until, std::vector<double>& us) {
  const Options options(url);
  check(natsOptions_SetSendAsap(options.raw, true), "asap");
  natsConnection* connection = nullptr;
  jsCtx* context = nullptr;
  kvStore* store = nullptr;
  check(natsConnection_Connect(&connection, options.raw), "connect");
  check(natsConnection_JetStream(&context, connection, nullptr), "JetStream");
  check(js_KeyValue(&store, context, "bench"), "bucket");
  for (std::size_t i = number * 7919; Clock::now() < until; ++i) {
    const std::string key = "k" + std::to_string(i % 1000);
    const auto begin = Clock::now();
    if (puts) {
      check(kvStore_PutString(nullptr, store, key.c_str(), value.c_str()), "put");
    } else {
      kvEntry* entry = nullptr;
      check(kvStore_Get(&entry, store, key.c_str()), "get");
      kvEntry_Destroy(entry);
    }
    us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  kvStore_Destroy(store);
  jsCtx_Destroy(context);
  natsConnection_Destroy(connection);
}

int kv(const char* url, const char* verb, std::size_t connections, double seconds,
       std::size_t value_bytes) {
  const bool puts = std::strcmp(verb, "put") == 0;
  const std::string value(value_bytes, 'x');
  const auto begin = Clock::now();
  const std::chrono::duration<double> time(seconds);
  const auto until = begin + std::chrono::duration_cast<Clock::duration>(time);
  std::vector<std::vector<double>> each(connections);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < connections; ++i) {
    threads.emplace_back([&, i] { use_kv(url, puts, i, value, until, each[i]); });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> took = Clock::now() - begin;
  std::vector<double> us;
  for (const auto& some : each) us.insert(us.end(), some.begin(), some.end());
  std::sort(us.begin(), us.end());
  if (us.empty()) die("no call was done", NATS_TIMEOUT);
  std::printf("{\"calls_per_s\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"calls\": %zu}\n",
              static_cast<double>(us.size()) / took.count(), percentile(us, 0.5),
              percentile(us, 0.99), us.size());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto is = [&](const char* verb, int count) {
    return argc >= count && std::strcmp(argv[1], verb) == 0;
  };
  const auto number = [&](int i) { return std::strtoul(argv[i], nullptr, 10); };
  if (is("ack", 6)) return ack(argv[2], argv[3], argv[4], number(5));
  if (is("follow", 7)) {
    return follow(argv[2], argv[3], number(4), std::strtod(argv[5], nullptr),
                  {argv + 6, argv + argc});
  }
  if (is("kv", 7)) return kv(argv[2], argv[3], number(4), std::strtod(argv[5], nullptr), number(6));
  std::fprintf(stderr, "usage: see the top of nats_peer.cc\n");
  return 2;
}
