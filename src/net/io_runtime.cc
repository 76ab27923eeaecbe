// One io_context per thread, whose plain executor is therefore a strand. A handler may hold a
// socket of another context, so all contexts give up what they hold before the first is destroyed.

#include "net/io_runtime.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "base/thread_name.h"

namespace state_engine::net {
namespace {

namespace asio = boost::asio;

class Loop : public asio::io_context {
 public:
  explicit Loop(const char* name) : asio::io_context(1), work_(asio::make_work_guard(*this)) {
    thread_ = std::jthread([this, name] {
      name_this_thread(name);
      run();
    });
  }

  void join() {
    work_.reset();
    stop();
    if (thread_.joinable()) thread_.join();
  }

  // Destroys the handlers that are left, while every service is still there.
  void give_up() { shutdown(); }

 private:
  asio::executor_work_guard<executor_type> work_;
  std::jthread thread_;
};

}  // namespace

struct IoRuntime::Impl {
  explicit Impl(int thread_count) {
    for (int i = 0; i < thread_count; ++i) loops.push_back(std::make_unique<Loop>("io"));
  }

  void join() {
    for (const auto& loop : loops) loop->join();
    engine.join();
  }

  ~Impl() {
    join();
    for (const auto& loop : loops) loop->give_up();
    engine.give_up();
  }

  std::vector<std::unique_ptr<Loop>> loops;
  Loop engine{"engine"};
  std::atomic<std::size_t> next{0};
};

IoRuntime::IoRuntime(int threads) {
  if (threads <= 0) threads = std::max(2, static_cast<int>(std::thread::hardware_concurrency()));
  impl_ = std::make_unique<Impl>(threads);
}

IoRuntime::~IoRuntime() = default;

asio::any_io_executor IoRuntime::make_strand() const {
  const std::size_t turn = impl_->next.fetch_add(1, std::memory_order_relaxed);
  return impl_->loops[turn % impl_->loops.size()]->get_executor();
}

asio::any_io_executor IoRuntime::make_engine_strand() const { return impl_->engine.get_executor(); }

void IoRuntime::run_blocking(asio::awaitable<void> task) {
  asio::co_spawn(make_strand(), std::move(task), asio::use_future).get();
}

void IoRuntime::stop() { impl_->join(); }

}  // namespace state_engine::net
