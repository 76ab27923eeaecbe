// Command and Outcome: what OBS shall do, and what came of it.

#ifndef STATE_ENGINE_INTEGRATIONS_OBS_COMMAND_H_
#define STATE_ENGINE_INTEGRATIONS_OBS_COMMAND_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace state_engine::obs {

enum class CommandKind {
  kSwitchScene,
  kStartStream,
  kStopStream,
  kStartRecord,
  kStopRecord,
  kPauseRecord,
  kResumeRecord,
  kSetMute,
  kSetSourceVisible,
  kSetText,
};

struct Command {
  CommandKind kind = CommandKind::kSwitchScene;
  std::string scene;   // switch_scene; optional for set_source_visible: the current one
  std::string target;  // the input or source
  std::string text;    // set_text
  bool on = false;     // set_mute: muted; set_source_visible: visible
};

// "switch_scene", ...: in effects, in the configuration and after "obs_" as tool names.
std::string_view to_string(CommandKind kind);
std::optional<CommandKind> parse_command_kind(std::string_view name);
// All names, for messages.
std::string command_names();

// Reads the parameters of `kind` from the members of `parameters`: scene, source, input, text,
// visible, muted. Errors: kInvalidArgument, saying what is missing or wrong.
Result<Command> read_command(CommandKind kind, const json::Object& parameters);

// "switch_scene 'Live'", for logs.
std::string describe(const Command& command);

enum class OutcomeKind {
  kDone,         // OBS did it: an event or its state says so
  kNoChange,     // it was so already
  kFailed,       // OBS refused, or did not do what it accepted
  kSuperseded,   // a later command wanted something else
  kUnavailable,  // OBS is not connected
  kUnconfirmed,  // accepted, but no sign of it in time: look at the state
};

std::string_view to_string(OutcomeKind kind);

struct Outcome {
  OutcomeKind kind = OutcomeKind::kDone;
  std::string message;  // for people and models; empty if all is said
  json::Object facts;   // further facts, such as outputPath

  bool ok() const { return kind == OutcomeKind::kDone || kind == OutcomeKind::kNoChange; }
};

}  // namespace state_engine::obs

#endif  // STATE_ENGINE_INTEGRATIONS_OBS_COMMAND_H_
