// What the fuzzers feed: one function for each door where bytes of others come in.
//
// Each aborts when a promise is broken and returns when all is well, whatever the bytes say. The
// targets of one program share a process; libFuzzer (`./dev fuzz`) and the replay of the checked-in
// corpus call them alike.

#ifndef STATE_ENGINE_TESTS_FUZZ_TARGETS_H_
#define STATE_ENGINE_TESTS_FUZZ_TARGETS_H_

#include <span>
#include <string_view>

namespace state_engine::fuzz {

struct Target {
  std::string_view name;
  void (*run)(std::string_view input);
};

// The targets of this program.
std::span<const Target> targets();

}  // namespace state_engine::fuzz

#endif  // STATE_ENGINE_TESTS_FUZZ_TARGETS_H_
