// The Firestore store as commands open it: settings from flags and the environment.

#ifndef STATE_ENGINE_APP_FIRESTORE_STORE_H_
#define STATE_ENGINE_APP_FIRESTORE_STORE_H_

#include <memory>
#include <string>

#include "store/firestore/firestore_state_store.h"

namespace state_engine {

struct FirestoreSettings {
  std::string project;  // --firestore-project, GOOGLE_CLOUD_PROJECT
  std::string database = "(default)";
  std::string emulator;  // FIRESTORE_EMULATOR_HOST

  // "Firestore project P" and, where there is one, the emulator.
  std::string describe() const;
};

// What the environment says.
FirestoreSettings firestore_settings_from_environment();

// `engine_id` empty = a new engine. Errors: as FirestoreStateStore::open, saying what to do.
Result<std::unique_ptr<FirestoreStateStore>> open_firestore(const FirestoreSettings& settings,
                                                            std::string engine_id,
                                                            const Clock& clock, Random& random,
                                                            Log& log);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_FIRESTORE_STORE_H_
