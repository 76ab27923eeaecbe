// A publish is a request whose answer is the PubAck. No stream, no answer and an error answer are
// told apart in the log and are all the same to the caller: not published for sure, try again.

#include "bus/nats/nats_bus.h"

#include <atomic>
#include <set>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "bus/nats/consumer.h"
#include "bus/nats/nats_core.h"
#include "net/task_group.h"

namespace state_engine {
namespace {

using nats::Consumer;
using nats::Inbound;
using nats::JetStream;
using nats::Listener;
using nats::NatsCore;
using nats::StreamSpec;

constexpr std::chrono::milliseconds kCloseMost{5000};
constexpr std::string_view kTooLarge =
    R"({"error":{"code":"too_large","message":"the answer is larger than this NATS server takes; )"
    R"(ask for less"}})";
constexpr std::chrono::milliseconds kStreamsRetry{2000};
constexpr std::chrono::milliseconds kDeletedPause{2000};

template <typename T>
using Awaitable = boost::asio::awaitable<T>;

class ListenerSubscription final : public Bus::Subscription {
 public:
  ListenerSubscription(std::shared_ptr<NatsCore> core, std::shared_ptr<Listener> listener)
      : core_(std::move(core)), listener_(std::move(listener)) {}
  ~ListenerSubscription() override { core_->remove_listener(listener_); }

 private:
  std::shared_ptr<NatsCore> core_;
  std::shared_ptr<Listener> listener_;
};

class ConsumerSubscription final : public Bus::Subscription {
 public:
  explicit ConsumerSubscription(std::shared_ptr<Consumer> consumer)
      : consumer_(std::move(consumer)) {}
  ~ConsumerSubscription() override { consumer_->end(); }

 private:
  std::shared_ptr<Consumer> consumer_;
};

// What a stream answers to a publish.
struct PubAck {
  bool stored = false;
  std::string error;
};

PubAck read_pub_ack(const Inbound& answer) {
  if (answer.status == "503") return {false, "no stream takes this subject"};
  const auto value = json::parse(answer.body, json::trusted_limits());
  if (!value.ok() || !value->is_object()) return {false, "the answer is no PubAck"};
  const json::Object& object = value->get_object();
  if (const json::Value* error = json::find(object, "error")) return {false, json::write(*error)};
  return {json::find(object, "stream") != nullptr, "the answer is no PubAck"};
}

// Something that may come from outside and goes into a header line.
std::string header_value(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

}  // namespace

struct NatsBus::Impl : std::enable_shared_from_this<NatsBus::Impl> {
  Impl(NatsOptions options, boost::asio::any_io_executor any, Log& log, NatsObserver& observer)
      : executor(std::move(any)),
        core(std::make_shared<NatsCore>(std::move(options), log, observer)),
        tasks("nats", log),
        strand(boost::asio::make_strand(executor)),
        streams_wanted(strand),
        jet_stream([shared = core](std::string subject, std::string body) {
          return shared->request(std::move(subject), std::move(body));
        }) {}

  NatsCore::Outgoing outgoing(BusMessage message) const;
  PublishOutcome outcome_of(const std::string& subject, const Result<Inbound>& answer);

  Awaitable<void> keep_streams();
  Awaitable<bool> make_streams();
  Awaitable<Status> make_stream(const StreamSpec& spec);

  boost::asio::any_io_executor executor;
  std::shared_ptr<NatsCore> core;
  net::TaskGroup tasks;
  boost::asio::any_io_executor strand;
  net::WakeSignal streams_wanted;
  JetStream jet_stream;
  std::atomic<bool> stopping{false};
  std::mutex consumers_mutex;
  std::vector<std::weak_ptr<Consumer>> consumers;
  std::mutex complaint_mutex;
  std::string last_complaint;
  std::string stream_complaint;  // the strand's, as the next
  std::set<std::string> seen;    // subjects that a stream took when last looked at
};

NatsBus::NatsBus(NatsOptions options, boost::asio::any_io_executor executor, Log& log,
                 NatsObserver& observer)
    : impl_(std::make_shared<Impl>(std::move(options), std::move(executor), log, observer)) {}

NatsBus::~NatsBus() {
  impl_->stopping = true;
  impl_->core->stop();
}

Status NatsBus::start(std::chrono::milliseconds patience) {
  SE_RETURN_IF_ERROR(impl_->core->start());
  impl_->core->watch_link(impl_->core->new_id(), impl_->streams_wanted);
  impl_->tasks.spawn(impl_->strand, [impl = impl_] { return impl->keep_streams(); });
  static_cast<void>(impl_->core->wait_until_up(patience));
  return {};
}

