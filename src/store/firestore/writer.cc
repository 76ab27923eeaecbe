// What an error of Commit says about what was written:
//   FAILED_PRECONDITION, ALREADY_EXISTS, NOT_FOUND   nothing by this attempt; an earlier one may
//   have ABORTED                                          nothing: contention, try again
//   INVALID_ARGUMENT, PERMISSION_DENIED, ...         nothing, and never will be
//   anything else                                    unknown
// Attempting the same Commit again is always safe, since it creates its log records.

#include "store/firestore/writer.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "core/chain.h"
#include "store/firestore/documents.h"
#include "store/firestore/ids.h"

namespace state_engine::firestore {
namespace {

namespace fs = google::firestore::v1;

// Firestore takes 10 MiB in one request; some of it is framing.
constexpr std::size_t kCommitBytesMax = 10 * 1024 * 1024 - 64 * 1024;
constexpr std::size_t kWritesPerCommit = 300;
constexpr std::size_t kSourcePartBytes = 900 * 1024;
// Positions leave room for so many effects of one mutation.
constexpr std::int64_t kEffectsPerSeq = 1'000'000;
constexpr std::size_t kForgottenTogether = 300;
constexpr std::size_t kAdoptedTogether = 100;
constexpr std::chrono::minutes kForgetEvery{10};

CommitReply not_committed(std::string message) {
  return {CommitOutcome::kNotCommitted, false, std::move(message)};
}

Status check_size(const Document& document) {
  const std::size_t bytes = document.ByteSizeLong();
  if (bytes <= kDocumentBytesMax) return {};
  return Error{ErrorCode::kResourceExhausted,
               fmt::format("the document {} would have {} bytes; Firestore takes {}",
                           document.name(), bytes, kDocumentBytesMax)};
}

// A state document's version before the batch: what its first accepted entry saw.
std::unordered_map<std::string_view, std::int64_t> base_versions(const CommitBatch& batch) {
  std::unordered_map<std::string_view, std::int64_t> base;
  for (const LogEntry& entry : batch.entries) {
    if (entry.accepted) base.try_emplace(entry.proposal.key, entry.previous_version);
  }
  return base;
}

template <typename Items, typename IdOf>
Status check_distinct(const Items& items, const IdOf& id_of, std::string_view what) {
  std::unordered_set<std::string_view> seen;
  for (const auto& item : items) {
    if (seen.insert(id_of(item)).second) continue;
    return invalid_argument(fmt::format("{} {} is twice in the batch", what, id_of(item)));
  }
  return {};
}

fs::Write& add_create(fs::CommitRequest& commit, const std::string& name) {
  fs::Write& write = *commit.add_writes();
  write.mutable_update()->set_name(name);
  write.mutable_current_document()->set_exists(false);
  return write;
}

}  // namespace

Writer::Writer(WriterParts parts, std::string engine_id)
    : parts_(parts),
      engine_id_(engine_id.empty() ? new_uuid(parts.random) : std::move(engine_id)),
      owner_(engine_id_),
      end_{0, genesis_hash()} {}

// ---- The end of the log ----------------------------------------------------------------------

Status Writer::find_end() {
  if (found_end_) return {};
  auto own = parts_.log_reader.last(engine_id_);
  if (!own.ok()) return std::move(own).error();
  if (own->has_value()) {
    end_ = {(*own)->seq, (*own)->hash};
    last_committed_at_ = (*own)->committed_at;
  } else {
    // A new engine's numbers follow on those of all others.
    auto any = parts_.log_reader.last("");
    if (!any.ok()) return std::move(any).error();
    if (any->has_value()) {
      end_.seq = (*any)->seq;
      last_committed_at_ = (*any)->committed_at;
    }
  }
  found_end_ = true;
  return {};
}

Result<StoreHead> Writer::head() {
  SE_RETURN_IF_ERROR(find_end());
  return StoreHead{engine_id_, end_.seq, end_.hash, last_committed_at_};
}

void Writer::become_another_engine() {
  engine_id_ = new_uuid(parts_.random);
  end_.hash = genesis_hash();
}

// ---- Commit ----------------------------------------------------------------------------------

Status Writer::check(const CommitBatch& batch) const {
  // Numbers may skip forward, past those that other engines have used; the chain may not.
  LogEnd end = end_;
  if (!batch.entries.empty()) end.seq = std::max(end.seq, batch.entries.front().seq - 1);
  SE_RETURN_IF_ERROR(check_batch(end, batch));
  SE_RETURN_IF_ERROR(check_distinct(
      batch.entries, [](const LogEntry& entry) -> std::string_view { return entry.proposal.id; },
      "mutation id"));
  return check_distinct(
      batch.effects, [](const Effect& effect) -> std::string_view { return effect.id; },
      "effect id");
}

Status Writer::add_states(const CommitBatch& batch, Commit& commit, bool& stale) {
  const auto base = base_versions(batch);
  std::vector<std::string> unseen;
  for (const SnapshotPtr& snapshot : batch.snapshots) {
    if (base.at(snapshot->key) > 0 && !parts_.known.find(snapshot->key)) {
      unseen.push_back(snapshot->key);
    }
  }
  if (auto read = parts_.state_reader.read(unseen); !read.ok()) return std::move(read).error();
  for (const SnapshotPtr& snapshot : batch.snapshots) {
    const std::int64_t version = base.at(snapshot->key);
    const auto seen = parts_.known.find(snapshot->key);
    fs::Write& write = *commit.add_writes();
    write.mutable_update()->set_name(
        parts_.calls.client().name(collections::kState, document_id(snapshot->key)));
    SE_RETURN_IF_ERROR(write_snapshot(*snapshot, engine_id_, *write.mutable_update()));
    SE_RETURN_IF_ERROR(check_size(write.update()));
    stale = stale || (seen ? seen->version : 0) != version;
    if (seen && seen->update_time) {
      *write.mutable_current_document()->mutable_update_time() = *seen->update_time;
    } else {
      write.mutable_current_document()->set_exists(false);
    }
  }
  return {};
}

Result<std::optional<Writer::Commit>> Writer::build(const CommitBatch& batch) {
  const Client& client = parts_.calls.client();
  for (const LogEntry& entry : batch.entries) {
    if (json::is_utf8(entry.proposal.id) && json::is_utf8(entry.proposal.key)) continue;
    return invalid_argument("a mutation id or key is not UTF-8, which Firestore requires");
  }
  Commit commit;
  bool stale = false;
  SE_RETURN_IF_ERROR(add_states(batch, commit, stale));
  if (stale) return std::optional<Commit>();
  for (const LogEntry& entry : batch.entries) {
    fs::Write& write =
        add_create(commit, client.name(collections::kLog, document_id(entry.proposal.id)));
    SE_RETURN_IF_ERROR(write_entry(entry, *write.mutable_update()));
    SE_RETURN_IF_ERROR(check_size(write.update()));
  }
  std::int64_t index = 0;
  std::int64_t seq = -1;
  for (const Effect& effect : batch.effects) {
    index = effect.cause_seq == seq ? index + 1 : 0;
    seq = effect.cause_seq;
    fs::Write& write =
        add_create(commit, client.name(collections::kOutbox, document_id(effect.id)));
    SE_RETURN_IF_ERROR(
        write_effect(effect, owner_, seq * kEffectsPerSeq + index, *write.mutable_update()));
    SE_RETURN_IF_ERROR(check_size(write.update()));
  }
  for (const RuleState& state : batch.rule_states) {
    fs::Write& write = *commit.add_writes();
    write.mutable_update()->set_name(
        client.name(collections::kRuleState, rule_state_id(state.rule_id, state.key)));
    SE_RETURN_IF_ERROR(write_rule_state(state, *write.mutable_update()));
  }
  if (const std::size_t bytes = commit.ByteSizeLong(); bytes > kCommitBytesMax) {
    return Error{ErrorCode::kResourceExhausted,
                 fmt::format("the batch would have {} bytes; Firestore takes {} in one commit",
                             bytes, kCommitBytesMax)};
  }
  return std::optional<Commit>(std::move(commit));
}

CommitReply Writer::commit(const CommitBatch& batch) {
  if (const Status found = find_end(); !found.ok()) return not_committed(found.error().message);
  if (const Status checked = check(batch); !checked.ok()) {
    return not_committed(checked.error().message);
  }
  auto commit = build(batch);
  if (!commit.ok()) {
    const bool too_large = commit.error().code == ErrorCode::kResourceExhausted;
    return {too_large ? CommitOutcome::kTooLarge : CommitOutcome::kNotCommitted, false,
            commit.error().message};
  }
  if (!commit->has_value()) {
    return {CommitOutcome::kStale, false, "a key was changed by another engine"};
  }
  if ((*commit)->writes().empty()) return {CommitOutcome::kCommitted, false, ""};
  return attempt(batch, **commit);
}

CommitReply Writer::attempt(const CommitBatch& batch, const Commit& commit) {
  const auto end = std::chrono::steady_clock::now() + parts_.calls.times().commit_patience;
  bool unsure = false;  // an attempt may have been, or may still be, carried out
  for (int tries = 0;; ++tries) {
    auto reply = parts_.calls.client().commit(
        commit, std::chrono::system_clock::now() + parts_.calls.times().attempt);
    if (auto* response = std::get_if<fs::CommitResponse>(&reply)) {
      settle(batch, std::move(*response));
      return {CommitOutcome::kCommitted, false, ""};
    }
    const Fault& fault = std::get<Fault>(reply);
    bool again = false;
    CommitReply answer = after_fault(batch, fault, unsure, again);
    if (!again) return answer;
    if (std::chrono::steady_clock::now() < end && parts_.calls.pauses().wait(tries)) continue;
    if (!unsure) return not_committed(fault.message);
    become_another_engine();
    return {CommitOutcome::kUnknown, false, fault.message};
  }
}

CommitReply Writer::after_fault(const CommitBatch& batch, const Fault& fault, bool& unsure,
                                bool& again) {
  if (fault.kind == FaultKind::kContended) {
    again = true;
    return {};
  }
  if (fault.kind == FaultKind::kRefused && !unsure) return not_committed(fault.message);
  unsure = unsure || fault.kind == FaultKind::kUnknown;
  switch (find_record(batch)) {
    case Found::kOurs:
      settle(batch, std::nullopt);
      return {CommitOutcome::kCommitted, false, ""};
    case Found::kAnother:
      return {CommitOutcome::kStale, false, "a mutation id has a record by another engine"};
    case Found::kNothing:
      // A precondition that failed once fails for every attempt that may still be under way.
      if (fault.kind == FaultKind::kStale) {
        for (const SnapshotPtr& snapshot : batch.snapshots) parts_.known.forget(snapshot->key);
        return {CommitOutcome::kStale, false, fault.message};
      }
      break;
    case Found::kNoAnswer:
      unsure = true;
      break;
  }
  again = true;
  return {};
}

Writer::Found Writer::find_record(const CommitBatch& batch) {
  if (batch.entries.empty()) return Found::kNothing;
  const auto found = parts_.log_reader.lookup({batch.entries.front().proposal.id});
  if (!found.ok()) return Found::kNoAnswer;
  if (!found->front()) return Found::kNothing;
  return found->front()->hash == batch.entries.front().hash ? Found::kOurs : Found::kAnother;
}

// Notes a commit that is durable.
void Writer::settle(const CommitBatch& batch, const std::optional<fs::CommitResponse>& response) {
  if (!batch.entries.empty()) {
    end_ = {batch.entries.back().seq, batch.entries.back().hash};
    last_committed_at_ = batch.entries.back().committed_at;
  }
  // The states are the first writes; without an answer, the next commit reads them.
  for (std::size_t i = 0; i < batch.snapshots.size(); ++i) {
    const Snapshot& snapshot = *batch.snapshots[i];
    if (response && i < static_cast<std::size_t>(response->write_results_size())) {
      parts_.known.note(snapshot.key, snapshot.version,
                        response->write_results(static_cast<int>(i)).update_time());
    } else {
      parts_.known.forget(snapshot.key);
    }
  }
}

// ---- What is not part of a batch -------------------------------------------------------------

// Writes that may be repeated at will.
Status Writer::write_all(const Commit& commit) {
  if (commit.writes().empty()) return {};
  const auto end = std::chrono::steady_clock::now() + parts_.calls.times().commit_patience;
  for (int tries = 0;; ++tries) {
    const auto reply = parts_.calls.client().commit(
        commit, std::chrono::system_clock::now() + parts_.calls.times().attempt);
    const auto* fault = std::get_if<Fault>(&reply);
    if (fault == nullptr) return {};
    const bool again = fault->kind == FaultKind::kUnknown || fault->kind == FaultKind::kContended;
    if (!again || std::chrono::steady_clock::now() >= end || !parts_.calls.pauses().wait(tries)) {
      return fault->to_error();
    }
  }
}

Status Writer::mark_effects(const std::vector<std::string>& ids, EffectState state, Timestamp at,
                            Timestamp forget_before) {
  std::vector<std::string> names;
  names.reserve(ids.size());
  for (const std::string& id : ids) {
    names.push_back(parts_.calls.client().name(collections::kOutbox, document_id(id)));
  }
  auto documents = parts_.calls.get(names);
  if (!documents.ok()) return std::move(documents).error();
  Commit commit;
  for (auto& document : *documents) {
    if (!document) continue;
    fs::Write& write = *commit.add_writes();
    FieldWriter fields(*document);
    fields.text("state", to_string(state));
    for (const char* name : {"queue", "pendingSinceMs", "deliveredAt", "deliveredAtMs"}) {
      document->mutable_fields()->erase(name);
    }
    if (state == EffectState::kPending) {
      const std::int64_t position = FieldReader(*document).integer("position").value_or(0);
      fields.text("queue", sortable(owner_, position));
      fields.integer("pendingSinceMs", to_ms(at));
    } else {
      fields.time("deliveredAt", at);
      fields.integer("deliveredAtMs", to_ms(at));
    }
    *write.mutable_update() = std::move(*document);
    write.mutable_update()->clear_create_time();
    write.mutable_update()->clear_update_time();
    if (static_cast<std::size_t>(commit.writes_size()) == kWritesPerCommit) {
      SE_RETURN_IF_ERROR(write_all(commit));
      commit.Clear();
    }
  }
  SE_RETURN_IF_ERROR(write_all(commit));
  return forget_delivered(forget_before);
}

Status Writer::forget_delivered(Timestamp before) {
  if (before < forgotten_before_ + kForgetEvery) return {};
  Query query(collections::kOutbox);
  query.where("deliveredAtMs", Query::kLess, to_ms(before)).order("deliveredAtMs");
  const auto old = parts_.calls.query(query.limit(kForgottenTogether).select(kNameField).built());
  if (!old.ok()) return old.error();
  Commit commit;
  for (const Document& document : old->documents) commit.add_writes()->set_delete_(document.name());
  SE_RETURN_IF_ERROR(write_all(commit));
  if (old->documents.size() < kForgottenTogether) forgotten_before_ = before;
  return {};
}

Status Writer::save_source(const SourceRevision& source) {
  const std::size_t parts =
      std::max<std::size_t>(1, (source.text.size() + kSourcePartBytes - 1) / kSourcePartBytes);
  std::string_view rest = source.text;
  std::vector<std::string_view> texts;
  for (std::size_t i = 0; i < parts; ++i) {
    texts.push_back(utf8_beginning(rest.substr(0, kSourcePartBytes)));
    rest.remove_prefix(texts.back().size());
  }
  while (!rest.empty()) {
    texts.push_back(utf8_beginning(rest.substr(0, kSourcePartBytes)));
    rest.remove_prefix(texts.back().size());
  }
  // The first part last: it says how many there are.
  for (std::size_t i = texts.size(); i-- > 0;) {
    Commit commit;
    Document& document = *commit.add_writes()->mutable_update();
    document.set_name(parts_.calls.client().name(collections::kSources,
                                                 source_id(source.kind, source.revision, i)));
    FieldWriter fields(document);
    fields.text("kind", source.kind);
    fields.text("revision", source.revision);
    fields.text("text", texts[i]);
    fields.integer("parts", static_cast<std::int64_t>(texts.size()));
    SE_RETURN_IF_ERROR(fields.status());
    SE_RETURN_IF_ERROR(write_all(commit));
  }
  return {};
}

Status Writer::save_cursor(const std::string& name, const std::string& engine_id,
                           std::int64_t seq) {
  Commit commit;
  Document& document = *commit.add_writes()->mutable_update();
  document.set_name(parts_.calls.client().name(collections::kCursors, cursor_id(engine_id, name)));
  FieldWriter fields(document);
  fields.text("engineId", engine_id);
  fields.text("name", name);
  fields.integer("seq", seq);
  fields.time("savedAt", parts_.clock.wall_now());
  SE_RETURN_IF_ERROR(fields.status());
  return write_all(commit);
}

// ---- Effects of engines that are gone --------------------------------------------------------

Status Writer::adopt_effects(std::chrono::milliseconds age) {
  const auto now = parts_.clock.monotonic_now();
  if (adopted_at_.count() != 0 && now - adopted_at_ < age / 4) return {};
  adopted_at_ = now;
  Query query(collections::kOutbox);
  query.where("pendingSinceMs", Query::kLess, to_ms(parts_.clock.wall_now() - age));
  const auto old =
      parts_.calls.query(query.order("pendingSinceMs").limit(kAdoptedTogether).built());
  if (!old.ok()) return old.error();
  for (const Document& row : old->documents) {
    if (!FieldReader(row).text("queue").starts_with(owner_ + "\n")) adopt(row);
  }
  return {};
}

// Only one of several engines that try succeeds; the others find the row changed.
void Writer::adopt(const Document& row) {
  const FieldReader fields(row);
  Commit commit;
  fs::Write& write = *commit.add_writes();
  *write.mutable_current_document()->mutable_update_time() = row.update_time();
  Document& update = *write.mutable_update();
  update.set_name(row.name());
  FieldWriter out(update);
  out.text("queue", sortable(owner_, fields.integer("position").value_or(0)));
  out.integer("pendingSinceMs", to_ms(parts_.clock.wall_now()));
  write.mutable_update_mask()->add_field_paths("queue");
  write.mutable_update_mask()->add_field_paths("pendingSinceMs");
  const auto reply = parts_.calls.client().commit(
      commit, std::chrono::system_clock::now() + parts_.calls.times().attempt);
  if (std::holds_alternative<fs::CommitResponse>(reply)) {
    parts_.log.info("took over an effect that another engine has not sent",
                    {{"effectId", fields.text("id")}, {"engineId", fields.text("engineId")}});
  }
}

}  // namespace state_engine::firestore
