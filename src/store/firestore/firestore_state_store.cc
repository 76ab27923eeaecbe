// Hands every call to the writing thread or a reading one and brings its answer back.

#include "store/firestore/firestore_state_store.h"

#include <utility>

#include "base/assert.h"
#include "store/firestore/calls.h"
#include "store/firestore/client.h"
#include "store/firestore/known_versions.h"
#include "store/firestore/log_reader.h"
#include "store/firestore/state_reader.h"
#include "store/firestore/work_pool.h"
#include "store/firestore/writer.h"

namespace state_engine {
namespace {

constexpr int kReadThreads = 4;

}  // namespace

// Members are destroyed last to first: the threads end before what they use.
struct FirestoreStateStore::Core {
  Core(const FirestoreOptions& options, std::unique_ptr<firestore::Client> connected)
      : adopt_after(options.adopt_after),
        client(std::move(connected)),
        pauses(*options.random),
        calls(*client, pauses,
              {options.call_timeout, options.read_patience, options.commit_patience}),
        log_reader(calls),
        state_reader(calls, known),
        writer(
            {calls, known, log_reader, state_reader, *options.random, *options.clock, *options.log},
            options.engine_id),
        writing(1),
        reading(kReadThreads) {}

  std::chrono::milliseconds adopt_after;
  std::unique_ptr<firestore::Client> client;
  firestore::Pauses pauses;
  firestore::KnownVersions known;
  firestore::Calls calls;
  firestore::LogReader log_reader;
  firestore::StateReader state_reader;
  firestore::Writer writer;  // on the writing thread
  firestore::WorkPool writing;
  firestore::WorkPool reading;
};

FirestoreStateStore::FirestoreStateStore(std::unique_ptr<Core> core) : core_(std::move(core)) {}

FirestoreStateStore::~FirestoreStateStore() = default;

Result<std::unique_ptr<FirestoreStateStore>> FirestoreStateStore::open(
    const FirestoreOptions& options) {
  SE_ASSERT(options.clock != nullptr);
  SE_ASSERT(options.random != nullptr);
  SE_ASSERT(options.log != nullptr);
  if (options.project.empty()) {
    return invalid_argument(
        "Firestore needs a project: --firestore-project ID, or set "
        "GOOGLE_CLOUD_PROJECT");
  }
  firestore::ClientOptions client_options;
  client_options.project = options.project;
  client_options.database = options.database;
  client_options.emulator = options.emulator;
  client_options.endpoint_for_test = options.endpoint_for_test;
  client_options.roots_for_test = options.roots_for_test;
  client_options.service_account_for_test = options.service_account_for_test;
  auto client = firestore::Client::create(client_options);
  if (!client.ok()) return std::move(client).error();
  auto core = std::make_unique<Core>(options, std::move(*client));
  if (auto head = core->writer.head(); !head.ok()) return std::move(head).error();
  return std::unique_ptr<FirestoreStateStore>(new FirestoreStateStore(std::move(core)));
}

StateStore::Awaitable<Result<StoreHead>> FirestoreStateStore::head() {
  return core_->writing.run([this] { return core_->writer.head(); });
}

StateStore::Awaitable<CommitReply> FirestoreStateStore::commit(
    std::shared_ptr<const CommitBatch> batch) {
  return core_->writing.run(
      [this, batch = std::move(batch)] { return core_->writer.commit(*batch); });
}

StateStore::Awaitable<Result<std::vector<std::optional<LogEntry>>>> FirestoreStateStore::lookup(
    std::vector<std::string> mutation_ids) {
  return core_->reading.run(
      [this, ids = std::move(mutation_ids)] { return core_->log_reader.lookup(ids); });
}

StateStore::Awaitable<Result<std::vector<SnapshotPtr>>> FirestoreStateStore::scan_snapshots(
    std::string after_key, std::size_t limit) {
  return core_->reading.run(
      [this, after = std::move(after_key), limit]() -> Result<std::vector<SnapshotPtr>> {
        auto page = core_->state_reader.read_prefix({"", after, limit, ""});
        if (!page.ok()) return std::move(page).error();
        return std::move(page->snapshots);
      });
}

StateStore::Awaitable<Result<std::vector<LogEntry>>> FirestoreStateStore::read_log(LogQuery query) {
  return core_->reading.run(
      [this, query = std::move(query)] { return core_->log_reader.read(query); });
}

StateStore::Awaitable<Result<std::vector<OutboxRow>>> FirestoreStateStore::pending_effects(
    std::int64_t after_position, std::size_t limit) {
  return core_->writing.run([this, after_position, limit]() -> Result<std::vector<OutboxRow>> {
    SE_RETURN_IF_ERROR(core_->writer.adopt_effects(core_->adopt_after));
    return core_->log_reader.pending(core_->writer.owner(), after_position, limit);
  });
}

StateStore::Awaitable<Result<std::vector<OutboxRow>>> FirestoreStateStore::effects_of(
    std::vector<std::string> mutation_ids) {
  return core_->reading.run(
      [this, ids = std::move(mutation_ids)] { return core_->log_reader.effects_of(ids); });
}

StateStore::Awaitable<Status> FirestoreStateStore::mark_effects(std::vector<std::string> effect_ids,
                                                                EffectState state, Timestamp at,
                                                                Timestamp forget_before) {
  return core_->writing.run([this, ids = std::move(effect_ids), state, at, forget_before] {
    return core_->writer.mark_effects(ids, state, at, forget_before);
  });
}

StateStore::Awaitable<Result<std::vector<RuleState>>> FirestoreStateStore::rule_states() {
  return core_->reading.run([this] { return core_->state_reader.rule_states(); });
}

StateStore::Awaitable<Status> FirestoreStateStore::save_source(SourceRevision source) {
  return core_->writing.run(
      [this, source = std::move(source)] { return core_->writer.save_source(source); });
}

StateStore::Awaitable<Result<SourceRevision>> FirestoreStateStore::source(std::string kind,
                                                                          std::string revision) {
  return core_->reading.run([this, kind = std::move(kind), revision = std::move(revision)] {
    return core_->log_reader.source(kind, revision);
  });
}

StateStore::Awaitable<Result<std::int64_t>> FirestoreStateStore::cursor(std::string name) {
  return core_->reading.run([this, name = std::move(name)] {
    return core_->log_reader.cursor(core_->writer.owner(), name);
  });
}

StateStore::Awaitable<Status> FirestoreStateStore::save_cursor(std::string name, std::int64_t seq) {
  return core_->writing.run([this, name = std::move(name), seq] {
    return core_->writer.save_cursor(name, core_->writer.owner(), seq);
  });
}

StateStore::Awaitable<Result<std::vector<PublishCursor>>> FirestoreStateStore::left_cursors(
    std::string name, Timestamp before) {
  return core_->reading.run([this, name = std::move(name), before] {
    return core_->log_reader.left_cursors(core_->writer.owner(), name, before);
  });
}

StateStore::Awaitable<Status> FirestoreStateStore::save_left_cursor(std::string name,
                                                                    PublishCursor cursor) {
  return core_->writing.run([this, name = std::move(name), cursor = std::move(cursor)] {
    return core_->writer.save_cursor(name, cursor.engine_id, cursor.seq);
  });
}

StateStore::Awaitable<Status> FirestoreStateStore::close() {
  core_->pauses.stop();
  // Behind everything that was asked before.
  co_return co_await core_->writing.run([] { return Status(); });
}

StateStore::Awaitable<Result<std::vector<SnapshotPtr>>> FirestoreStateStore::read(
    std::vector<std::string> keys) {
  return core_->reading.run(
      [this, keys = std::move(keys)] { return core_->state_reader.read(keys); });
}

StateStore::Awaitable<Result<FreshState>> FirestoreStateStore::refresh(
    std::vector<std::string> keys, int attempt) {
  return core_->reading.run([this, keys = std::move(keys), attempt] {
    if (attempt > 0) core_->pauses.wait(attempt - 1);
    return core_->state_reader.refresh(keys);
  });
}

StateStore::Awaitable<Result<PrefixPage>> FirestoreStateStore::read_prefix(PrefixQuery query) {
  return core_->reading.run(
      [this, query = std::move(query)] { return core_->state_reader.read_prefix(query); });
}

StateStore::Awaitable<Result<std::vector<std::string>>> FirestoreStateStore::overdue(
    Timestamp now, std::size_t limit) {
  return core_->reading.run([this, now, limit] { return core_->state_reader.overdue(now, limit); });
}

}  // namespace state_engine
