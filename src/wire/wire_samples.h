// Core values for golden texts and typed samples. Tests only; random ones are in
// wire_random_samples.h.

#ifndef STATE_ENGINE_WIRE_WIRE_SAMPLES_H_
#define STATE_ENGINE_WIRE_WIRE_SAMPLES_H_

#include <memory>
#include <string>
#include <utility>

#include "core/types.h"

namespace state_engine::wire::samples {

inline Timestamp noon() { return timestamp_from_ms(1'763'812'800'250); }

inline Proposal proposal() {
  Proposal out;
  out.id = "6f1c7a52-0b7e-4f43-9f0e-2d4b6f7a9c11";
  out.op = Op::kSet;
  out.key = "stream.state";
  out.value = json::Value("on");
  out.actor = "ingress-egress:twitch";
  out.reason = "stream.online";
  out.expected_version = 3;
  out.ts = noon();
  out.ttl = std::chrono::milliseconds{1500};
  out.metadata = {{"streamId", "41375541868"}, {"broadcasterId", "1971641"}};
  out.correlation_id = "c-1";
  return out;
}

inline Snapshot snapshot() {
  Snapshot out;
  out.key = "stream.state";
  out.value = json::Value("on");
  out.version = 4;
  out.updated_at = noon();
  out.updated_by = "ingress-egress:twitch";
  out.seq = 17;
  out.mutation_id = "m-17";
  out.reason = "stream.online";
  out.metadata = {{"streamId", "41375541868"}};
  return out;
}

inline Effect effect() {
  Effect out;
  out.id = "fx-0123456789abcdef0123456789abcdef";
  out.rule_id = "stream-online";
  out.cause_id = "m-17";
  out.cause_seq = 17;
  out.type = "system.stream.online";
  out.payload = R"({"message":"Stream detected online","type":"system.stream.online"})";
  out.correlation_id = "c-1";
  out.created_at = noon();
  return out;
}

inline MutationResult accepted_result() {
  MutationResult out;
  out.mutation_id = "m-17";
  out.accepted = true;
  out.key = "stream.state";
  out.version = 4;
  out.previous_version = 3;
  out.seq = 17;
  out.committed_at = noon();
  out.effects.push_back(effect());
  return out;
}

inline MutationResult conflict_result() {
  MutationResult out;
  out.mutation_id = "m-18";
  out.code = RejectionCode::kVersionConflict;
  out.error = "Version mismatch: expected 3, found 4";
  out.key = "stream.state";
  out.previous_version = 4;
  out.seq = 18;
  out.committed_at = noon();
  out.current = std::make_shared<const Snapshot>(snapshot());
  return out;
}

inline TransactionResult transaction_result() {
  TransactionResult out;
  out.transaction_id = "t-1";
  out.code = RejectionCode::kVersionConflict;
  out.error = "Version mismatch: expected 3, found 4";
  out.failed_index = 0;
  out.members.push_back(conflict_result());
  return out;
}

inline LogEntry log_entry() {
  LogEntry out;
  out.proposal = proposal();
  out.seq = 17;
  out.engine_id = "e-1";
  out.principal = "token:twitch";
  out.accepted = true;
  out.previous_version = 3;
  out.resulting_version = 4;
  out.committed_at = noon();
  out.policy_revision = "p-1";
  out.policy_rule = "stream.*";
  out.rule_revision = "r-1";
  out.rules.push_back({"stream-online", "ab12", true, 1, 0, {{"obs.scene", 2}}, "", "it waits"});
  out.payload_hash = std::string(64, 'a');
  out.resulting_value = json::Value("on");
  out.salt = "00ff";
  out.prev_hash = std::string(64, '0');
  out.hash = std::string(64, 'b');
  return out;
}

inline ChangeEvent change() {
  ChangeEvent out;
  out.seq = 17;
  out.engine_id = "e-1";
  out.key = "stream.state";
  out.version = 4;
  out.value = json::Value("on");
  out.prev = json::Value("off");
  out.actor = "ingress-egress:twitch";
  out.reason = "stream.online";
  out.mutation_id = "m-17";
  out.correlation_id = "c-1";
  out.committed_at = noon();
  return out;
}

}  // namespace state_engine::wire::samples

#endif  // STATE_ENGINE_WIRE_WIRE_SAMPLES_H_
