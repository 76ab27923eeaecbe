// SE_ASSERT and SE_UNREACHABLE: checks of our own invariants, on in every build.
//
// A failed check prints the expression and its place, then aborts: state that breaks an invariant
// must not reach the disk. Input, network, disk and configuration faults are never asserted; they
// return a Result (base/result.h).

#ifndef STATE_ENGINE_BASE_ASSERT_H_
#define STATE_ENGINE_BASE_ASSERT_H_

namespace state_engine::internal {

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace state_engine::internal

// Aborts unless `condition` holds. One condition each, in positive form.
#define SE_ASSERT(condition)                                                      \
  do {                                                                            \
    if (!(condition)) [[unlikely]] {                                              \
      ::state_engine::internal::assertion_failed(#condition, __FILE__, __LINE__); \
    }                                                                             \
  } while (false)

// Marks a branch that no input can reach.
#define SE_UNREACHABLE() \
  ::state_engine::internal::assertion_failed("unreachable", __FILE__, __LINE__)

#endif  // STATE_ENGINE_BASE_ASSERT_H_
