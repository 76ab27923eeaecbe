// libFuzzer's entry points. SE_FUZZ_TARGET names the target, so that all of them are built once.

#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/targets.h"

namespace {

const state_engine::fuzz::Target* chosen = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* name = std::getenv("SE_FUZZ_TARGET");
  for (const auto& target : state_engine::fuzz::targets()) {
    if (name != nullptr && target.name == name) chosen = &target;
  }
  if (chosen != nullptr) return 0;
  std::fprintf(stderr, "SE_FUZZ_TARGET names no target of this program:");
  for (const auto& target : state_engine::fuzz::targets()) {
    std::fprintf(stderr, " %.*s", static_cast<int>(target.name.size()), target.name.data());
  }
  std::fprintf(stderr, "\n");
  std::exit(2);
}

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  chosen->run({reinterpret_cast<const char*>(data), size});
  return 0;
}
