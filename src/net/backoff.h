// Backoff: how long to wait before the next try, growing from try to try.
//
// The wait doubles up to a maximum; a random part of it is taken off, so that many clients of one
// server that came back do not return all at once.
//
// Threads: one at a time.

#ifndef STATE_ENGINE_NET_BACKOFF_H_
#define STATE_ENGINE_NET_BACKOFF_H_

#include <chrono>

#include "base/random.h"

namespace state_engine::net {

struct BackoffOptions {
  std::chrono::milliseconds first{500};
  std::chrono::milliseconds most{30'000};
  int factor = 2;
  double jitter = 0.5;  // the part of a wait that chance may take off, 0 to 1
};

class Backoff {
 public:
  Backoff(BackoffOptions options, Random& random) : options_(options), random_(random) {}

  // The wait before the next try; each call makes the next one longer.
  std::chrono::milliseconds next();
  // After a success: the next wait is the first again.
  void reset() { failures_ = 0; }
  // Calls of next() since the last reset().
  int failures() const { return failures_; }

 private:
  BackoffOptions options_;
  Random& random_;
  int failures_ = 0;
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_BACKOFF_H_
