#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace state_engine::internal {

void assertion_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
  std::fflush(stderr);
  std::abort();
}

}  // namespace state_engine::internal
