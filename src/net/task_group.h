// TaskGroup: coroutines that belong together, logged when they throw, awaited at shutdown.
//
// Threads: every method from any thread; wait() must be awaited on a strand.

#ifndef STATE_ENGINE_NET_TASK_GROUP_H_
#define STATE_ENGINE_NET_TASK_GROUP_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/log.h"
#include "net/cancel.h"

namespace state_engine::net {

class TaskGroup {
 public:
  // `name` appears in logs ("http connections"). The log outlives the tasks.
  TaskGroup(std::string name, Log& log);

  // Starts `task` on `executor`; what it captures lives until the coroutine ends.
  void spawn(const boost::asio::any_io_executor& executor,
             std::function<boost::asio::awaitable<void>()> task);

  std::size_t running() const;

  // Cancelled by cancel(); tasks look at it between awaits.
  CancelToken stopping() const;
  void cancel();

  // Returns true once no task runs, false when `timeout` passed first.
  boost::asio::awaitable<bool> wait(std::chrono::milliseconds timeout);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_TASK_GROUP_H_
