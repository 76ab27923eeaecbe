// The bus must not wait, and a model takes its time: a queue and one thread between them. One
// thread, so that the answers of a conversation come in the order of its questions.

#include "integrations/llm/chat_desk.h"

#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include "base/hex.h"
#include "integrations/llm/chat_event.h"

namespace state_engine::llm {
namespace {

constexpr std::size_t kSeenMax = 2'000;
constexpr int kPublishTriesMax = 5;
constexpr std::chrono::milliseconds kPublishPause{200};
constexpr std::chrono::milliseconds kOverflowPause{2'000};

}  // namespace

ChatDesk::ChatDesk(ChatDeskSettings settings, ChatDeskParts parts)
    : settings_(std::move(settings)), parts_(std::move(parts)) {}

ChatDesk::~ChatDesk() { stop(); }

void ChatDesk::start() {
  SE_ASSERT(!worker_.joinable());
  worker_ = std::thread([this] { work(); });
  ConsumeOptions options;
  options.subject = kChatSubject;
  options.queue = settings_.queue;
  options.from_now = true;
  options.age_max = std::chrono::ceil<std::chrono::seconds>(settings_.age_max);
  ConsumeHandler handler;
  handler.on_message = [this](BusDelivery delivery) { take(std::move(delivery)); };
  handler.on_reset = [this] { forget_waiting(); };
  subscription_ = parts_.bus.consume(std::move(options), std::move(handler));
}

void ChatDesk::stop() {
  subscription_.reset();
  parts_.stop.stop();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (worker_.joinable()) worker_.join();
}

void ChatDesk::take(BusDelivery delivery) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;  // not settled: it comes again, to whoever runs then
    if (waiting_.size() < settings_.waiting_max) {
      waiting_.push_back(std::move(delivery));
      wake_.notify_all();
      return;
    }
  }
  parts_.observer.on_message("overflow", std::chrono::nanoseconds{0});
  parts_.log.warn("too many chat messages wait for an answer; one goes back to the bus",
                  {{"waiting", settings_.waiting_max}});
  delivery.later(kOverflowPause);
}

void ChatDesk::forget_waiting() {
  const std::lock_guard lock(mutex_);
  waiting_.clear();
}

void ChatDesk::work() {
  while (true) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    const BusDelivery delivery = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    if (answer(delivery.message)) delivery.done();
  }
}

bool ChatDesk::is_new(const std::string& id) {
  if (!seen_.insert(id).second) return false;
  seen_order_.push_back(id);
  if (seen_order_.size() > kSeenMax) {
    seen_.erase(seen_order_.front());
    seen_order_.pop_front();
  }
  return true;
}

bool ChatDesk::answer(const BusMessage& message) {
  const auto event = read_chat_event(message);
  if (!event.ok()) {
    parts_.observer.on_message("malformed", std::chrono::nanoseconds{0});
    parts_.log.warn("a chat message cannot be read",
                    {{"error", event.error().message}, {"messageId", message.message_id}});
    return true;
  }
  const Timestamp now = parts_.clock.wall_now();
  if (event->sent_at && now - *event->sent_at > settings_.age_max) {
    parts_.observer.on_message("stale", std::chrono::nanoseconds{0});
    parts_.log.info("a chat message is too old to answer",
                    {{"correlationId", event->chat.correlation_id}});
    return true;
  }
  if (!is_new(sha256_hex(event->chat.platform + "\n" + event->chat.id))) {
    parts_.observer.on_message("duplicate", std::chrono::nanoseconds{0});
    return true;
  }
  const std::string text = parts_.bot.answer(event->chat);
  // Half an answer is none: the message comes again to whoever runs next, and what was done for it
  // is not done again.
  if (parts_.stop.stopped()) return false;
  publish(answer_message(*event, parts_.bot.settings().name, text, parts_.clock.wall_now()));
  return true;
}

// The id of the message is stable, so that sending it twice does no harm.
void ChatDesk::publish(const BusMessage& message) {
  for (int attempt = 1; attempt <= kPublishTriesMax; ++attempt) {
    auto outcome = boost::asio::co_spawn(parts_.executor, parts_.bus.publish(message),
                                         boost::asio::use_future);
    const PublishOutcome end = outcome.get();
    if (end == PublishOutcome::kRefused) break;
    if (end != PublishOutcome::kRetry) return;
    if (!parts_.stop.sleep(kPublishPause * attempt)) break;
  }
  parts_.observer.on_lost_answer();
  parts_.log.error("an answer could not be published",
                   {{"messageId", message.message_id}, {"subject", message.subject}});
}

}  // namespace state_engine::llm
