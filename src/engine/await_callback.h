// await_callback: an awaitable made of something that calls back.

#ifndef STATE_ENGINE_ENGINE_AWAIT_CALLBACK_H_
#define STATE_ENGINE_ENGINE_AWAIT_CALLBACK_H_

#include <memory>
#include <utility>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace state_engine {

// Awaits a callback that is called exactly once, on any thread. `start` receives the callback.
template <typename T, typename Start>
boost::asio::awaitable<T> await_callback(Start start) {
  return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(T)>(
      [](auto handler, Start begin) {
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        begin([shared](T value) {
          const auto executor = boost::asio::get_associated_executor(*shared);
          boost::asio::post(executor, [shared, value = std::move(value)]() mutable {
            (*shared)(std::move(value));
          });
        });
      },
      boost::asio::use_awaitable, std::move(start));
}

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_AWAIT_CALLBACK_H_
