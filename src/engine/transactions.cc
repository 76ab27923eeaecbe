// BatchBuilder, transactions: members apply in order and see earlier ones; rules run once all are
// applied, per member in order; on any rejection nothing applies, the failing member is recorded
// with its code and the others as transaction_aborted.

#include <fmt/format.h>

#include "base/limits.h"
#include "core/chain.h"
#include "core/validate.h"
#include "engine/answers.h"
#include "engine/batch_builder.h"

namespace state_engine {
namespace {

std::optional<std::string> transaction_id_fault(const std::string& id) {
  if (auto fault = id_fault(id)) return fault;
  if (id.size() > limits::kTransactionIdCharsMax) {
    return fmt::format("the id of a transaction may have {} characters, this one has {}",
                       limits::kTransactionIdCharsMax, id.size());
  }
  return std::nullopt;
}

// An answer for the whole that is no decision: nothing is recorded.
TransactionResult undecided(const TransactionProposal& transaction, const MutationResult& cause) {
  TransactionResult result;
  result.transaction_id = transaction.id;
  result.code = cause.code;
  result.error = cause.error;
  result.retry_after = cause.retry_after;
  return result;
}

}  // namespace

TransactionResult BatchBuilder::decide_transaction(const TransactionProposal& transaction,
                                                   const Origin& origin, bool dry_run,
                                                   std::span<const LogEntry* const> known) {
  SE_ASSERT(!transaction.members.empty());
  SE_ASSERT(transaction.members.size() <= limits::kTransactionMembersMax);
  SE_ASSERT(known.size() == transaction.members.size());
  if (auto fault = transaction_id_fault(transaction.id)) {
    MutationResult cause;
    cause.code = RejectionCode::kInvalidProposal;
    cause.error = *fault;
    return undecided(transaction, cause);
  }
  std::vector<std::string> hashes;
  std::vector<const LogEntry*> records;
  bool any_record = false;
  for (std::size_t i = 0; i < transaction.members.size(); ++i) {
    hashes.push_back(payload_hash(transaction.members, i));
    records.push_back(record(transaction.members[i].id, known[i]));
    any_record = any_record || records.back() != nullptr;
  }
  if (any_record) {
    TransactionResult again = transaction_again(transaction, records, hashes);
    again.dry_run = dry_run;
    return again;
  }
  const Mark start = mark();
  TransactionResult result = run_transaction(transaction, hashes, origin, dry_run);
  if (dry_run) {
    rollback(start);
    result.dry_run = true;
    for (MutationResult& member : result.members) make_dry(member);
    for (MutationResult& derived : result.derived) make_dry(derived);
  }
  return result;
}

TransactionResult BatchBuilder::transaction_again(const TransactionProposal& transaction,
                                                  std::span<const LogEntry* const> records,
                                                  std::span<const std::string> hashes) const {
  TransactionResult result;
  result.transaction_id = transaction.id;
  result.duplicate = true;
  result.accepted = true;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i] == nullptr || records[i]->payload_hash != hashes[i]) {
      return undecided(transaction, id_reused_answer(transaction.id, ""));
    }
    result.members.push_back(answer_again(*records[i], hashes[i]));
    const MutationResult& member = result.members.back();
    if (member.accepted) continue;
    result.accepted = false;
    if (member.code != RejectionCode::kTransactionAborted) {
      result.failed_index = static_cast<int>(i);
      result.code = member.code;
      result.error = member.error;
    }
  }
  return result;
}

TransactionResult BatchBuilder::run_transaction(const TransactionProposal& transaction,
                                                std::span<const std::string> hashes,
                                                const Origin& origin, bool dry_run) {
  for (const Proposal& member : transaction.members) expire_if_due(member.key);
  const Mark start = mark();
  TransactionResult result;
  result.transaction_id = transaction.id;
  std::vector<Pending> pending;
  for (std::size_t i = 0; i < transaction.members.size(); ++i) {
    const Decision decision{transaction.members[i], origin, hashes[i],
                            transaction.id,         false,  dry_run};
    MutationResult member = decide_one(decision, 0, pending);
    if (!member.accepted) {
      rollback(start);
      if (!info(member.code).logged) {
        if (!dry_run) give_back_rates(std::span(transaction.members).first(i));
        return undecided(transaction, member);
      }
      return abort_transaction(transaction, hashes, origin, dry_run, i, std::move(member));
    }
    result.members.push_back(std::move(member));
  }
  for (std::size_t i = 0; i < transaction.members.size(); ++i) {
    std::string fault;
    if (run_rules({pending[i]}, result.derived, fault)) continue;
    rollback(start);
    MutationResult cause;
    cause.code = RejectionCode::kRuleBudgetExceeded;
    cause.error = std::move(fault);
    return abort_transaction(transaction, hashes, origin, dry_run, i, std::move(cause));
  }
  result.accepted = true;
  result.effects = effects_since(start.effects);
  return result;
}

// Nothing was decided: the tokens that earlier members took serve the next attempt.
void BatchBuilder::give_back_rates(std::span<const Proposal> members) {
  for (const Proposal& member : members) {
    const PolicyRule* rule = env_.policy->rule_for(member.key);
    if (rule != nullptr) env_.rates.give_back(*rule, member.actor);
  }
}

TransactionResult BatchBuilder::abort_transaction(const TransactionProposal& transaction,
                                                  std::span<const std::string> hashes,
                                                  const Origin& origin, bool dry_run,
                                                  std::size_t failed, MutationResult cause) {
  TransactionResult result;
  result.transaction_id = transaction.id;
  result.failed_index = static_cast<int>(failed);
  result.code = cause.code;
  result.error = cause.error;
  for (std::size_t i = 0; i < transaction.members.size(); ++i) {
    const Decision decision{transaction.members[i], origin, hashes[i],
                            transaction.id,         false,  dry_run};
    const PolicyRule* rule = env_.policy->rule_for(transaction.members[i].key);
    if (i == failed) {
      MutationResult member = reject(decision, rule, cause.code, cause.error);
      // Not the snapshot that an earlier member would have made: that one never came to be.
      const SnapshotPtr current = latest(transaction.members[i].key);
      if (cause.code == RejectionCode::kVersionConflict && current != nullptr &&
          current->visible_at(env_.now)) {
        member.current = current;
      }
      result.members.push_back(std::move(member));
      continue;
    }
    result.members.push_back(reject(
        decision, rule, RejectionCode::kTransactionAborted,
        fmt::format("mutation {} of the transaction was rejected: {}", failed, cause.error)));
  }
  return result;
}

}  // namespace state_engine
