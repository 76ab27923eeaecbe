// The gate: whether an action may happen, by what the state says right now.
//
// An action declares what it requires of keys ({stream.state: on}). The gate is code, not a prompt:
// it looks at a reading made right before the action, never at what was read for the conversation.
// What is unknown does not open it: a key without a value, an expired one, an engine that cannot be
// reached, or an answer that does not mention the key.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_GATE_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_GATE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace state_engine::llm {

// The value a key must have; null = it must have none.
struct Requirement {
  std::string key;
  json::Value value;
};

// One key as the engine told it.
struct KeyState {
  json::Value value;
  std::int64_t version = 0;
  std::optional<Timestamp> expires_at;
};

// Keys read at one revision. A key that was asked for and has no value is in `absent`.
struct Reading {
  std::map<std::string, KeyState> present;
  std::set<std::string> absent;
};

// Reads the structured answer of get_state. Errors: kInternal if it is not one.
Result<Reading> read_snapshots(const json::Object& answer);

enum class GateVerdict {
  kOpen,
  kClosed,   // a key has another value
  kUnknown,  // nothing can be said of a key: do not act
};

struct GateDecision {
  GateVerdict verdict = GateVerdict::kUnknown;
  std::string why;  // in plain words, for people; empty when open
};

// `reading` is the engine's answer, or why there is none.
GateDecision check_gate(const std::vector<Requirement>& requirements,
                        const Result<Reading>& reading, Timestamp now);

// "on", "42", "no value": a value in a sentence.
std::string in_words(const json::Value& value);

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_GATE_H_
