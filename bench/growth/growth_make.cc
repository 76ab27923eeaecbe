// Writes a data directory of a given size: K keys and L log entries, as an engine that ran for long
// would have left it, without the waiting.
//
// Every entry is decided by the engine's own BatchBuilder and written by the store's own Writer, so
// that `state-engine verify` accepts the directory; only durability is off while it grows (one
// fsync at the end), and a batch holds far more entries than an engine's. One batch is written
// while the next is decided. The same --seed gives the same values in the same order.
//
// The first K entries set each key once, the others change keys at random: of ten, eight replace a
// value, one increments a number, one is refused for its version.

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sqlite3.h>

#include "base/json.h"
#include "base/random.h"
#include "config/config.h"
#include "engine/batch_builder.h"
#include "engine/rate_limiter.h"
#include "engine/rule_memories.h"
#include "engine/snapshot_index.h"
#include "store/sqlite/data_dir.h"
#include "store/sqlite/database.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/unfolded_log.h"
#include "store/sqlite/writer.h"

namespace state_engine {
namespace {

constexpr std::int64_t kBatch = 250'000;  // 0.5 GB of memory, twice
constexpr std::string_view kConfig = "allowedKeys: [\"stream.*\", \"user.*\", \"bench.*\"]\n";

struct MakeOptions {
  std::string directory;
  std::int64_t keys = 1000;
  std::int64_t entries = 0;  // less than `keys` = as many as keys
  std::uint64_t seed = 1;
};

// Every tenth key counts, the others hold facts.
bool counts(std::int64_t key) { return key % 10 == 9; }

std::string key_name(std::int64_t key) {
  return fmt::format("user.{}.{}", counts(key) ? "count" : "fact", key);
}

class Maker {
 public:
  Maker(const MakeOptions& options, const config::CompiledConfig& config)
      : options_(options), config_(config), random_(options.seed) {}

  Status run();

 private:
  Status open();
  Status write_batch(std::int64_t count);
  Status await_written();
  Proposal next_proposal(std::int64_t number);
  Status close();

  const MakeOptions& options_;
  const config::CompiledConfig& config_;
  SeededRandom random_;
  SnapshotIndex index_;
  RateLimiter rates_;
  RuleMemories memories_;
  StoreHead head_;
  Timestamp now_{};
  sqlite::UnfoldedLog unfolded_{0};
  std::unique_ptr<sqlite::Writer> writer_;
  std::future<CommitReply> written_;  // last: waits before the writer goes
};

// Commits straight into the file, with room for the indexes, which must not be read from disk again
// and again. (SQLite's defensive mode ignores journal_mode=OFF.)
Status leave_wal(sqlite::Database& database) {
  auto mode = database.prepare("PRAGMA journal_mode=MEMORY", false);
  if (!mode.ok()) return std::move(mode).error();
  const int left = mode->step();
  if (left != SQLITE_ROW || mode->text(0) != "memory") {
    return database.to_error(left, "leave the write-ahead log");
  }
  *mode = sqlite::Statement{};
  const int code = database.execute(
      "PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF; PRAGMA cache_size=-2000000");
  if (code != SQLITE_OK) return database.to_error(code, "prepare to write fast");
  return {};
}

Status Maker::open() {
  const std::filesystem::path file = sqlite::database_file(options_.directory);
  std::error_code fault;
  std::filesystem::create_directories(options_.directory, fault);
  if (std::filesystem::exists(file, fault)) {
    return Error{ErrorCode::kFailedPrecondition, file.string() + " exists; name another directory"};
  }
  SE_RETURN_IF_ERROR(sqlite::create_database_file(options_.directory));
  auto database = sqlite::Database::open(file, sqlite::OpenMode::kWriter);
  if (!database.ok()) return database.error();
  const Timestamp end = SystemClock().wall_now();
  now_ = end - std::chrono::milliseconds{std::max(options_.entries, options_.keys)};
  head_ = {new_uuid(random_), 0, std::string(64, '0'), now_};
  SE_RETURN_IF_ERROR(
      sqlite::ensure_schema(*database, file, sqlite::current_schema(), {head_.engine_id, now_}));
  SE_RETURN_IF_ERROR(leave_wal(*database));
  auto writer = sqlite::Writer::create(std::move(*database), {0, head_.hash}, unfolded_, kBatch);
  if (!writer.ok()) return writer.error();
  writer_ = std::move(*writer);
  SE_RETURN_IF_ERROR(
      writer_->save_source({"policy", config_.policy->revision(), config_.policy->source()}));
  return writer_->save_source({"rules", config_.rules->revision(), config_.rules_source});
}

Proposal Maker::next_proposal(std::int64_t number) {
  const bool fresh = number < options_.keys;
  const std::int64_t key =
      fresh ? number
            : static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(options_.keys)));
  Proposal proposal;
  proposal.id = new_ordered_uuid(random_, now_);
  proposal.key = key_name(key);
  proposal.actor = fmt::format("agent-{}", random_.below(4));
  proposal.reason = "benchmark";
  const std::uint64_t kind = fresh ? 0 : random_.below(10);
  if (counts(key)) {
    proposal.value = std::int64_t{1};
    if (!fresh) proposal.op = Op::kIncrement;
  } else {
    proposal.value = json::Object{{"n", number}, {"text", "a fact"}};
  }
  if (kind == 9) proposal.expected_version = 0;
  return proposal;
}

