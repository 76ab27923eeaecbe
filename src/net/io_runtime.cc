// One io_context and its threads; strands give the order that connections need.

#include "net/io_runtime.h"

#include <algorithm>
#include <future>
#include <thread>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_future.hpp>

namespace state_engine::net {

struct IoRuntime::Impl {
  explicit Impl(int thread_count)
      : context(thread_count), work(boost::asio::make_work_guard(context)) {
    for (int i = 0; i < thread_count; ++i) {
      threads.emplace_back([this] { context.run(); });
    }
  }

  boost::asio::io_context context;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
  std::vector<std::jthread> threads;
};

IoRuntime::IoRuntime(int threads) {
  if (threads <= 0) threads = std::max(2, static_cast<int>(std::thread::hardware_concurrency()));
  impl_ = std::make_unique<Impl>(threads);
}

IoRuntime::~IoRuntime() { stop(); }

boost::asio::any_io_executor IoRuntime::executor() const { return impl_->context.get_executor(); }

boost::asio::any_io_executor IoRuntime::make_strand() const {
  return boost::asio::make_strand(impl_->context);
}

boost::asio::io_context& IoRuntime::context() { return impl_->context; }

int IoRuntime::threads() const { return static_cast<int>(impl_->threads.size()); }

void IoRuntime::run_blocking(boost::asio::awaitable<void> task) {
  boost::asio::co_spawn(make_strand(), std::move(task), boost::asio::use_future).get();
}

void IoRuntime::stop() {
  impl_->work.reset();
  impl_->context.stop();
  for (std::jthread& thread : impl_->threads) {
    if (thread.joinable()) thread.join();
  }
}

}  // namespace state_engine::net
