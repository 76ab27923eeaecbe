// FirestoreEmulator: the vendor's emulator as a child process, for tests against the real thing.
//
// FIRESTORE_EMULATOR_HOST names one that runs already. Otherwise its jar is looked for where
// FIRESTORE_EMULATOR_JAR says, then where the package google-cloud-cli-firestore-emulator puts it.

#ifndef STATE_ENGINE_TESTS_SUPPORT_FIRESTORE_EMULATOR_H_
#define STATE_ENGINE_TESTS_SUPPORT_FIRESTORE_EMULATOR_H_

#include <memory>
#include <string>
#include <variant>

namespace state_engine::test {

class FirestoreEmulator {
 public:
  // Why there is none. Begins with "missing" if that can be mended by installing a package.
  struct Absent {
    std::string reason;
  };

  // Starts it on a free port and waits until it answers.
  static std::variant<std::unique_ptr<FirestoreEmulator>, Absent> start();
  ~FirestoreEmulator();

  // "127.0.0.1:PORT"
  const std::string& address() const { return address_; }

 private:
  FirestoreEmulator(std::string address, int pid) : address_(std::move(address)), pid_(pid) {}

  std::string address_;
  int pid_;  // 0 = not ours
};

}  // namespace state_engine::test

#endif  // STATE_ENGINE_TESTS_SUPPORT_FIRESTORE_EMULATOR_H_
