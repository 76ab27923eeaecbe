// Two kinds of results: JSON of ours for actions and refusals, with a word on what to do next, and
// the engine's own answers, cut to a size that a model can read.

#include "integrations/llm/tool_box.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace state_engine::llm {
namespace {

constexpr std::size_t kResultBytesMax = 16 * 1024;
constexpr std::chrono::seconds kListedFor{60};

std::string_view label_of(ActionEnd end) {
  switch (end) {
    case ActionEnd::kDone:
      return "done";
    case ActionEnd::kAlreadyDone:
      return "already_done";
    case ActionEnd::kRefused:
      return "refused";
    case ActionEnd::kGaveUp:
      return "gave_up";
    case ActionEnd::kUncertain:
      return "uncertain";
  }
  SE_UNREACHABLE();
}

// What the model hears. It must not tell the user another story.
std::string for_model(std::string_view status, std::string_view why) {
  const bool done = status == "done" || status == "already_done";
  return json::write(json::Object{
      {"status", status},
      {"why", why},
      {"next", done ? "Tell the user."
                    : "It did not happen. Tell the user so and why; do not try again unless "
                      "the user asks."}});
}

std::string error_for_model(std::string_view code, std::string_view what) {
  return json::write(json::Object{{"error", json::Object{{"code", code}, {"message", what}}}});
}

// A model that calls a tool again and again makes one note, and a few at most.
void add_note(std::vector<std::string>& notes, std::string text) {
  constexpr std::size_t kNotesMax = 4;
  if (notes.size() == kNotesMax) return;
  if (std::find(notes.begin(), notes.end(), text) == notes.end()) notes.push_back(std::move(text));
}

void note(const Action& action, const ActionReport& report, TurnState& state) {
  switch (report.end) {
    case ActionEnd::kDone:
      return add_note(state.done, fmt::format("{}: done ({})", action.name, report.why));
    case ActionEnd::kAlreadyDone:
      return add_note(state.done, fmt::format("{}: nothing to do ({})", action.name, report.why));
    case ActionEnd::kRefused:
    case ActionEnd::kGaveUp:
      return add_note(state.refused, fmt::format("{}: not done: {}", action.name, report.why));
    case ActionEnd::kUncertain:
      return add_note(state.refused, fmt::format("{}: not confirmed: {}", action.name, report.why));
  }
}

bool is_write(std::string_view tool) {
  return tool == "propose_mutation" || tool == "propose_transaction";
}

// Writes of a model must name the version that it read; counters and lists may do without.
bool names_version(const json::Object& mutation) {
  const std::string op = json::find_string(mutation, "op").value_or("set");
  return op == "increment" || op == "push" || mutation.contains("expectedVersion");
}

std::string result_text(const ToolAnswer& answer) {
  std::string text =
      answer.is_error || answer.structured.empty() ? answer.text : json::write(answer.structured);
  if (text.size() <= kResultBytesMax) return text;
  return cut_text(text, kResultBytesMax) + "\n[cut here: ask for fewer keys or a smaller limit]";
}

}  // namespace

bool is_tool_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

ToolBox::ToolBox(ToolBoxSettings settings, EngineTools& engine, ActionRunner& runner,
                 const Clock& clock, BotObserver& observer, Log& log)
    : settings_(std::move(settings)),
      engine_(engine),
      runner_(runner),
      clock_(clock),
      observer_(observer),
      log_(log) {}

std::vector<ToolSpec> ToolBox::specs() {
  const auto now = clock_.monotonic_now();
  if (!settings_.tools.empty() && (!listed_ || now - listed_at_ > kListedFor)) {
    auto all = engine_.list();
    observer_.on_engine(all.ok(), all.ok() ? "" : all.error().message);
    if (all.ok()) {
      engine_specs_.clear();
      for (const AllowedTool& tool : settings_.tools) {
        const auto found = std::find_if(
            all->begin(), all->end(), [&](const ToolSpec& spec) { return spec.name == tool.name; });
        if (found != all->end()) {
          engine_specs_.push_back(std::move(*found));
        } else {
          log_.warn("the engine has no such tool", {{"tool", tool.name}});
        }
      }
      listed_ = true;
      listed_at_ = now;
    } else {
      log_.warn("the engine's tools cannot be listed", {{"error", all.error().message}});
    }
  }
  std::vector<ToolSpec> out = engine_specs_;
  for (const Action& action : settings_.actions) out.push_back(spec_of(action));
  return out;
}

std::string ToolBox::names() const {
  std::string out;
  for (const Action& action : settings_.actions) out += (out.empty() ? "" : ", ") + action.name;
  for (const AllowedTool& tool : settings_.tools) out += (out.empty() ? "" : ", ") + tool.name;
  return out;
}