bool NatsBus::connected() const { return impl_->core->link() != nullptr; }

const std::string& NatsBus::prefix() const { return impl_->core->options().prefix; }

// ---- Streams ---------------------------------------------------------------------------------

// Looks after the streams when a link comes and when somebody misses one.
Awaitable<void> NatsBus::Impl::keep_streams() {
  while (!stopping) {
    co_await streams_wanted.wait();
    if (stopping) break;
    if (core->link() == nullptr) continue;
    const bool made = co_await make_streams();
    if (made) continue;
    co_await streams_wanted.wait(kStreamsRetry);
    streams_wanted.notify();
  }
}

Awaitable<bool> NatsBus::Impl::make_streams() {
  if (!core->options().create_streams) co_return true;
  for (const StreamSpec& spec : nats::stream_plan(core->options().prefix)) {
    const Status made = co_await make_stream(spec);
    if (made.ok()) continue;
    if (core->link() == nullptr || stopping) co_return true;  // the next link brings us here again
    if (std::exchange(stream_complaint, made.error().message) != made.error().message) {
      core->tell([&](Log& log, NatsObserver&) {
        log.warn("a stream is missing and cannot be made",
                 {{"subject", spec.needed}, {"error", made.error().message}});
      });
    }
    co_return false;
  }
  stream_complaint.clear();
  co_return true;
}

Awaitable<Status> NatsBus::Impl::make_stream(const StreamSpec& spec) {
  auto stream = co_await jet_stream.stream_of(spec.needed);
  if (!stream.ok()) co_return stream.error();
  if (*stream) {
    seen.insert(spec.needed);
    co_return Status();
  }
  if (seen.erase(spec.needed) > 0) {
    // Just deleted: 2.9 still removes its files, and would remove those of a new one with them.
    const net::WakeSignal pause(strand);
    co_await pause.wait(kDeletedPause);
  }
  StreamSpec wanted = spec;
  Status made = co_await jet_stream.create_stream(wanted);
  if (!made.ok() && made.error().code == ErrorCode::kConflict) {
    // The name belongs to a stream of other subjects, or another stream took a part of ours.
    auto now = co_await jet_stream.stream_of(spec.needed);
    if (now.ok() && *now) co_return Status();
    wanted.name = nats::durable_name(spec.needed, "stream");
    wanted.subject = spec.needed;
    made = co_await jet_stream.create_stream(wanted);
  }
  if (made.ok()) {
    core->tell([&](Log& log, NatsObserver&) {
      log.info("stream made", {{"stream", wanted.name}, {"subject", wanted.subject}});
    });
  }
  co_return made;
}

boost::asio::awaitable<void> NatsBus::make_streams() {
  auto task = [impl = impl_]() -> Awaitable<void> {
    static_cast<void>(co_await impl->make_streams());
  };
  co_await boost::asio::co_spawn(impl_->strand, std::move(task), boost::asio::use_awaitable);
}

boost::asio::awaitable<Result<std::optional<std::string>>> NatsBus::stream_of(std::string subject) {
  return impl_->jet_stream.stream_of(std::move(subject));
}

// ---- Publishing ------------------------------------------------------------------------------

NatsCore::Outgoing NatsBus::Impl::outgoing(BusMessage message) const {
  NatsCore::Outgoing out;
  out.subject = core->options().prefix + message.subject;
  out.body = std::move(message.body);
  out.headers.reserve(message.headers.size() + 1);
  for (auto& [name, value] : message.headers) {
    out.headers.emplace_back(std::move(name), header_value(std::move(value)));
  }
  if (!message.message_id.empty()) {
    out.headers.emplace_back("Nats-Msg-Id", header_value(std::move(message.message_id)));
  }
  return out;
}

PublishOutcome NatsBus::Impl::outcome_of(const std::string& subject,
                                         const Result<Inbound>& answer) {
  std::string fault;
  if (answer.ok()) {
    PubAck ack = read_pub_ack(*answer);
    if (ack.stored) return PublishOutcome::kPublished;
    fault = std::move(ack.error);
    streams_wanted.notify();
  } else {
    fault = answer.error().message;
  }
  const bool refused = !answer.ok() && answer.error().code == ErrorCode::kResourceExhausted;
  const bool away = !answer.ok() && answer.error().code == ErrorCode::kUnavailable;
  bool news = false;
  {
    const std::lock_guard lock(complaint_mutex);
    news = std::exchange(last_complaint, fault) != fault;
  }
  core->tell([&](Log& log, NatsObserver& observer) {
    if (!away) observer.on_publish_error();
    if (refused) {
      log.error("a message can never be published", {{"subject", subject}, {"error", fault}});
    } else if (news && !away) {
      log.warn("not published, will be tried again", {{"subject", subject}, {"error", fault}});
    }
  });
  return refused ? PublishOutcome::kRefused : PublishOutcome::kRetry;
}

