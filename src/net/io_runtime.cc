// One io_context per thread, whose plain executor is therefore a strand. A handler may hold a
// socket of another context, so all contexts give up what they hold before the first is destroyed.
//
// Waking a processor that sleeps costs more than a request does. Where work comes closely, a thread
// therefore asks for it a little longer before it sleeps, and offers its processor to others
// meanwhile; docs/adr/0027 has what that brings and costs.

#include "net/io_runtime.h"

#include <algorithm>
#include <atomic>
#include <chrono>
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

using Clock = std::chrono::steady_clock;

// A wait shorter than this lets the next one begin with asking, for as long at most; one that asked
// in vain does not. Measured: 20 us brings nothing, 100 us doubles what a lone client gets, but
// makes the slowest calls slower at half load, as who yields is not woken in time.
constexpr std::chrono::microseconds kShortWait{30};

enum class Waiting { kAsleep, kAskingFirst };

class Loop : public asio::io_context {
 public:
  Loop(const char* name, Waiting waiting)
      : asio::io_context(1), work_(asio::make_work_guard(*this)) {
    const bool asks = waiting == Waiting::kAskingFirst && std::thread::hardware_concurrency() > 1;
    thread_ = std::jthread([this, name, asks] {
      name_this_thread(name);
      if (asks) {
        run_asking();
      } else {
        run();
      }
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
  // run(), but for how it waits.
  void run_asking() {
    bool asking = false;
    while (!stopped()) {
      if (poll() > 0) continue;
      const auto since = Clock::now();
      bool found = false;
      while (asking && !found && Clock::now() - since < kShortWait) {
        std::this_thread::yield();
        found = poll() > 0;
      }
      if (found) continue;
      run_one();
      asking = !asking && Clock::now() - since < kShortWait;
    }
  }

  asio::executor_work_guard<executor_type> work_;
  std::jthread thread_;
};

}  // namespace

struct IoRuntime::Impl {
  explicit Impl(int thread_count) {
    for (int i = 0; i < thread_count; ++i) {
      loops.push_back(std::make_unique<Loop>("io", Waiting::kAskingFirst));
    }
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
  Loop engine{"engine", Waiting::kAsleep};  // asking brought it nothing
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
