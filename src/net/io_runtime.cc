// One io_context per thread, whose plain executor is therefore a strand. A handler may hold a
// socket of another context, so all contexts give up what they hold before the first is destroyed.

#include "net/io_runtime.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <future>
#include <sys/syscall.h>
#include <thread>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <unistd.h>

#include "base/thread_name.h"

namespace state_engine::net {
namespace {

namespace asio = boost::asio;

// Argument of sched_setattr(2); the C library has it only since glibc 2.41.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime_ns = 0;  // of an ordinary thread: its slice
  std::uint64_t deadline_ns = 0;
  std::uint64_t period_ns = 0;
};
static_assert(sizeof(SchedulingAttributes) == 48);

// Who asks for short slices is not kept waiting by who has a long one: these threads run for
// microseconds and sleep. Linux 6.12 and later; others ignore it, and where a sandbox forbids the
// call the thread is scheduled as ever.
void ask_for_short_slices() {
  constexpr std::uint64_t kShortestSliceNs = 100'000;
  SchedulingAttributes now;
  if (::syscall(SYS_sched_getattr, 0, &now, sizeof now, 0) != 0 || now.policy != 0) return;
  now.runtime_ns = kShortestSliceNs;
  static_cast<void>(::syscall(SYS_sched_setattr, 0, &now, 0));
}

class Loop : public asio::io_context {
 public:
  explicit Loop(const char* name) : asio::io_context(1), work_(asio::make_work_guard(*this)) {
    thread_ = std::jthread([this, name] {
      name_this_thread(name);
      ask_for_short_slices();
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
  std::atomic<std::size_t> next_of_half{0};
};

IoRuntime::IoRuntime(int threads) {
  if (threads <= 0) threads = std::max(2, static_cast<int>(std::thread::hardware_concurrency()));
  impl_ = std::make_unique<Impl>(threads);
}

IoRuntime::~IoRuntime() = default;

asio::any_io_executor IoRuntime::make_strand(Spread spread) const {
  const std::size_t all = impl_->loops.size();
  const bool half = spread == Spread::kHalf;
  const std::size_t turn =
      (half ? impl_->next_of_half : impl_->next).fetch_add(1, std::memory_order_relaxed);
  return impl_->loops[turn % (half ? (all + 1) / 2 : all)]->get_executor();
}

asio::any_io_executor IoRuntime::make_engine_strand() const { return impl_->engine.get_executor(); }

void IoRuntime::run_blocking(asio::awaitable<void> task) {
  asio::co_spawn(make_strand(), std::move(task), asio::use_future).get();
}

void IoRuntime::stop() { impl_->join(); }

}  // namespace state_engine::net
