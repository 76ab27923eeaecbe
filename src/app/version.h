// The version of the program.

#ifndef STATE_ENGINE_APP_VERSION_H_
#define STATE_ENGINE_APP_VERSION_H_

namespace state_engine {

inline constexpr const char* kVersion = SE_VERSION;

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_VERSION_H_