boost::asio::awaitable<PublishOutcome> NatsBus::publish(BusMessage message) {
  std::vector<BusMessage> one;
  one.push_back(std::move(message));
  const auto outcomes = co_await publish_all(std::move(one));
  co_return outcomes.front();
}

boost::asio::awaitable<std::vector<PublishOutcome>> NatsBus::publish_all(
    std::vector<BusMessage> messages) {
  const auto impl = impl_;
  std::vector<std::string> subjects;
  std::vector<NatsCore::Outgoing> sent;
  subjects.reserve(messages.size());
  sent.reserve(messages.size());
  for (BusMessage& message : messages) {
    subjects.push_back(message.subject);
    sent.push_back(impl->outgoing(std::move(message)));
  }
  const auto answers = co_await impl->core->request_all(std::move(sent));
  std::vector<PublishOutcome> out;
  out.reserve(answers.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    out.push_back(impl->outcome_of(subjects[i], answers[i]));
  }
  co_return out;
}

// ---- Receiving -------------------------------------------------------------------------------

std::unique_ptr<Bus::Subscription> NatsBus::subscribe(std::string subject, Handler handler) {
  auto listener = std::make_shared<Listener>();
  const std::string& own = impl_->core->options().prefix;
  listener->subject = own + subject;
  listener->handler = [own, handler = std::move(handler)](Inbound inbound) {
    BusMessage message;
    message.subject = inbound.subject.substr(std::min(own.size(), inbound.subject.size()));
    message.body = std::move(inbound.body);
    message.headers = std::move(inbound.headers);
    message.message_id = message.header("Nats-Msg-Id");
    handler(message);
  };
  impl_->core->add_listener(listener);
  return std::make_unique<ListenerSubscription>(impl_->core, std::move(listener));
}

std::unique_ptr<Bus::Subscription> NatsBus::answer(std::string subject, std::string queue,
                                                   RequestHandler handler) {
  auto listener = std::make_shared<Listener>();
  listener->subject = std::move(subject);
  listener->queue = std::move(queue);
  listener->handler = [core = std::weak_ptr(impl_->core),
                       handler = std::move(handler)](Inbound inbound) {
    if (inbound.reply.empty()) return;  // Nobody wants the answer.
    Responder respond = [core, reply = std::move(inbound.reply)](const std::string& body) {
      const auto alive = core.lock();
      const auto link = alive != nullptr ? alive->link() : nullptr;
      if (link == nullptr) return;  // The caller is gone too.
      const bool fits = body.size() <= link->payload_max();
      static_cast<void>(link->publish(reply, "", fits ? std::string_view(body) : kTooLarge));
      link->send_now();
    };
    BusMessage request;
    request.subject = std::move(inbound.subject);
    request.body = std::move(inbound.body);
    request.headers = std::move(inbound.headers);
    handler(std::move(request), std::move(respond));
  };
  impl_->core->add_listener(listener);
  return std::make_unique<ListenerSubscription>(impl_->core, std::move(listener));
}

std::unique_ptr<Bus::Subscription> NatsBus::consume(ConsumeOptions options,
                                                    ConsumeHandler handler) {
  const boost::asio::any_io_executor strand = boost::asio::make_strand(impl_->executor);
  auto consumer =
      std::make_shared<Consumer>(impl_->core, strand, std::move(options), std::move(handler),
                                 [wanted = impl_->streams_wanted] { wanted.notify(); });
  impl_->tasks.spawn(strand, [consumer] { return consumer->run(); });
  {
    const std::lock_guard lock(impl_->consumers_mutex);
    impl_->consumers.push_back(consumer);
  }
  return std::make_unique<ConsumerSubscription>(std::move(consumer));
}

boost::asio::awaitable<void> NatsBus::close() {
  const auto impl = impl_;
  impl->stopping = true;
  impl->streams_wanted.notify();
  {
    const std::lock_guard lock(impl->consumers_mutex);
    for (const auto& weak : impl->consumers) {
      if (const auto consumer = weak.lock()) consumer->end();
    }
  }
  static_cast<void>(co_await impl->tasks.wait(kCloseMost));
  impl->core->stop();
}

}  // namespace state_engine
