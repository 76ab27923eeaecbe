// StoreWorld: what a command that opens a store without an engine gives it, and a way to wait for
// its tasks.
//
// Threads: one; wait() runs the tasks on the caller's.

#ifndef STATE_ENGINE_APP_STORE_WORLD_H_
#define STATE_ENGINE_APP_STORE_WORLD_H_

#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "base/random.h"
#include "base/time.h"

namespace state_engine {

struct StoreWorld {
  SystemClock clock;
  SystemRandom random;
  NullLog log;
  boost::asio::io_context context;

  // Runs `task` to its end. Throws what it throws.
  template <typename T>
  T wait(boost::asio::awaitable<T> task) {
    std::optional<T> out;
    boost::asio::co_spawn(
        context, [&]() -> boost::asio::awaitable<void> { out.emplace(co_await std::move(task)); },
        [](const std::exception_ptr& fault) {
          if (fault) std::rethrow_exception(fault);
        });
    context.restart();
    context.run();
    return std::move(*out);
  }
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_STORE_WORLD_H_
