// The environment of this process.

#ifndef STATE_ENGINE_APP_ENVIRONMENT_H_
#define STATE_ENGINE_APP_ENVIRONMENT_H_

#include <cstdlib>
#include <string>

namespace state_engine {

// The variable's value, empty if it is not set.
inline std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_ENVIRONMENT_H_
