// IoRuntime: the threads that run all network code of a process.
//
// Each thread has a queue and an epoll of its own, and every strand belongs to one thread for good:
// no lock is contended and no other thread is woken when a connection has something to do.
// One thread more is kept for the engine, so that a reader never waits behind its decisions.
//
// It handles no signals; the app does. Work left over when the runtime stops is destroyed, not run:
// shut servers down first.
//
// Threads: every method may be called from any thread, stop() and the destructor not from a thread
// of the runtime.

#ifndef STATE_ENGINE_NET_IO_RUNTIME_H_
#define STATE_ENGINE_NET_IO_RUNTIME_H_

#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace state_engine::net {

// Over how many threads strands are spread. A thread with more to do sleeps and wakes less often,
// which costs more than a short request does; long work is done sooner by all of them.
enum class Spread { kAll, kHalf };

class IoRuntime {
 public:
  // Starts `threads` threads and the engine's; 0 takes one per processor, at least 2.
  explicit IoRuntime(int threads = 0);
  ~IoRuntime();
  IoRuntime(const IoRuntime&) = delete;
  IoRuntime& operator=(const IoRuntime&) = delete;

  // An executor that runs its handlers one after the other, on the threads in turn. Posts of one
  // thread keep their order; where those of several must, put asio::make_strand around it.
  boost::asio::any_io_executor make_strand(Spread spread = Spread::kAll) const;
  // The same, on the engine's thread.
  boost::asio::any_io_executor make_engine_strand() const;

  // Runs `task` on the runtime and blocks the caller until it is done; exceptions pass through.
  // REQUIRES: the caller is not a thread of the runtime.
  void run_blocking(boost::asio::awaitable<void> task);

  // Stops all threads and joins them. Idempotent.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_IO_RUNTIME_H_
