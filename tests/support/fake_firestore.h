// FakeFirestore: a Firestore of our own over real gRPC, for faults that the emulator cannot make.
//
// It passes the same conformance suite as the emulator. A fault plan is asked at each call and may
// refuse it, abort it, or apply it and lose the reply. stop() and start() take the whole service
// away and bring it back on the same port with its documents.
//
// Threads: any.

#ifndef STATE_ENGINE_TESTS_SUPPORT_FAKE_FIRESTORE_H_
#define STATE_ENGINE_TESTS_SUPPORT_FAKE_FIRESTORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace state_engine::test {

enum class CallKind { kCommit, kGet, kQuery };

enum class CallFault {
  kNone,
  kUnavailable,   // not carried out, answered UNAVAILABLE
  kReplyLost,     // carried out, answered UNAVAILABLE
  kAborted,       // not carried out, answered ABORTED
  kPermission,    // not carried out, answered PERMISSION_DENIED
  kHang,          // not carried out, not answered before the caller gives up
  kReplyHangs,    // carried out, not answered before the caller gives up
  kAppliedLater,  // answered UNAVAILABLE, carried out a little later
};

struct FakeTls {
  std::string certificate;  // PEM
  std::string key;          // PEM
};

class FakeFirestore {
 public:
  // Listens on a port of 127.0.0.1; 0 takes a free one.
  explicit FakeFirestore(int port = 0);
  explicit FakeFirestore(FakeTls tls);
  ~FakeFirestore();
  FakeFirestore(const FakeFirestore&) = delete;
  FakeFirestore& operator=(const FakeFirestore&) = delete;

  // "127.0.0.1:PORT"
  std::string address() const;

  // `plan` is called once per call, under no lock.
  void set_faults(std::function<CallFault(CallKind)> plan);
  void clear_faults() { set_faults(nullptr); }

  // Goes away; calls are refused from then on. The documents stay.
  void stop();
  void start();

  // Waits until everything of kAppliedLater is carried out.
  void finish_late_commits();

  // Calls carried out or not, by kind.
  std::int64_t calls(CallKind kind) const;

  // The value of the metadata `name` of the last call; "" if it had none.
  std::string last_metadata(const std::string& name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace state_engine::test

#endif  // STATE_ENGINE_TESTS_SUPPORT_FAKE_FIRESTORE_H_
