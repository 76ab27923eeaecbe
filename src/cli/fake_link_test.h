// A scripted EngineLink and a context with string streams, for tests of verbs.

#ifndef STATE_ENGINE_CLI_FAKE_LINK_TEST_H_
#define STATE_ENGINE_CLI_FAKE_LINK_TEST_H_

#include <deque>
#include <functional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands.h"

namespace state_engine::cli {

// Answers in order; each call is recorded as "tool arguments".
struct Script {
  std::vector<std::string> calls;
  std::deque<Result<ToolAnswer>> answers;
  std::deque<Result<bool>> hints;
  int connections = 0;
  std::vector<std::chrono::milliseconds> sleeps;

  void answer(const std::string& structured) {
    ToolAnswer answer;
    answer.structured = json::parse(structured).value().get_object();
    answers.emplace_back(std::move(answer));
  }
  void refuse(std::string text) { answers.emplace_back(ToolAnswer{true, {}, std::move(text)}); }
  void fail(ErrorCode code, std::string message) {
    answers.emplace_back(Error{code, std::move(message)});
  }
};

class FakeHints final : public ChangeHints {
 public:
  explicit FakeHints(Script& script) : script_(script) {}
  Result<bool> wait(std::chrono::milliseconds) override {
    if (script_.hints.empty()) return Error{ErrorCode::kInternal, "the script has no more hints"};
    auto hint = std::move(script_.hints.front());
    script_.hints.pop_front();
    return hint;
  }

 private:
  Script& script_;
};

class FakeLink final : public EngineLink {
 public:
  explicit FakeLink(Script& script) : script_(script) {}
  Result<ToolAnswer> call(std::string_view tool, json::Object arguments) override {
    script_.calls.push_back(std::string(tool) + " " + json::write(arguments));
    if (script_.answers.empty()) return Error{ErrorCode::kInternal, "the script is over"};
    auto answer = std::move(script_.answers.front());
    script_.answers.pop_front();
    return answer;
  }
  Result<std::unique_ptr<ChangeHints>> listen(std::string_view prefix) override {
    script_.calls.push_back("listen " + std::string(prefix));
    return std::unique_ptr<ChangeHints>(new FakeHints(script_));
  }

 private:
  Script& script_;
};

struct Terminal {
  Script script;
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  CliContext context{in, out, err, {}, false, {}, {}, {}, nullptr};

  Terminal() {
    context.environment = [](std::string_view) { return std::nullopt; };
    context.sleep = [this](std::chrono::milliseconds time) { script.sleeps.push_back(time); };
    context.connector = [this](const ConnectionOptions&) -> Result<std::unique_ptr<EngineLink>> {
      ++script.connections;
      return std::unique_ptr<EngineLink>(new FakeLink(script));
    };
  }
};

}  // namespace state_engine::cli

#endif  // STATE_ENGINE_CLI_FAKE_LINK_TEST_H_
