// Opens the two stores of `migrate`, copies, and tells what came of it.

#include <optional>

#include <fmt/format.h>
#include <unistd.h>

#include "app/firestore_store.h"
#include "app/migrate.h"
#include "app/store_world.h"
#include "store/sqlite/sqlite_state_store.h"

namespace state_engine {
namespace {

constexpr int kFailure = 1;
constexpr int kUsage = 2;
constexpr int kVerificationFailed = 7;

struct Place {
  bool firestore = false;
  std::string directory;
  FirestoreSettings settings;
};

std::optional<Place> parse_place(const std::string& text) {
  Place place;
  const std::size_t colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (rest.empty() || (kind != "sqlite" && kind != "firestore")) return std::nullopt;
  place.firestore = kind == "firestore";
  if (!place.firestore) {
    place.directory = rest;
    return place;
  }
  place.settings = firestore_settings_from_environment();
  const std::size_t slash = rest.find('/');
  place.settings.project = rest.substr(0, slash);
  if (slash != std::string::npos) place.settings.database = rest.substr(slash + 1);
  return place;
}

Result<std::unique_ptr<StateStore>> open_place(const Place& place, const std::string& engine_id,
                                               StoreWorld& world) {
  if (place.firestore) {
    auto store = open_firestore(place.settings, engine_id, world.clock, world.random, world.log);
    if (!store.ok()) return store.error();
    return std::unique_ptr<StateStore>(std::move(*store));
  }
  SqliteStoreOptions options;
  options.directory = place.directory;
  options.clock = &world.clock;
  options.random = &world.random;
  options.log = &world.log;
  auto store = SqliteStateStore::open(options);
  if (!store.ok()) return store.error();
  return std::unique_ptr<StateStore>(std::move(*store));
}

void print_report(const MigrateReport& report, bool as_json) {
  if (as_json) {
    json::Array problems;
    for (const std::string& problem : report.problems) problems.emplace_back(problem);
    fmt::print("{}\n", json::write(json::Object{{"ok", report.ok()},
                                                {"entries", report.entries},
                                                {"entriesCopied", report.entries_copied},
                                                {"keys", report.keys},
                                                {"imported", report.imported},
                                                {"pendingEffects", report.effects},
                                                {"chainKept", report.chain_kept},
                                                {"problems", std::move(problems)}}));
    return;
  }
  for (const std::string& problem : report.problems) fmt::print("{}\n", problem);
  fmt::print("{}: {} log entries ({} copied now), {} keys, {} undelivered effects\n",
             report.ok() ? "ok, both sides are equal" : "THE COPY DIFFERS", report.entries,
             report.entries_copied, report.keys, report.effects);
  if (report.imported > 0) {
    fmt::print("{} keys had no log entry of this engine; each has one now (import-...)\n",
               report.imported);
  }
  fmt::print("{}\n", report.chain_kept
                         ? "hash chain: the source's own"
                         : "hash chain: made anew, since several engines' logs became one");
}

}  // namespace

int migrate_command(const MigrateOptions& options) {
  const auto from = parse_place(options.from);
  const auto to = parse_place(options.to);
  if (!from || !to || options.from == options.to) {
    fmt::print(stderr,
               "state-engine: --from and --to are two different stores, each sqlite:DIR or "
               "firestore:PROJECT[/DATABASE]\n");
    return kUsage;
  }
  StoreWorld world;
  const auto complain = [](const Error& error) {
    fmt::print(stderr, "state-engine: {}\n", error.message);
    return kFailure;
  };
  auto source = open_place(*from, "", world);
  if (!source.ok()) return complain(source.error());
  auto head = world.wait((*source)->head());
  if (!head.ok()) return complain(head.error());
  // The log of one engine keeps its numbers and hashes; several become a new chain.
  const bool keep_chain = !from->firestore && to->firestore;
  auto target = open_place(*to, keep_chain ? head->engine_id : "", world);
  if (!target.ok()) return complain(target.error());
  const bool shows = ::isatty(STDERR_FILENO) == 1;
  MigratePlan plan{**source, **target, keep_chain, [shows](std::int64_t done) {
                     if (shows) fmt::print(stderr, "\r{} entries copied\033[K", done);
                   }};
  auto report = world.wait(migrate(std::move(plan)));
  if (shows) fmt::print(stderr, "\r\033[K");
  if (!report.ok()) return complain(report.error());
  print_report(*report, options.json);
  return report->ok() ? 0 : kVerificationFailed;
}

}  // namespace state_engine
