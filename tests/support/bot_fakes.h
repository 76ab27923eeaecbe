// Fakes for the bot's tests: an engine in memory that answers as the real one, with hooks to change
// the state at bad moments, and a model that follows a script.

#ifndef STATE_ENGINE_TESTS_SUPPORT_BOT_FAKES_H_
#define STATE_ENGINE_TESTS_SUPPORT_BOT_FAKES_H_

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "integrations/llm/action_runner.h"
#include "integrations/llm/llm_client.h"
#include "integrations/llm/tool_box.h"
#include "tests/support/json_literal.h"

namespace state_engine::llm::testing {

using state_engine::testing::json_of;

class FakeEngine final : public EngineTools {
 public:
  struct Entry {
    json::Value value;
    std::int64_t version = 0;
    bool present = false;
    std::string expires_at;
  };

  void set(const std::string& key, json::Value value) {
    Entry& entry = state[key];
    entry.value = std::move(value);
    entry.present = true;
    ++entry.version;
  }
  void remove(const std::string& key) {
    state[key].present = false;
    ++state[key].version;
  }
  json::Value value(const std::string& key) {
    return state[key].present ? state[key].value : json::Value(nullptr);
  }

  Result<ToolAnswer> call(std::string_view tool, json::Object arguments) override {
    calls.emplace_back(tool);
    if (!down.empty()) return Error{ErrorCode::kUnavailable, down};
    if (tool == "get_state") return read(arguments);
    if (tool == "propose_mutation" || tool == "propose_transaction") return write(tool, arguments);
    ToolAnswer answer;
    answer.text = fmt::format("{} says hello", tool);
    return answer;
  }

  Result<std::vector<ToolSpec>> list() override {
    if (!down.empty()) return Error{ErrorCode::kUnavailable, down};
    std::vector<ToolSpec> out;
    for (const char* name : {"get_state", "propose_mutation", "get_history", "bit.info"}) {
      out.push_back({name, "a tool", json_of(R"({"type":"object"})").as_object()});
    }
    return out;
  }

  std::int64_t count(std::string_view tool) const {
    return std::count(calls.begin(), calls.end(), tool);
  }

  std::map<std::string, Entry> state;
  std::map<std::string, std::string> decided;  // id -> text of the answer
  std::vector<Requirement> policy;             // of every write
  std::vector<std::string> calls;
  std::vector<json::Object> proposals;
  std::function<void()> before_write;  // between the bot's read and its write
  std::function<void()> after_write;
  int lost_answers = 0;   // so many writes happen without the answer coming through
  bool busy = false;      // writes are refused without being decided
  std::string down;       // why it cannot be reached; empty = it can
  std::string leave_out;  // a key that answers do not mention

 private:
  Result<ToolAnswer> read(const json::Object& arguments) {
    json::Object snapshots;
    for (const json::Value& name : arguments.at("keys").as_array()) {
      const std::string key(name.as_string());
      if (key == leave_out) continue;
      const Entry& entry = state[key];
      if (!entry.present) {
        snapshots[key] = nullptr;
        continue;
      }
      json::Object snapshot{{"key", key}, {"value", entry.value}, {"version", entry.version}};
      if (!entry.expires_at.empty()) snapshot["expiresAt"] = entry.expires_at;
      snapshots[key] = std::move(snapshot);
    }
    ToolAnswer answer;
    answer.structured = json::Object{{"snapshots", std::move(snapshots)}, {"asOfSeq", 1}};
    return answer;
  }

  static ToolAnswer refusal(const std::string& code) {
    ToolAnswer answer;
    answer.is_error = true;
    answer.text =
        fmt::format(R"({{"mutationId":"x","status":"rejected","code":"{}","error":"{} it is"}})"
                    "\nRejected.",
                    code, code);
    return answer;
  }

