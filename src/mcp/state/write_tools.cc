// propose_mutation and propose_transaction: answers after the commit, and errors a model can act
// on.

#include <cmath>

#include <fmt/format.h>

#include "base/limits.h"
#include "mcp/protocol/arguments.h"
#include "mcp/protocol/message.h"
#include "mcp/state/state_service.h"
#include "wire/json_codec.h"

namespace state_engine::mcp {
namespace {

constexpr std::size_t kAllowedBytesMax = 1024;

// The actor of a request: what its credential says. The one shared token speaks for a bot, whose
// user the request may name.
std::string actor_of(const RequestContext& context) {
  std::string actor = context.caller.actor;
  if (context.caller.principal != kSharedTokenPrincipal) return actor;
  if (!context.meta) return actor;
  if (const auto user = find_text(*context.meta, "userId"); user && !user->empty()) {
    actor.append(":").append(*user);
  }
  return actor;
}

// Reads the fields that a single mutation and a member of a transaction share.
Proposal read_mutation(ArgumentReader& reader) {
  Proposal proposal;
  proposal.key = reader.required_string("key", {.bytes_min = 1, .bytes_max = limits::kKeyBytesMax});
  if (auto name = reader.optional_string(
          "op", {.one_of = {"set", "delete", "increment", "push", "merge"}})) {
    if (const auto op = parse_op(*name)) proposal.op = *op;
  }
  const json::Value* value = reader.optional_value("value");
  if (value == nullptr && proposal.op != Op::kDelete) {
    reader.add_fault("value", fmt::format("is required: any JSON value, since op is {}",
                                          to_string(proposal.op)));
  }
  if (value != nullptr && proposal.op != Op::kDelete) proposal.value = *value;
  proposal.expected_version = reader.optional_int("expectedVersion", 0);
  if (auto ttl = reader.optional_number("ttl")) {
    if (!(*ttl > 0) || *ttl > 1e11) {
      reader.add_fault("ttl", "must be a number of seconds greater than 0");
    } else {
      proposal.ttl = std::chrono::milliseconds{
          std::max<std::int64_t>(1, static_cast<std::int64_t>(std::llround(*ttl * 1000)))};
    }
  }
  if (const json::Object* metadata = reader.optional_object("metadata")) {
    proposal.metadata = *metadata;
  }
  return proposal;
}

std::string remedy(RejectionCode code) {
  return code == RejectionCode::kNone ? "" : std::string(info(code).remedy);
}

ToolResult rejection(const MutationResult& result, const std::string& hint) {
  std::string text = json::write(wire::encode_result(result));
  text += fmt::format("\nRejected ({}): {}. {}", to_string(result.code), result.error,
                      remedy(result.code)) +
          hint;
  if (result.code == RejectionCode::kVersionConflict) {
    if (result.current != nullptr) {
      text += fmt::format(
          " {} is now at version {}, last changed by {} ({}). If your change still makes sense, "
          "call propose_mutation with expectedVersion {}.",
          result.key, result.current->version, result.current->updated_by, result.current->reason,
          result.current->version);
    } else {
      text += fmt::format(" {} has no value now: use expectedVersion 0 to create it.", result.key);
    }
  }
  return ToolResult::error(std::move(text));
}

ToolResult rejection(const TransactionResult& result, const std::string& hint) {
  std::string text = json::write(wire::encode_transaction_result(result));
  text += fmt::format("\nRejected ({}), nothing was applied", to_string(result.code));
  if (result.failed_index) text += fmt::format("; mutation {} failed", *result.failed_index);
  text += fmt::format(": {}. {}", result.error, remedy(result.code)) + hint;
  return ToolResult::error(std::move(text));
}

Origin origin_of(const RequestContext& context) { return {context.caller.principal, true}; }

}  // namespace

void StateService::use_policy_source(const std::string& source) {
  const auto value = json::parse(source, json::trusted_limits());
  if (!value.ok() || !value->is_object()) return;
  const json::Value* keys = json::find(value->get_object(), "allowedKeys");
  if (keys == nullptr || !keys->is_array()) return;
  std::string text;
  std::size_t shown = 0;
  for (const json::Value& key : keys->get_array()) {
    if (!key.is_string() || text.size() + key.get_string().size() > kAllowedBytesMax) break;
    text += fmt::format("{}{}", shown == 0 ? "" : ", ", std::string_view(key.get_string()));
    ++shown;
  }
  const std::size_t more = keys->get_array().size() - shown;
  if (more > 0) text += fmt::format("{}and {} more", shown == 0 ? "" : ", ", more);
  const std::lock_guard lock(mutex_);
  allowed_keys_ = std::move(text);
}

std::string StateService::hint(RejectionCode code) const {
  if (code != RejectionCode::kKeyNotAllowed) return {};
  const std::lock_guard lock(mutex_);
  return allowed_keys_.empty() ? "" : fmt::format(" Allowed keys: {}.", allowed_keys_);
}

StateService::Reply StateService::propose_mutation(const json::Object& arguments,
                                                   RequestContext& context) {
  ArgumentReader reader(arguments, "propose_mutation");
  Proposal proposal = read_mutation(reader);
  proposal.reason =
      reader.required_string("reason", {.bytes_min = 1, .bytes_max = limits::kReasonBytesMax});
  const auto id = reader.optional_string("id", {.bytes_min = 1, .bytes_max = 512});
  proposal.correlation_id =
      reader.optional_string("correlationId", {.bytes_max = limits::kTraceBytesMax}).value_or("");
  ProposeOptions options;
  options.dry_run = reader.optional_bool("dryRun").value_or(false);
  if (auto fault = reader.finish()) co_return ToolResult::error("invalid_proposal: " + *fault);

  options.fresh_id = !id.has_value();
  proposal.id = id ? *id : new_ordered_uuid(random_, engine_.now());
  proposal.actor = actor_of(context);
  proposal.ts = engine_.now();
  proposal.traceparent = context.traceparent;
  const MutationResult result =
      co_await engine_.propose(std::move(proposal), origin_of(context), options);
  // A dry run did what was asked, whatever it found.
  if (!result.accepted && !options.dry_run) {
    co_return rejection(result, hint(result.code));
  }
  co_return ToolResult::object(wire::encode_result(result));
}

StateService::Reply StateService::propose_transaction(const json::Object& arguments,
                                                      RequestContext& context) {
  ArgumentReader reader(arguments, "propose_transaction");
  TransactionProposal transaction;
  const auto members = reader.required_object_list("mutations", 1, limits::kTransactionMembersMax);
  for (std::size_t i = 0; i < members.size(); ++i) {
    ArgumentReader member(*members[i], "propose_transaction", fmt::format("mutations[{}].", i));
    transaction.members.push_back(read_mutation(member));
    reader.add_faults_of(member);
  }
  const std::string reason =
      reader.required_string("reason", {.bytes_min = 1, .bytes_max = limits::kReasonBytesMax});
  const auto id = reader.optional_string("id", {.bytes_min = 1, .bytes_max = 512});
  const std::string correlation =
      reader.optional_string("correlationId", {.bytes_max = limits::kTraceBytesMax}).value_or("");
  ProposeOptions options;
  options.dry_run = reader.optional_bool("dryRun").value_or(false);
  if (auto fault = reader.finish()) co_return ToolResult::error("invalid_proposal: " + *fault);

  options.fresh_id = !id.has_value();
  transaction.id = id ? *id : new_ordered_uuid(random_, engine_.now());
  const Timestamp now = engine_.now();
  const std::string actor = actor_of(context);
  for (Proposal& member : transaction.members) {
    member.actor = actor;
    member.reason = reason;
    member.ts = now;
    member.correlation_id = correlation;
    member.traceparent = context.traceparent;
  }
  const TransactionResult result =
      co_await engine_.propose_transaction(std::move(transaction), origin_of(context), options);
  if (!result.accepted && !options.dry_run) {
    co_return rejection(result, hint(result.code));
  }
  co_return ToolResult::object(wire::encode_transaction_result(result));
}

}  // namespace state_engine::mcp
