// pthread_setname_np fails only for a name that is too long.

#include "base/thread_name.h"

#include <pthread.h>

#include "base/assert.h"

namespace state_engine {

void name_this_thread(const char* name) {
  SE_ASSERT(pthread_setname_np(pthread_self(), name) == 0);
}

}  // namespace state_engine