  Result<ToolAnswer> write(std::string_view tool, const json::Object& arguments) {
    if (before_write) before_write();
    proposals.push_back(arguments);
    if (busy) return refusal("unavailable");
    const std::string id(arguments.at("id").as_string());
    if (decided.contains(id)) {
      return decided[id] == json::write(arguments) ? accepted(true) : refusal("id_reused");
    }
    decided[id] = json::write(arguments);
    for (const Requirement& item : policy) {
      if (!json::equal(value(item.key), item.value)) return refusal("precondition_failed");
    }
    std::vector<const json::Object*> members{&arguments};
    if (tool == "propose_transaction") {
      members.clear();
      for (const json::Value& item : arguments.at("mutations").as_array()) {
        members.push_back(&item.as_object());
      }
    }
    for (const json::Object* member : members) {
      Entry& entry = state[std::string(member->at("key").as_string())];
      const auto expected = json::find_int(*member, "expectedVersion");
      const std::int64_t version = entry.present ? entry.version : 0;
      if (expected && *expected != version) return refusal("version_conflict");
    }
    for (const json::Object* member : members) {
      set(std::string(member->at("key").as_string()), member->at("value"));
    }
    if (after_write) after_write();
    if (lost_answers > 0) {
      --lost_answers;
      return Error{ErrorCode::kDeadlineExceeded, "no answer came"};
    }
    return accepted(false);
  }

  static ToolAnswer accepted(bool duplicate) {
    ToolAnswer answer;
    answer.structured = json::Object{
        {"mutationId", "x"}, {"status", "accepted"}, {"seq", 12}, {"duplicate", duplicate}};
    return answer;
  }
};

// Says what the script says, and remembers what it was asked.
class ScriptedModel final : public LlmClient {
 public:
  Result<Completion> complete(const ChatRequest& request) override {
    requests.push_back(request);
    if (script.empty()) {
      if (for_ever) return *for_ever;
      Completion end;
      end.content = "That is all.";
      return end;
    }
    auto next = std::move(script.front());
    script.pop_front();
    return next(request);
  }

  void say(std::string text) {
    script.push_back([text](const ChatRequest&) -> Result<Completion> {
      Completion out;
      out.content = text;
      return out;
    });
  }
  void call(std::string name, std::string arguments) {
    script.push_back([=](const ChatRequest&) -> Result<Completion> {
      Completion out;
      out.tool_calls.push_back({"c1", name, arguments, ""});
      return out;
    });
  }
  void fail(ErrorCode code, std::string text) {
    script.push_back([=](const ChatRequest&) -> Result<Completion> { return Error{code, text}; });
  }
  // The last result of a tool that the model saw.
  std::string last_result() const {
    const Message& last = requests.back().messages.back();
    return last.role == Role::kTool ? last.content : "";
  }

  std::deque<std::function<Result<Completion>(const ChatRequest&)>> script;
  std::optional<Completion> for_ever;
  std::vector<ChatRequest> requests;
};

// start_giveaway as docs/bot.md has it.
inline Action giveaway() {
  Action action;
  action.name = "start_giveaway";
  action.description = "Start a giveaway";
  action.requirements = {{"stream.state", "on"}};
  ActionParameter prize;
  prize.name = "prize";
  prize.length_max = 40;
  action.parameters = {prize};
  ActionWrite write;
  write.key = "giveaway.state";
  write.value = json_of(R"({"status":"open","prize":"{arg.prize}","by":"{user.name}"})");
  action.writes = {write};
  action.reason = "{user.name} asked for a giveaway of {arg.prize}";
  return action;
}

inline ChatMessage chat_of(std::string text, std::string id = "m1") {
  ChatMessage chat;
  chat.id = std::move(id);
  chat.correlation_id = "corr-" + chat.id;
  chat.platform = "twitch";
  chat.channel = "#pizza";
  chat.user_id = "42";
  chat.user_name = "Ann";
  chat.text = std::move(text);
  return chat;
}

}  // namespace state_engine::llm::testing

#endif  // STATE_ENGINE_TESTS_SUPPORT_BOT_FAKES_H_
