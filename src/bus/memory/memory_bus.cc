// Handlers are called outside the lock, since one may subscribe or publish itself.

#include "bus/memory/memory_bus.h"

#include <map>
#include <mutex>
#include <vector>

namespace state_engine {

struct MemoryBus::Table {
  std::mutex mutex;
  std::uint64_t next_id = 1;
  std::map<std::uint64_t, std::pair<std::string, std::shared_ptr<Handler>>> handlers;
};

namespace {

// Takes its handler out of the table when it goes.
template <typename Table>
class TableSubscription final : public Bus::Subscription {
 public:
  TableSubscription(std::shared_ptr<Table> table, std::uint64_t id)
      : table_(std::move(table)), id_(id) {}
  ~TableSubscription() override {
    const std::lock_guard lock(table_->mutex);
    table_->handlers.erase(id_);
  }

 private:
  std::shared_ptr<Table> table_;
  std::uint64_t id_;
};

}  // namespace

MemoryBus::MemoryBus() : table_(std::make_shared<Table>()) {}

boost::asio::awaitable<PublishOutcome> MemoryBus::publish(BusMessage message) {
  std::vector<std::shared_ptr<Handler>> receivers;
  {
    const std::lock_guard lock(table_->mutex);
    for (const auto& [id, entry] : table_->handlers) {
      if (entry.first == message.subject) receivers.push_back(entry.second);
    }
  }
  // Outside the lock: a handler may subscribe or publish.
  for (const auto& receiver : receivers) (*receiver)(message);
  co_return receivers.empty() ? PublishOutcome::kNoSubscriber : PublishOutcome::kPublished;
}

std::unique_ptr<Bus::Subscription> MemoryBus::subscribe(std::string subject, Handler handler) {
  const std::lock_guard lock(table_->mutex);
  const std::uint64_t id = table_->next_id++;
  table_->handlers[id] = {std::move(subject), std::make_shared<Handler>(std::move(handler))};
  return std::make_unique<TableSubscription<Table>>(table_, id);
}

std::unique_ptr<Bus::Subscription> MemoryBus::consume(ConsumeOptions options,
                                                      ConsumeHandler handler) {
  return subscribe(std::move(options.subject),
                   [on_message = std::move(handler.on_message)](const BusMessage& message) {
                     BusDelivery delivery;
                     delivery.message = message;
                     delivery.settle = [](Settlement, std::chrono::milliseconds) {};
                     on_message(std::move(delivery));
                   });
}

}  // namespace state_engine
