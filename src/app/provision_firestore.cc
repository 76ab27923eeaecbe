// The data interface can neither create a database nor change indexes; the plan says who can.

#include "app/provision_firestore.h"

#include <array>
#include <cstdio>
#include <fstream>

#include <fmt/format.h>

#include "app/store_world.h"
#include "base/json.h"

namespace state_engine {
namespace {

constexpr int kFailure = 1;
constexpr int kUsage = 2;

struct Exempt {
  const char* collection;
  const char* field;
};

// Nothing queries these: an index on them only costs, and limits what a document may hold.
constexpr std::array<Exempt, 18> kExempt{{{"state", "value"},
                                          {"state", "valueJson"},
                                          {"state", "metadata"},
                                          {"state", "ownMetadataJson"},
                                          {"state", "reason"},
                                          {"mutation_log", "value"},
                                          {"mutation_log", "valueJson"},
                                          {"mutation_log", "resultingValueJson"},
                                          {"mutation_log", "metadata"},
                                          {"mutation_log", "metadataJson"},
                                          {"mutation_log", "rulesJson"},
                                          {"mutation_log", "reason"},
                                          {"mutation_log", "error"},
                                          {"mutation_log", "salt"},
                                          {"mutation_log", "prevHash"},
                                          {"mutation_log", "hash"},
                                          {"outbox", "payload"},
                                          {"sources", "text"}}};

void print_plan(const ProvisionFirestoreOptions& options) {
  fmt::print("{}\n\n", options.settings.describe());
  fmt::print("Would be done with --apply:\n");
  fmt::print(
      "  read the end of mutation_log, write one small document in sources and read it back\n");
  fmt::print("  write {} with {} index exemptions\n\n", options.indexes_file, kExempt.size());
  fmt::print(
      "Needs nothing: the collections state, mutation_log, outbox, rule_state, sources and\n"
      "cursors come into being with their first document; every query is answered by the\n"
      "automatic single-field indexes.\n\n");
  fmt::print("For you to do, since the data interface cannot:\n");
  fmt::print(
      "  gcloud firestore databases create --project={} --database='{}' \\\n"
      "    --location=LOCATION --type=firestore-native      (if it does not exist yet)\n",
      options.settings.project, options.settings.database);
  fmt::print(
      "  gcloud projects add-iam-policy-binding {} --role=roles/datastore.user \\\n"
      "    --member=serviceAccount:ACCOUNT\n",
      options.settings.project);
  fmt::print("  firebase deploy --only firestore:indexes --project {}   (takes {})\n",
             options.settings.project, options.indexes_file);
}

// Writes and reads back one source, the smallest thing that the store keeps.
boost::asio::awaitable<Status> try_out(StateStore& store) {
  SourceRevision probe{"provision", "probe", "{}"};
  SE_CO_RETURN_IF_ERROR(co_await store.save_source(std::move(probe)));
  auto read = co_await store.source("provision", "probe");
  if (!read.ok()) co_return read.error();
  if (read->text != "{}") {
    co_return Error{ErrorCode::kDataLoss, "what was written is not what was read"};
  }
  co_return co_await store.close();
}

int complain(const std::string& message) {
  fmt::print(stderr, "state-engine: {}\n", message);
  return kFailure;
}

}  // namespace

std::string firestore_indexes() {
  json::Array overrides;
  for (const Exempt& exempt : kExempt) {
    overrides.push_back(json::Object{{"collectionGroup", exempt.collection},
                                     {"fieldPath", exempt.field},
                                     {"indexes", json::Array{}}});
  }
  return json::write_pretty(
      json::Object{{"indexes", json::Array{}}, {"fieldOverrides", std::move(overrides)}});
}

int provision_firestore(const ProvisionFirestoreOptions& options) {
  if (options.settings.project.empty()) {
    fmt::print(stderr, "state-engine: name the project with --project or GOOGLE_CLOUD_PROJECT\n");
    return kUsage;
  }
  print_plan(options);
  if (!options.apply) return 0;
  fmt::print("\n");
  StoreWorld world;
  auto store = open_firestore(options.settings, "", world.clock, world.random, world.log);
  if (!store.ok()) return complain(store.error().message);
  const Status tried = world.wait(try_out(**store));
  if (!tried.ok()) return complain(tried.error().message);
  fmt::print("ok: the database can be read and written\n");
  std::ofstream file(options.indexes_file);
  file << firestore_indexes() << "\n";
  file.close();
  if (!file) return complain(fmt::format("{} cannot be written", options.indexes_file));
  fmt::print("ok: {} written; deploy it as said above\n", options.indexes_file);
  return 0;
}

}  // namespace state_engine
