// Action: something the bot may do on a viewer's wish, declared in the configuration.
//
// What an action writes is a template filled in by code; a model chooses the action and its
// arguments, no more. Effects in the world follow from rules of the engine, so that the cause of
// each is in its log and the engine's policy has the last word.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_ACTION_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_ACTION_H_

#include <optional>
#include <string>
#include <vector>

#include "integrations/llm/chat.h"
#include "integrations/llm/chat_text.h"
#include "integrations/llm/gate.h"

namespace state_engine::llm {

struct ActionParameter {
  enum class Type { kString, kInteger, kNumber, kBoolean };
  std::string name;
  Type type = Type::kString;
  std::string description;
  bool optional = false;
  std::size_t length_max = 200;     // strings: bytes
  std::vector<std::string> one_of;  // strings; empty = any
  std::optional<double> minimum;    // numbers
  std::optional<double> maximum;
};

// One write of an action.
struct ActionWrite {
  std::string key;  // a template
  std::string op = "set";
  json::Value value;  // a template
  std::optional<double> ttl_seconds;
  bool expect_version = true;  // write only if the key is as it was at the gate
};

struct Action {
  std::string name;
  std::string description;
  std::vector<Requirement> requirements;
  std::vector<std::string> roles;  // who may ask for it: one of these is enough; empty = everybody
  std::vector<ActionParameter> parameters;
  std::vector<ActionWrite> writes;  // at least one; several are one transaction
  std::string reason;               // a template; goes into the log
};

// The action as a model sees it.
ToolSpec spec_of(const Action& action);

// Reads and checks a model's arguments. Errors: kInvalidArgument, with all that is wrong, for the
// model.
Result<json::Object> read_arguments(const Action& action, std::string_view text);

// The writes filled in, as members of propose_transaction. `reading` gives the versions.
json::Array fill_writes(const Action& action, const ChatMessage& chat,
                        const json::Object& arguments, const Reading& reading);

// The keys that the action reads before it acts: what it requires and what it writes.
std::vector<std::string> keys_of(const Action& action, const ChatMessage& chat,
                                 const json::Object& arguments);

// True if the author of `chat` may ask for the action.
bool may_ask(const Action& action, const ChatMessage& chat);

// True if every key has the value already that the action would set (and it does nothing else).
bool is_already_so(const json::Array& writes, const Reading& reading);

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_ACTION_H_
