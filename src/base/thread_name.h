// Names for threads, as debuggers, `top -H` and profilers show them.

#ifndef STATE_ENGINE_BASE_THREAD_NAME_H_
#define STATE_ENGINE_BASE_THREAD_NAME_H_

namespace state_engine {

// Names the calling thread. REQUIRES: at most 15 characters (the kernel's bound).
void name_this_thread(const char* name);

}  // namespace state_engine

#endif  // STATE_ENGINE_BASE_THREAD_NAME_H_
