// Real time, for tests of real processes and servers, which no virtual clock can drive: polling
// with a generous deadline, and faults that consist of time.

#ifndef STATE_ENGINE_TESTS_SUPPORT_PATIENCE_H_
#define STATE_ENGINE_TESTS_SUPPORT_PATIENCE_H_

#include <chrono>
#include <future>

namespace state_engine::test {

inline void let_pass(std::chrono::milliseconds time) {
  std::promise<void> never;
  never.get_future().wait_for(time);
}

// True as soon as `condition()` is; false if it is not within `deadline`.
template <typename Condition>
bool comes_true(const Condition& condition,
                std::chrono::milliseconds deadline = std::chrono::seconds{60}) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    let_pass(std::chrono::milliseconds{10});
  }
  return true;
}

}  // namespace state_engine::test

#endif  // STATE_ENGINE_TESTS_SUPPORT_PATIENCE_H_
