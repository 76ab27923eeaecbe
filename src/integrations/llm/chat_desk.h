// ChatDesk: takes chat messages from the bus, lets the bot answer them one after the other, and
// hands the answers back to the bus.
//
// Bounds: a queue of messages that wait (further ones go back to the bus, which brings them again
// later if it stores them), an age above which a message is not answered any more (a chat that is
// answered minutes late is worse than one that is not), and a memory of ids so that a message
// delivered again is answered once. A message is settled when its answer is handed over.
//
// Ownership: bus, bot and all others outlive the desk.
// Threads:   one thread of its own asks the bot; the bus may call in from any.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_CHAT_DESK_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_CHAT_DESK_H_

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include <boost/asio/any_io_executor.hpp>

#include "base/log.h"
#include "base/time.h"
#include "integrations/llm/bot.h"
#include "integrations/llm/stop_signal.h"
#include "ports/bus.h"

namespace state_engine::llm {

struct ChatDeskSettings {
  std::string queue = "llm-bot";  // bots of one queue share the messages
  std::size_t waiting_max = 64;
  std::chrono::milliseconds age_max{120'000};
};

struct ChatDeskParts {
  Bus& bus;
  Bot& bot;
  boost::asio::any_io_executor executor;  // a strand, for the bus's coroutines
  const Clock& clock;
  StopSignal& stop;  // ends waits of the bot; the desk's stop() sets it
  BotObserver& observer;
  Log& log;
};

class ChatDesk {
 public:
  ChatDesk(ChatDeskSettings settings, ChatDeskParts parts);
  ~ChatDesk();

  void start();
  // Takes no more messages; what the bot is answering now ends early. Idempotent.
  void stop();

 private:
  void take(BusDelivery delivery);
  void forget_waiting();
  void work();
  // False if a stop came first: then the message is not settled.
  bool answer(const BusMessage& message);
  void publish(const BusMessage& message);
  bool is_new(const std::string& id);

  ChatDeskSettings settings_;
  ChatDeskParts parts_;
  std::unique_ptr<Bus::Subscription> subscription_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<BusDelivery> waiting_;
  bool stopping_ = false;
  std::deque<std::string> seen_order_;  // of the worker thread only, as is seen_
  std::set<std::string> seen_;
  std::thread worker_;
};

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_CHAT_DESK_H_
