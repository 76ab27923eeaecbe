// No work may be missed, whatever time lies between two pieces, and no thread is busy without work.

#include "net/io_runtime.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <future>
#include <memory>
#include <sys/syscall.h>

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/random.h"

namespace state_engine::net {
namespace {

using std::chrono::microseconds;

// Whether something that is posted to `executor` runs.
bool answers(const boost::asio::any_io_executor& executor) {
  const auto done = std::make_shared<std::promise<void>>();
  boost::asio::post(executor, [done] { done->set_value(); });
  return done->get_future().wait_for(std::chrono::seconds{20}) == std::future_status::ready;
}

double processor_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

TEST(IoRuntimeTest, WorkIsFoundWhateverTimeLiesBetween) {
  IoRuntime runtime(2);
  const auto first = runtime.make_strand();
  const auto second = runtime.make_strand();
  SeededRandom random(7);
  for (int i = 0; i < 2'000; ++i) {
    const auto until = std::chrono::steady_clock::now() + microseconds{random.below(160)};
    while (std::chrono::steady_clock::now() < until) {
    }
    ASSERT_TRUE(answers(i % 3 == 0 ? second : first));
  }
  ASSERT_TRUE(answers(runtime.make_engine_strand()));
}

TEST(IoRuntimeTest, WithoutWorkItSleeps) {
  IoRuntime runtime(2);
  const auto strand = runtime.make_strand();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(answers(strand));
  const double before = processor_seconds();
  std::promise<void> never;  // what is measured is that nothing happens
  EXPECT_EQ(never.get_future().wait_for(std::chrono::milliseconds{500}),
            std::future_status::timeout);
  EXPECT_LT(processor_seconds() - before, 0.1) << "of the 0.5 s that a busy thread would take";
}

// The slice of the calling thread as the kernel tells it, in nanoseconds; 0 before Linux 6.12.
std::uint64_t slice_of_this_thread() {
  std::array<std::uint64_t, 6> attributes{};  // sched_attr: the runtime is its fourth word
  EXPECT_EQ(::syscall(SYS_sched_getattr, 0, attributes.data(), sizeof attributes, 0), 0);
  return attributes[3];
}

TEST(IoRuntimeTest, ThreadsHaveShortSlices) {
  if (slice_of_this_thread() == 0) GTEST_SKIP() << "this kernel knows no slices of single threads";
  IoRuntime runtime(1);
  std::promise<std::uint64_t> slice;
  boost::asio::post(runtime.make_strand(), [&] { slice.set_value(slice_of_this_thread()); });
  EXPECT_EQ(slice.get_future().get(), 100'000U);
}

TEST(IoRuntimeTest, AStopEndsBusyThreadsAndIdleOnes) {
  for (int i = 0; i < 50; ++i) {
    IoRuntime runtime(2);
    const auto strand = runtime.make_strand();
    for (int n = 0; n < i; ++n) ASSERT_TRUE(answers(strand));
    runtime.stop();
  }
}

}  // namespace
}  // namespace state_engine::net