Status Maker::write_batch(std::int64_t count) {
  BatchBuilder builder({index_.view(), config_.policy, config_.rules, rates_, memories_, random_,
                        head_, now_, std::chrono::nanoseconds{0}});
  const Origin origin{"bench", true};
  for (std::int64_t i = 0; i < count; ++i) {
    builder.decide(next_proposal(head_.seq + i), origin, false, nullptr);
  }
  const std::shared_ptr<const CommitBatch> batch = builder.take();
  SE_ASSERT(static_cast<std::int64_t>(batch->entries.size()) == count);
  for (const SnapshotPtr& snapshot : batch->snapshots) index_.put(snapshot);
  head_.seq = batch->entries.back().seq;
  head_.hash = batch->entries.back().hash;
  index_.publish(head_.seq);
  now_ += std::chrono::milliseconds{count};
  SE_RETURN_IF_ERROR(await_written());
  written_ = std::async(std::launch::async, [this, batch] { return writer_->commit(*batch); });
  return {};
}

Status Maker::await_written() {
  if (!written_.valid()) return {};
  const CommitReply reply = written_.get();
  if (reply.outcome == CommitOutcome::kCommitted) return {};
  return Error{ErrorCode::kUnavailable, reply.message};
}

Status Maker::close() {
  SE_RETURN_IF_ERROR(writer_->fold_all());
  SE_RETURN_IF_ERROR(writer_->close());
  const std::filesystem::path file = sqlite::database_file(options_.directory);
  auto database = sqlite::Database::open(file, sqlite::OpenMode::kWriter);  // back to WAL
  if (!database.ok()) return database.error();
  return sqlite::sync_file(file);
}

Status Maker::run() {
  SE_RETURN_IF_ERROR(open());
  const std::int64_t total = std::max(options_.entries, options_.keys);
  const auto begin = std::chrono::steady_clock::now();
  while (head_.seq < total) {
    SE_RETURN_IF_ERROR(write_batch(std::min(kBatch, total - head_.seq)));
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    fmt::print(stderr, "{} of {} entries, {:.0f}/s\n", head_.seq, total,
               static_cast<double>(head_.seq) / passed.count());
  }
  SE_RETURN_IF_ERROR(await_written());
  return close();
}

int run(int argc, char** argv) {
  MakeOptions options;
  CLI::App app{"Writes a data directory with many keys and log entries, for benchmarks."};
  app.add_option("directory", options.directory, "Where state.db goes")->required();
  app.add_option("--keys", options.keys, "Keys")->check(CLI::Range(1, 100'000'000));
  app.add_option("--entries", options.entries, "Log entries; at least one for each key")
      ->check(CLI::Range(0, 1'000'000'000));
  app.add_option("--seed", options.seed, "What the values and ids are made from");
  CLI11_PARSE(app, argc, argv);
  auto config = config::compile_config(config::load_config_text("bench.yaml", kConfig));
  SE_ASSERT(config.ok());
  const Status made = Maker(options, *config.config).run();
  if (made.ok()) return 0;
  fmt::print(stderr, "bench_growth_make: {}\n", made.error().message);
  return 1;
}

}  // namespace
}  // namespace state_engine

int main(int argc, char** argv) {
  try {
    return state_engine::run(argc, argv);
  } catch (const std::exception& fault) {
    std::fputs("bench_growth_make: ", stderr);
    std::fputs(fault.what(), stderr);
    return 1;
  }
}
