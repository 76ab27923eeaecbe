// The bare counterparts of the platform's benchmarks: what NATS costs without an engine, with the
// same client library. Prints one JSON object.
//
//   bench_nats_peer ack URL DELIVER_SUBJECT QUEUE COUNT
//     acknowledges COUNT deliveries of a push consumer, each at once.

#include <nats/nats.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

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
  check(natsConnection_QueueSubscribe(&subscription, connection, subject, queue, acknowledge,
                                      &done),
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

}  // namespace

int main(int argc, char** argv) {
  const auto is = [&](const char* verb, int count) {
    return argc == count && std::strcmp(argv[1], verb) == 0;
  };
  if (is("ack", 6)) return ack(argv[2], argv[3], argv[4], std::strtoul(argv[5], nullptr, 10));
  std::fprintf(stderr, "usage: bench_nats_peer ack URL DELIVER_SUBJECT QUEUE COUNT\n");
  return 2;
}
