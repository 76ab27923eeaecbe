// A Firestore database of one test's own: a project that no other test uses.

#ifndef STATE_ENGINE_TESTS_CONFORMANCE_FIRESTORE_HOME_H_
#define STATE_ENGINE_TESTS_CONFORMANCE_FIRESTORE_HOME_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "base/time.h"
#include "store/firestore/firestore_state_store.h"
#include "tests/conformance/state_store_suite.h"

namespace state_engine::test {

inline std::string fresh_project() {
  static std::atomic<int> number{0};
  return "se-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
}

class FirestoreHome final : public StoreHome {
 public:
  explicit FirestoreHome(std::string address) : address_(std::move(address)) {}

  // The suite goes on with one log across reopens.
  std::unique_ptr<StateStore> open() override { return must(open_as("engine-1")); }

  Result<std::unique_ptr<FirestoreStateStore>> open_as(const std::string& engine_id) {
    FirestoreOptions chosen = options();
    chosen.engine_id = engine_id;
    return FirestoreStateStore::open(chosen);
  }

  FirestoreOptions options() {
    FirestoreOptions out;
    out.project = project_;
    out.emulator = address_;
    out.clock = &clock_;
    out.random = &random_;
    out.log = &log_;
    return out;
  }

 private:
  std::string address_;
  std::string project_ = fresh_project();
  SystemClock clock_;
  SystemRandom random_;
  NullLog log_;
};

}  // namespace state_engine::test

#endif  // STATE_ENGINE_TESTS_CONFORMANCE_FIRESTORE_HOME_H_
