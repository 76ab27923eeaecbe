// Everything a model sends goes back to its server with the next question, so it is cleaned first:
// a server that refuses a name or an id would end the conversation.

#include "integrations/llm/agent_turn.h"

#include <algorithm>

#include <fmt/format.h>

namespace state_engine::llm {
namespace {

constexpr std::size_t kIdBytesMax = 64;

// The calls in a form that every server takes back: unique ids, possible names, bounded arguments
// that are JSON. What a model sent beyond that is noted as the call's fault.
std::vector<ToolCall> cleaned(std::vector<ToolCall> calls) {
  std::vector<std::string> ids;
  for (ToolCall& call : calls) {
    call.id = cut_text(one_line(call.id, kIdBytesMax), kIdBytesMax);
    if (call.id.empty() || std::find(ids.begin(), ids.end(), call.id) != ids.end()) {
      call.id = fmt::format("call_{}_{}", ids.size(), calls.size());
    }
    ids.push_back(call.id);
    if (!is_tool_name(call.name)) call.name = "no_such_tool";
    if (call.arguments.size() > kArgumentBytesMax) {
      call.fault =
          fmt::format("the arguments are larger than {} bytes; shorten them", kArgumentBytesMax);
      call.arguments = "{}";
    } else if (const auto parsed = json::parse(call.arguments.empty() ? "{}" : call.arguments);
               !parsed.ok()) {
      call.fault = "the arguments are no JSON: " + parsed.error().message;
      call.arguments = "{}";
    }
  }
  return calls;
}

void add_line(std::string& text, std::string_view line) {
  if (!text.empty()) text += '\n';
  text += line;
}

}  // namespace

AgentTurn::Step AgentTurn::start() { return AskModel{messages_, true}; }

// The notes of code come whole; the model's words get what room is left.
AgentTurn::Finish AgentTurn::finish(std::string said, TurnEnd end, const TurnState& state) const {
  std::string notes;
  for (const std::string& line : state.refused) add_line(notes, "[" + one_line(line, 300) + "]");
  if (limits_.tell_done) {
    for (const std::string& line : state.done) add_line(notes, "[" + one_line(line, 300) + "]");
  }
  std::string text = said;
  if (text.empty() && end == TurnEnd::kAnswered && notes.empty())
    text = "I have no answer to that.";
  const std::size_t room =
      limits_.answer_bytes_max > notes.size() + 1 ? limits_.answer_bytes_max - notes.size() - 1 : 0;
  if (text.size() > room) text = room > 3 ? cut_text(text, room - 3) + "..." : "";
  if (!notes.empty()) add_line(text, notes);
  return {std::move(text), std::move(said), end};
}

AgentTurn::Step AgentTurn::on_completion(Result<Completion> completion, const TurnState& state) {
  if (!completion.ok()) {
    const bool acted = !state.done.empty();
    Finish out = finish(fmt::format("I cannot reach my language model right now, so {}.",
                                    acted ? "I stop here" : "I did nothing"),
                        TurnEnd::kNoModel, state);
    out.said.clear();
    return out;
  }
  const bool asks = !completion->tool_calls.empty();
  if (!asks) return finish(std::move(completion->content), TurnEnd::kAnswered, state);
  if (rounds_ >= limits_.rounds_max) {
    // It calls tools though it was told not to.
    Finish out = finish("I could not finish that, so I stop here.", TurnEnd::kBounds, state);
    out.said.clear();
    return out;
  }
  ++rounds_;
  running_ = cleaned(std::move(completion->tool_calls));
  messages_.push_back({Role::kAssistant, std::move(completion->content), running_});
  const auto most = static_cast<std::size_t>(limits_.calls_per_round_max);
  declined_.clear();
  if (running_.size() > most) {
    declined_.assign(running_.begin() + static_cast<std::ptrdiff_t>(most), running_.end());
    running_.resize(most);
  }
  return RunTools{running_};
}

AgentTurn::Step AgentTurn::on_results(std::vector<std::string> results) {
  SE_ASSERT(results.size() == running_.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    messages_.push_back({Role::kTool, std::move(results[i]), {}, running_[i].id});
  }
  for (const ToolCall& call : declined_) {
    messages_.push_back({Role::kTool,
                         R"({"error":{"code":"too_many_calls","message":"not run: too many calls )"
                         R"(at once"}})",
                         {},
                         call.id});
  }
  return AskModel{messages_, rounds_ < limits_.rounds_max};
}

}  // namespace state_engine::llm
