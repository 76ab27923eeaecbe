// FakeObs: a Director with an OBS made of a few lines, on a clock of its own. It answers requests
// as OBS 29 does and says events when the test says so.

#ifndef STATE_ENGINE_INTEGRATIONS_OBS_FAKE_OBS_TEST_H_
#define STATE_ENGINE_INTEGRATIONS_OBS_FAKE_OBS_TEST_H_

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "integrations/obs/director.h"

namespace state_engine::obs {

inline json::Object object_of(std::string_view text) {
  auto parsed = json::parse(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return parsed.ok() && parsed->is_object() ? parsed->get_object() : json::Object{};
}

class FakeObs : public DirectorHost {
 public:
  using Time = MonotonicTime;

  explicit FakeObs(DirectorOptions options = {"secret", true})
      : director(*this, std::move(options)) {}

  // DirectorHost.
  void send(std::string text) override { sent.push_back(object_of(text)); }
  void on_outcome(Ticket ticket, const Command&, const Outcome& outcome) override {
    EXPECT_EQ(outcomes.count(ticket), 0U) << "a second outcome";
    outcomes.emplace(ticket, outcome);
  }
  void on_observed(std::string_view key, const json::Value& value, const std::string&) override {
    observed.push_back(fmt::format("{}={}", key, json::write(value)));
  }
  void on_answered(std::string_view, MonotonicTime, bool) override {}
  void on_ready() override { ++ready_count; }

  // ---- The connection ----

  void connect(const std::string& salt = "salt") {
    director.on_connected(now);
    say(fmt::format(R"({{"op":0,"d":{{"obsWebSocketVersion":"5.1.0","rpcVersion":1,
        "authentication":{{"challenge":"c","salt":"{}"}}}}}})",
                    salt));
    ASSERT_FALSE(sent.empty());
    EXPECT_EQ(sent.back().at("op"), 1);
    sent.clear();
    say(R"({"op":2,"d":{"negotiatedRpcVersion":1}})");
    answer_all();
  }
  void disconnect() { director.on_disconnected(now); }

  void say(const std::string& text) {
    const Status taken = director.on_text(text, now);
    EXPECT_TRUE(taken.ok()) << text;
  }
  void event(std::string_view type, std::string_view data) {
    say(fmt::format(R"({{"op":5,"d":{{"eventType":"{}","eventIntent":1,"eventData":{}}}}})", type,
                    data));
  }
  void stream_state(std::string_view state, bool active = false) {
    event("StreamStateChanged",
          fmt::format(R"({{"outputActive":{},"outputState":"OBS_WEBSOCKET_OUTPUT_{}"}})", active,
                      state));
  }
  void record_state(std::string_view state, bool active = false) {
    event("RecordStateChanged",
          fmt::format(R"({{"outputActive":{},"outputState":"OBS_WEBSOCKET_OUTPUT_{}"}})", active,
                      state));
  }
  void scene_changed(std::string_view name) {
    scene = name;
    event("CurrentProgramSceneChanged", fmt::format(R"({{"sceneName":"{}"}})", name));
  }

  // ---- Requests ----

  // Answers what was asked and not answered, as OBS would. Returns the types in order.
  std::vector<std::string> answer_all() {
    std::vector<std::string> types;
    while (!sent.empty()) {
      const json::Object message = sent.front();
      sent.pop_front();
      const json::Object& data = message.at("d").get_object();
      if (message.at("op") == 6) {
        types.push_back(std::string(data.at("requestType").get_string()));
        answer(data);
      } else if (message.at("op") == 8) {
        types.push_back(answer_batch(data));
      }
    }
    for (const std::string& type : types) asked.push_back(type);
    return types;
  }

  void answer(const json::Object& request) {
    json::Object out = reply_to(request);
    out["requestId"] = request.at("requestId");
    say(json::write(json::Object{{"op", 7}, {"d", out}}));
  }

  std::string answer_batch(const json::Object& batch) {
    json::Array results;
    std::string types;
    for (const json::Value& request : batch.at("requests").get_array()) {
      const json::Object& one = request.get_object();
      types += (types.empty() ? "" : "+") + std::string(one.at("requestType").get_string());
      results.emplace_back(reply_to(one));
      const auto code = results.back().get_object().at("requestStatus").get_object().at("code");
      if (code != 100) break;
    }
    json::Object out{{"requestId", batch.at("requestId")}, {"results", results}};
    say(json::write(json::Object{{"op", 9}, {"d", out}}));
    return types;
  }

  json::Object reply_to(const json::Object& request) {
    const std::string type(request.at("requestType").get_string());
    const auto refused = refuse.find(type);
    json::Object status{{"result", refused == refuse.end()}, {"code", 100}};
    if (refused != refuse.end()) status["code"] = refused->second;
    json::Object out{{"requestType", request.at("requestType")}, {"requestStatus", status}};
    json::Object data = data_of(type);
    if (refused == refuse.end() && !data.empty()) out["responseData"] = std::move(data);
    return out;
  }

  json::Object data_of(const std::string& type) {
    if (const auto found = replies.find(type); found != replies.end())
      return object_of(found->second);
    if (type == "GetVersion") return {{"obsVersion", "29.0.2"}};
    if (type == "GetStreamStatus") return object_of(stream_status);
    if (type == "GetRecordStatus") return object_of(record_status);
    if (type == "GetCurrentProgramScene") return {{"currentProgramSceneName", scene}};
    if (type == "GetSceneList") {
      json::Array list;
      for (const char* name : {"BRB", "Live", "Scene"})
        list.emplace_back(json::Object{{"sceneName", name}});
      return {{"currentProgramSceneName", scene}, {"scenes", list}};
    }
    return {};
  }

  // ---- Commands ----

  Ticket submit(CommandKind kind, std::string_view parameters = "{}", bool may_wait = false,
                std::chrono::seconds patience = std::chrono::seconds{30}) {
    auto command = read_command(kind, object_of(parameters));
    EXPECT_TRUE(command.ok());
    return director.submit(*command, {now + patience, may_wait}, now);
  }
  Ticket switch_to(std::string_view name, bool may_wait = false) {
    return submit(CommandKind::kSwitchScene, fmt::format(R"({{"scene":"{}"}})", name), may_wait);
  }
  Ticket start_stream(bool may_wait = false) {
    return submit(CommandKind::kStartStream, "{}", may_wait);
  }
  Ticket stop_stream() { return submit(CommandKind::kStopStream); }

  // "" while there is none.
  std::string outcome(Ticket ticket) const {
    const auto found = outcomes.find(ticket);
    return found == outcomes.end() ? "" : std::string(to_string(found->second.kind));
  }
  std::string why(Ticket ticket) const {
    const auto found = outcomes.find(ticket);
    return found == outcomes.end() ? "" : found->second.message;
  }

  // Lets time pass in steps, answering what is asked on the way unless OBS hangs.
  bool pass(std::chrono::milliseconds by) {
    bool responsive = true;
    for (const Time end = now + by; now < end;) {
      now = std::min(end, std::max(now + std::chrono::milliseconds{1}, director.next_wake(now)));
      responsive = director.on_time(now) && responsive;
      if (!hangs) answer_all();
    }
    return responsive;
  }
  // After connecting, long enough for a start to be sent.
  void settle() { pass(std::chrono::seconds{4}); }

  std::size_t count_asked(std::string_view type) const {
    return static_cast<std::size_t>(std::count(asked.begin(), asked.end(), type));
  }

  Time now{std::chrono::hours{1}};
  std::deque<json::Object> sent;
  std::vector<std::string> asked;
  std::map<Ticket, Outcome> outcomes;
  std::vector<std::string> observed;
  int ready_count = 0;
  bool hangs = false;
  std::string scene = "Scene";
  std::string stream_status = R"({"outputActive":false,"outputReconnecting":false})";
  std::string record_status = R"({"outputActive":false,"outputPaused":false})";
  std::map<std::string, int, std::less<>> refuse;           // request -> status code
  std::map<std::string, std::string, std::less<>> replies;  // request -> responseData
  Director director;
};

}  // namespace state_engine::obs

#endif  // STATE_ENGINE_INTEGRATIONS_OBS_FAKE_OBS_TEST_H_
