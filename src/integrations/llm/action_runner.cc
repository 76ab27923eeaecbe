// The look at the state makes a refusal cheap and gives the words for it; what makes it safe is the
// engine, which checks versions and the policy's requirements with the commit.

#include "integrations/llm/action_runner.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/hex.h"

namespace state_engine::llm {
namespace {

using std::chrono::milliseconds;
using Kind = WriteOutcome::Kind;

constexpr milliseconds kPauseFirst{20};
constexpr milliseconds kRetryAfterMax{2'000};  // a person waits for the answer

// The arguments of the tool that writes: one member is a mutation, several are a transaction.
json::Object proposal_of(const Action& action, const ChatMessage& chat,
                         const json::Object& arguments, json::Array writes) {
  json::Object out;
  if (writes.size() == 1) {
    out = std::move(writes.front().as_object());
    out["metadata"] = json::Object{{"action", action.name},
                                   {"chatUserId", one_line(chat.user_id, 128)},
                                   {"chatMessageId", one_line(chat.id, 128)}};
  } else {
    out["mutations"] = std::move(writes);
  }
  const std::string reason = one_line(fill_text(action.reason, chat, arguments), 1024);
  out["reason"] = reason.empty() ? action.name : reason;
  if (!chat.correlation_id.empty()) out["correlationId"] = one_line(chat.correlation_id, 256);
  return out;
}

ActionReport report_of(const WriteOutcome& outcome, int conflicts) {
  switch (outcome.kind) {
    case Kind::kAccepted:
      return {outcome.duplicate ? ActionEnd::kAlreadyDone : ActionEnd::kDone,
              outcome.seq ? fmt::format("committed at seq {}", *outcome.seq) : "committed",
              conflicts};
    case Kind::kIdReused:
      return {ActionEnd::kAlreadyDone, "this message was acted upon before", conflicts};
    case Kind::kRefused:
      return {ActionEnd::kRefused,
              fmt::format("the state engine refused it ({}): {}", outcome.code, outcome.error),
              conflicts};
    case Kind::kLater:
      return {
          ActionEnd::kRefused,
          fmt::format("the state engine cannot take it now ({}): {}", outcome.code, outcome.error),
          conflicts};
    case Kind::kMovedOn:
      return {ActionEnd::kGaveUp, outcome.error, conflicts};
    case Kind::kUnknown:
      return {ActionEnd::kUncertain,
              "the state engine did not confirm it, so it may or may not have happened: " +
                  outcome.error,
              conflicts};
  }
  SE_UNREACHABLE();
}

}  // namespace

std::string proposal_id(const ChatMessage& chat, std::string_view what, int call_number,
                        int attempt) {
  const std::string text =
      fmt::format("{}\n{}\n{}\n{}\n{}", chat.platform, chat.id, what, call_number, attempt);
  return "bot-" + sha256_hex(text).substr(0, 32);
}

bool ActionRunner::pause(milliseconds least) {
  std::uint8_t byte = 0;
  random_.fill({&byte, 1});
  return sleep_(least + kPauseFirst * byte / 256);
}

GateDecision ActionRunner::check(const std::vector<Requirement>& requirements) {
  if (requirements.empty()) return {GateVerdict::kOpen, ""};
  std::vector<std::string> keys;
  keys.reserve(requirements.size());
  for (const Requirement& requirement : requirements) keys.push_back(requirement.key);
  const auto reading = read_keys(engine_, keys);
  return check_gate(requirements, reading, clock_.wall_now());
}

// The same id each time: what was committed unseen is answered again, not done again.
WriteOutcome ActionRunner::propose(const json::Object& proposal, std::string_view tool) {
  bool unseen = false;  // a send before may have been committed
  for (int send = 1;; ++send) {
    WriteOutcome outcome = read_write_answer(engine_.call(tool, proposal));
    // An engine that is too busy to decide has not looked whether it decided before.
    if (outcome.kind == Kind::kLater && unseen) outcome.kind = Kind::kUnknown;
    unseen = unseen || outcome.kind == Kind::kUnknown;
    const bool again = outcome.kind == Kind::kUnknown || outcome.kind == Kind::kLater;
    if (!again || send == kSendsMax || outcome.retry_after > kRetryAfterMax) return outcome;
    if (!pause(std::max(outcome.retry_after, kPauseFirst * send))) return outcome;
  }
}

ActionReport ActionRunner::run(const Action& action, const ChatMessage& chat,
                               const json::Object& arguments, int call_number) {
  const std::vector<std::string> keys = keys_of(action, chat, arguments);
  for (int attempt = 1;; ++attempt) {
    const auto reading = read_keys(engine_, keys);
    const GateDecision gate = check_gate(action.requirements, reading, clock_.wall_now());
    if (gate.verdict != GateVerdict::kOpen) return {ActionEnd::kRefused, gate.why, attempt - 1};
    if (!reading.ok()) {
      return {ActionEnd::kRefused, "the current state cannot be read: " + reading.error().message,
              attempt - 1};
    }
    json::Array writes = fill_writes(action, chat, arguments, *reading);
    if (is_already_so(writes, *reading)) {
      return {ActionEnd::kAlreadyDone, "the state is already like that", attempt - 1};
    }
    const bool single = writes.size() == 1;
    json::Object proposal = proposal_of(action, chat, arguments, std::move(writes));
    proposal["id"] = proposal_id(chat, action.name, call_number, attempt);
    const WriteOutcome outcome =
        propose(proposal, single ? "propose_mutation" : "propose_transaction");
    if (outcome.kind != Kind::kMovedOn) return report_of(outcome, attempt - 1);
    if (attempt == kDecisionsMax) {
      return {ActionEnd::kGaveUp,
              fmt::format("the state changed under it {} times; last: {}", attempt, outcome.error),
              attempt};
    }
    if (!pause(kPauseFirst * attempt)) return report_of(outcome, attempt);
  }
}

}  // namespace state_engine::llm
