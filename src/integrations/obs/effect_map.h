// EffectMap: which commands an egress event asks for.
//
// By default an event of type "obs.<command>" is that command, with its parameters in the event's
// payload: {"type": "obs.switch_scene", "scene": "Live"} in a rule. The configuration may map any
// other type to commands, whose texts may take values of the event: "${payload.title}".
//
// Threads: immutable once made.

#ifndef STATE_ENGINE_INTEGRATIONS_OBS_EFFECT_MAP_H_
#define STATE_ENGINE_INTEGRATIONS_OBS_EFFECT_MAP_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "integrations/obs/command.h"

namespace state_engine::obs {

class EffectMap {
 public:
  struct Action {
    CommandKind kind = CommandKind::kSwitchScene;
    json::Object parameters;  // strings may hold ${path}
  };

  // Adds commands for the events of `type`; they replace what the type would do by itself.
  // Errors: kInvalidArgument for parameters that cannot be right whatever the event holds.
  Status add(const std::string& type, Action action);

  struct Wanted {
    std::vector<Command> commands;
    std::vector<std::string> faults;  // commands that could not be made, and why
  };
  // Nothing for an event that is not meant for OBS.
  Wanted commands_of(const json::Object& event) const;

 private:
  std::map<std::string, std::vector<Action>, std::less<>> by_type_;
};

// `text` with each ${a.b} replaced by that member of `event`; a text that is nothing but one such
// place becomes the member itself, whatever its type. Errors: kNotFound for a member that is
// absent or cannot be written into a text.
Result<json::Value> fill_in(std::string_view text, const json::Object& event);

}  // namespace state_engine::obs

#endif  // STATE_ENGINE_INTEGRATIONS_OBS_EFFECT_MAP_H_
