// One table of names and one reader of parameters for effects, configuration and tools.

#include "integrations/obs/command.h"

#include <fmt/format.h>

#include "base/assert.h"

namespace state_engine::obs {
namespace {

constexpr std::array<std::pair<CommandKind, std::string_view>, 10> kNames = {{
    {CommandKind::kSwitchScene, "switch_scene"},
    {CommandKind::kStartStream, "start_stream"},
    {CommandKind::kStopStream, "stop_stream"},
    {CommandKind::kStartRecord, "start_record"},
    {CommandKind::kStopRecord, "stop_record"},
    {CommandKind::kPauseRecord, "pause_record"},
    {CommandKind::kResumeRecord, "resume_record"},
    {CommandKind::kSetMute, "set_mute"},
    {CommandKind::kSetSourceVisible, "set_source_visible"},
    {CommandKind::kSetText, "set_text"},
}};

constexpr std::size_t kNameBytesMax = 512;
constexpr std::size_t kTextBytesMax = 16 * 1024;

// Reads members; the first fault stays.
class Reader {
 public:
  Reader(CommandKind kind, const json::Object& parameters) : kind_(kind), from_(parameters) {}

  std::string text(std::string_view name, std::size_t bytes_max, bool may_be_empty) {
    const json::Value* const value = json::find(from_, name);
    if (value == nullptr) {
      fault(fmt::format("{} is missing", name));
    } else if (value->is_string()) {
      std::string out(value->get_string());
      if (out.size() > bytes_max) fault(fmt::format("{} is over {} bytes", name, bytes_max));
      if (out.empty() && !may_be_empty) fault(fmt::format("{} is empty", name));
      return out;
    } else {
      fault(fmt::format("{} must be a string, not {}", name, json::type_name(*value)));
    }
    return {};
  }

  std::string name(std::string_view member) { return text(member, kNameBytesMax, false); }

  std::string optional_name(std::string_view member) {
    const json::Value* const value = json::find(from_, member);
    return value == nullptr || value->is_null() ? std::string{} : name(member);
  }

  bool flag(std::string_view name) {
    const json::Value* const value = json::find(from_, name);
    if (value != nullptr && value->is_bool()) return value->get_bool();
    fault(fmt::format("{} must be true or false", name));
    return false;
  }

  const std::optional<Error>& error() const { return error_; }

 private:
  void fault(const std::string& what) {
    if (!error_) error_ = invalid_argument(fmt::format("{}: {}", to_string(kind_), what));
  }

  CommandKind kind_;
  const json::Object& from_;
  std::optional<Error> error_;
};

}  // namespace

std::string_view to_string(CommandKind kind) {
  for (const auto& [one, name] : kNames) {
    if (one == kind) return name;
  }
  SE_UNREACHABLE();
}

std::optional<CommandKind> parse_command_kind(std::string_view name) {
  for (const auto& [kind, one] : kNames) {
    if (one == name) return kind;
  }
  return std::nullopt;
}

std::string command_names() {
  std::string out;
  for (const auto& [kind, name] : kNames) {
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out;
}

Result<Command> read_command(CommandKind kind, const json::Object& parameters) {
  Reader reader(kind, parameters);
  Command command;
  command.kind = kind;
  switch (kind) {
    case CommandKind::kSwitchScene:
      command.scene = reader.name("scene");
      break;
    case CommandKind::kSetMute:
      command.target = reader.name("input");
      command.on = reader.flag("muted");
      break;
    case CommandKind::kSetSourceVisible:
      command.scene = reader.optional_name("scene");
      command.target = reader.name("source");
      command.on = reader.flag("visible");
      break;
    case CommandKind::kSetText:
      command.target = reader.name("input");
      command.text = reader.text("text", kTextBytesMax, true);
      break;
    default:
      break;
  }
  if (reader.error()) return *reader.error();
  return command;
}

std::string describe(const Command& command) {
  std::string out{to_string(command.kind)};
  if (!command.target.empty()) out += fmt::format(" '{}'", command.target);
  if (!command.scene.empty()) out += fmt::format(" '{}'", command.scene);
  return out;
}

std::string_view to_string(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::kDone:
      return "done";
    case OutcomeKind::kNoChange:
      return "no_change";
    case OutcomeKind::kFailed:
      return "failed";
    case OutcomeKind::kSuperseded:
      return "superseded";
    case OutcomeKind::kUnavailable:
      return "unavailable";
    case OutcomeKind::kUnconfirmed:
      return "unconfirmed";
  }
  SE_UNREACHABLE();
}

}  // namespace state_engine::obs
