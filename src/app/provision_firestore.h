// `state-engine provision firestore`: what a database needs before engines use it.

#ifndef STATE_ENGINE_APP_PROVISION_FIRESTORE_H_
#define STATE_ENGINE_APP_PROVISION_FIRESTORE_H_

#include <string>

#include "app/firestore_store.h"

namespace state_engine {

struct ProvisionFirestoreOptions {
  FirestoreSettings settings;
  std::string indexes_file = "firestore.indexes.json";
  bool apply = false;
};

// Prints the plan; with `apply` carries it out. Exit codes: 0, 1 failure, 2 usage.
int provision_firestore(const ProvisionFirestoreOptions& options);

// The index exemptions in the format of the Firebase tools.
std::string firestore_indexes();

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_PROVISION_FIRESTORE_H_