std::string ToolBox::run(const ToolCall& call, const ChatMessage& chat, TurnState& state) {
  ++state.calls;
  const auto action = std::find_if(settings_.actions.begin(), settings_.actions.end(),
                                   [&](const Action& item) { return item.name == call.name; });
  const auto tool = std::find_if(settings_.tools.begin(), settings_.tools.end(),
                                 [&](const AllowedTool& item) { return item.name == call.name; });
  if (action == settings_.actions.end() && tool == settings_.tools.end()) {
    observer_.on_tool("unknown", "refused");
    return error_for_model("unknown_tool", "there is no such tool; there are: " + names());
  }
  if (!call.fault.empty() || call.arguments.size() > kArgumentBytesMax) {
    observer_.on_tool(call.name, "malformed");
    return error_for_model("invalid_argument",
                           !call.fault.empty()
                               ? call.fault
                               : fmt::format("the arguments are larger than {} bytes; shorten them",
                                             kArgumentBytesMax));
  }
  if (action != settings_.actions.end()) return run_action(*action, call, chat, state);
  return run_tool(*tool, call, chat, state);
}

std::string ToolBox::run_action(const Action& action, const ToolCall& call, const ChatMessage& chat,
                                TurnState& state) {
  const auto arguments = read_arguments(action, call.arguments);
  if (!arguments.ok()) {
    observer_.on_tool(action.name, "malformed");
    return error_for_model("invalid_argument", arguments.error().message);
  }
  ActionReport report;
  if (may_ask(action, chat)) {
    report = runner_.run(action, chat, *arguments, state.calls);
  } else {
    report.why = fmt::format("only {} may ask for it", fmt::join(action.roles, ", "));
  }
  observer_.on_tool(action.name, label_of(report.end));
  observer_.on_conflicts(report.conflicts);
  log_.info("action", {{"action", action.name},
                       {"end", label_of(report.end)},
                       {"conflicts", report.conflicts},
                       {"correlationId", chat.correlation_id}});
  note(action, report, state);
  return for_model(label_of(report.end), report.why);
}

// Why a writing call of the model may not go to the engine; empty if it may.
std::string ToolBox::write_fault(const std::string& tool, const json::Object& arguments,
                                 const TurnState& state) const {
  if (state.conflicts >= kDecisionsMax) {
    return fmt::format("the state changed under it {} times; give up and tell the user",
                       state.conflicts);
  }
  bool versions = true;
  if (tool == "propose_mutation") {
    versions = names_version(arguments);
  } else if (const json::Value* const members = json::find(arguments, "mutations");
             members != nullptr && members->is_array()) {
    for (const json::Value& member : members->get_array()) {
      versions = versions && (!member.is_object() || names_version(member.get_object()));
    }
  }
  if (versions) return {};
  return "expectedVersion is missing: read the key with get_state and pass its version, 0 if it "
         "has no value";
}

std::string ToolBox::run_tool(const AllowedTool& tool, const ToolCall& call,
                              const ChatMessage& chat, TurnState& state) {
  const auto parsed = json::parse(call.arguments.empty() ? "{}" : call.arguments);
  if (!parsed.ok() || !parsed->is_object()) {
    observer_.on_tool(tool.name, "malformed");
    return error_for_model("invalid_argument",
                           parsed.ok() ? "the arguments are no JSON object"
                                       : "the arguments are no JSON: " + parsed.error().message);
  }
  json::Object arguments = parsed->get_object();
  if (is_write(tool.name)) {
    if (const std::string fault = write_fault(tool.name, arguments, state); !fault.empty()) {
      observer_.on_tool(tool.name, "malformed");
      return error_for_model("invalid_argument", fault);
    }
    arguments["id"] = proposal_id(chat, tool.name, state.calls, 1);
  }
  const GateDecision gate = runner_.check(tool.requirements);
  if (gate.verdict != GateVerdict::kOpen) {
    observer_.on_tool(tool.name, "refused");
    add_note(state.refused, fmt::format("{}: not done: {}", tool.name, gate.why));
    return for_model("refused", gate.why);
  }
  const auto answer = engine_.call(tool.name, std::move(arguments));
  observer_.on_engine(answer.ok(), answer.ok() ? "" : answer.error().message);
  if (is_write(tool.name)) {
    const WriteOutcome outcome = read_write_answer(answer);
    if (outcome.kind == WriteOutcome::Kind::kMovedOn) ++state.conflicts;
    if (outcome.kind == WriteOutcome::Kind::kUnknown) {
      add_note(state.refused,
               fmt::format("{}: not confirmed: the state engine did not answer, so it may or may "
                           "not have happened",
                           tool.name));
    }
  }
  if (!answer.ok()) {
    observer_.on_tool(tool.name, "error");
    return error_for_model("unavailable", answer.error().message +
                                              "; treat the state as unknown and do not act on a "
                                              "guess");
  }
  observer_.on_tool(tool.name, answer->is_error ? "error" : "ok");
  return result_text(*answer);
}

}  // namespace state_engine::llm
