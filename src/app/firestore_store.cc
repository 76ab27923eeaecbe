// Flags beat the environment; main() starts from firestore_settings_from_environment().

#include "app/firestore_store.h"

#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "app/environment.h"

namespace state_engine {
namespace {

constexpr std::chrono::seconds kOpenPatience{15};
constexpr std::chrono::milliseconds kOpenPause{500};

}  // namespace

std::string FirestoreSettings::describe() const {
  std::string text = fmt::format("Firestore project {}", project);
  if (database != "(default)") text += fmt::format(", database {}", database);
  if (!emulator.empty()) text += fmt::format(", emulator {}", emulator);
  return text;
}

FirestoreSettings firestore_settings_from_environment() {
  FirestoreSettings settings;
  settings.project = environment("GOOGLE_CLOUD_PROJECT");
  settings.emulator = environment("FIRESTORE_EMULATOR_HOST");
  return settings;
}

Result<std::unique_ptr<FirestoreStateStore>> open_firestore(const FirestoreSettings& settings,
                                                            std::string engine_id,
                                                            const Clock& clock, Random& random,
                                                            Log& log) {
  FirestoreOptions options;
  options.project = settings.project;
  options.database = settings.database;
  options.emulator = settings.emulator;
  options.engine_id = std::move(engine_id);
  options.clock = &clock;
  options.random = &random;
  options.log = &log;
  // A service that starts together with its database waits for it a while.
  const auto patience = std::chrono::steady_clock::now() + kOpenPatience;
  auto store = FirestoreStateStore::open(options);
  while (!store.ok() && store.error().code == ErrorCode::kUnavailable &&
         std::chrono::steady_clock::now() < patience) {
    log.warn("Firestore does not answer yet; trying again", {{"error", store.error().message}});
    std::this_thread::sleep_for(kOpenPause);
    store = FirestoreStateStore::open(options);
  }
  if (!store.ok()) {
    return Error{store.error().code,
                 fmt::format("{} cannot be used: {}", settings.describe(), store.error().message)};
  }
  return store;
}

}  // namespace state_engine
