#include "cli/commands.h"

#include <fstream>
#include <iterator>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/fake_link_test.h"
#include "cli/run_command.h"

namespace state_engine::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kSnapshot =
    R"({"key":"stream.state","value":"on","version":3,"updatedAt":"2026-11-22T18:30:00.000Z",)"
    R"("updatedBy":"twitch","seq":17,"reason":"went live"})";

TEST(GetCommandTest, ShowsOneKeyInFull) {
  Terminal terminal;
  terminal.script.answer(std::string(R"({"snapshots":{"stream.state":)") + kSnapshot +
                         R"(},"asOfSeq":17})");
  EXPECT_EQ(run_get(terminal.context, {{}, {"stream.state"}, false, false}), kExitOk);
  EXPECT_EQ(terminal.out.str(),
            "stream.state = \"on\"\n"
            "  version 3, seq 17, by twitch at 2026-11-22 18:30:00\n"
            "  reason: went live\n");
}

TEST(GetCommandTest, PrintsTheBareValueForScripts) {
  Terminal terminal;
  terminal.script.answer(std::string(R"({"snapshots":{"stream.state":)") + kSnapshot +
                         R"(},"asOfSeq":17})");
  EXPECT_EQ(run_get(terminal.context, {{}, {"stream.state"}, true, false}), kExitOk);
  EXPECT_EQ(terminal.out.str(), "on\n");
}

TEST(GetCommandTest, AMissingKeyIsExitCode5AndNamesSimilarOnes) {
  Terminal terminal;
  terminal.script.answer(R"({"snapshots":{"stream.stat":null},"asOfSeq":17,)"
                         R"("similarKeys":{"stream.stat":["stream.state"]}})");
  EXPECT_EQ(run_get(terminal.context, {{}, {"stream.stat"}, false, false}), kExitNotFound);
  EXPECT_EQ(terminal.err.str(), "stream.stat: no value; did you mean stream.state?\n");
  EXPECT_EQ(terminal.out.str(), "");
}

TEST(LsCommandTest, GathersEveryPage) {
  Terminal terminal;
  terminal.script.answer(R"({"snapshots":{},"keys":["a","b"],"asOfSeq":9,"count":2,)"
                         R"("truncated":true,"nextCursor":"c1"})");
  terminal.script.answer(
      R"({"snapshots":{},"keys":["c"],"asOfSeq":9,"count":1,"truncated":false})");
  EXPECT_EQ(run_ls(terminal.context, {{}, "", true, false}), kExitOk);
  EXPECT_EQ(terminal.out.str(), "a\nb\nc\n");
  EXPECT_THAT(terminal.script.calls,
              ElementsAre(R"(get_state_prefix {"prefix":"","limit":500,"keysOnly":true})",
                          R"(get_state_prefix {"prefix":"","limit":500,"keysOnly":true,)"
                          R"("cursor":"c1"})"));
}

ProposeOptions proposal(const std::string& value) {
  ProposeOptions options;
  options.key = "stream.state";
  options.value = value;
  options.reason = "test";
  return options;
}

TEST(ProposeCommandTest, SendsWhatWasAskedAndSaysTheOutcome) {
  Terminal terminal;
  terminal.script.answer(R"({"mutationId":"m1","status":"accepted","key":"stream.state",)"
                         R"("version":4,"previousVersion":3,"seq":18,"duplicate":false,)"
                         R"("derived":[{}],"effects":[{},{}]})");
  ProposeOptions options = proposal("on");
  options.expected_version = 3;
  options.metadata = {"viewers=12", "who=ada"};
  EXPECT_EQ(run_propose(terminal.context, options), kExitOk);
  EXPECT_THAT(terminal.script.calls,
              ElementsAre(R"(propose_mutation {"key":"stream.state","op":"set","reason":"test",)"
                          R"("value":"on","expectedVersion":3,)"
                          R"("metadata":{"viewers":12,"who":"ada"}})"));
  EXPECT_EQ(terminal.out.str(),
            "accepted: stream.state is at version 4 (was 3), seq 18, id m1; rules added 1 derived "
            "mutation and 2 effects\n");
}

TEST(ProposeCommandTest, AConflictIsExitCode4AndShowsTheTruth) {
  Terminal terminal;
  terminal.script.refuse(
      std::string(R"({"mutationId":"m1","status":"rejected","code":"version_conflict",)"
                  R"("error":"Version mismatch: expected 2, found 3","key":"stream.state",)"
                  R"("current":)") +
      kSnapshot + "}\nRejected (version_conflict): ...");
  EXPECT_EQ(run_propose(terminal.context, proposal("off")), kExitConflict);
  EXPECT_THAT(
      terminal.err.str(),
      testing::StartsWith("rejected (version_conflict): Version mismatch: expected 2, found 3\n"
                          "  now: \"on\" at version 3, by twitch (went live)\n"));
}

TEST(ProposeCommandTest, RefusedArgumentsAreExitCode2) {
  Terminal terminal;
  terminal.script.refuse("invalid_proposal: key: expected at least 1 byte");
  EXPECT_EQ(run_propose(terminal.context, proposal("on")), kExitUsage);
  EXPECT_THAT(terminal.err.str(),
              HasSubstr("rejected (invalid_proposal): key: expected at least 1 byte\n"));
}

TEST(ProposeCommandTest, AnEngineThatIsAwayIsAFailureWithAdvice) {
  Terminal terminal;
  terminal.context.connector = [](const ConnectionOptions&) -> Result<std::unique_ptr<EngineLink>> {
    return Error{ErrorCode::kUnavailable, "no engine answers at /x; start one"};
  };
  EXPECT_EQ(run_propose(terminal.context, proposal("on")), kExitFailure);
  EXPECT_EQ(terminal.err.str(), "state-engine: no engine answers at /x; start one\n");
}

TEST(ProposeJsonlTest, SumsUpOutcomesAndGoesOnAfterRejections) {
  Terminal terminal;
  terminal.in.str("{\"key\":\"a\"}\nnot json\n{\"key\":\"b\"}\n{\"key\":\"a\"}\n");
  terminal.script.answer(R"({"status":"accepted","duplicate":false})");
  terminal.script.refuse(
      R"({"status":"rejected","code":"key_not_allowed","error":"Key not allowed"})");
  terminal.script.answer(R"({"status":"accepted","duplicate":true})");
  ProposeOptions options;
  options.jsonl_file = "-";
  EXPECT_EQ(run_propose(terminal.context, options), kExitOk);
  EXPECT_EQ(terminal.out.str(),
            "OUTCOME           COUNT\n"
            "accepted          1\n"
            "duplicate         1\n"
            "invalid_proposal  1\n"
            "key_not_allowed   1\n"
            "total             4\n");
  EXPECT_THAT(terminal.err.str(), HasSubstr("line 3: key_not_allowed: Key not allowed\n"));
}

TEST(ProposeJsonlTest, StrictGivesTheCodeOfTheFirstRejection) {
  Terminal terminal;
  terminal.in.str("{}\n{}\n");
  terminal.script.refuse(R"({"status":"rejected","code":"version_conflict","error":"x"})");
  terminal.script.refuse(R"({"status":"rejected","code":"key_not_allowed","error":"x"})");
  ProposeOptions options;
  options.jsonl_file = "-";
  options.strict = true;
  options.json = true;
  EXPECT_EQ(run_propose(terminal.context, options), kExitConflict);
  EXPECT_THAT(terminal.out.str(), HasSubstr(R"("code":"key_not_allowed","error":"x","line":2})"));
}

TEST(ProposeJsonlTest, StopsWhereTheEngineStoppedAnswering) {
  Terminal terminal;
  terminal.in.str("{}\n{}\n");
  terminal.script.fail(ErrorCode::kDeadlineExceeded, "no answer in 30 s");
  ProposeOptions options;
  options.jsonl_file = "-";
  EXPECT_EQ(run_propose(terminal.context, options), kExitFailure);
  EXPECT_THAT(terminal.err.str(), HasSubstr("line 1: not answered"));
  EXPECT_EQ(terminal.script.calls.size(), 1U);
}

TEST(TransactionCommandTest, TakesAListAndShowsTheMembers) {
  Terminal terminal;
  terminal.in.str(R"([{"key":"a","value":1},{"key":"b","op":"delete"}])");
  terminal.script.answer(R"({"transactionId":"t1","status":"accepted","members":[)"
                         R"({"key":"a","op":"set","version":1,"seq":4},)"
                         R"({"key":"b","op":"delete","version":3,"seq":5}]})");
  EXPECT_EQ(run_transaction(terminal.context, {{}, "-", "swap", "", false, false}), kExitOk);
  EXPECT_THAT(terminal.script.calls,
              ElementsAre(R"(propose_transaction {"mutations":[{"key":"a","value":1},)"
                          R"({"key":"b","op":"delete"}],"reason":"swap"})"));
  EXPECT_EQ(terminal.out.str(),
            "accepted: transaction t1\n"
            "KEY  OP      VERSION  SEQ\n"
            "a    set     1        4\n"
            "b    delete  3        5\n");
}

TEST(ExplainCommandTest, AnUnknownMutationIsExitCode5) {
  Terminal terminal;
  terminal.script.refuse("not_found: no mutation has the id m9. Use get_history to find ids.");
  EXPECT_EQ(run_explain(terminal.context, {{}, "", "m9", false}), kExitNotFound);
}

std::string entry(int seq, const std::string& value, bool accepted = true) {
  return R"({"id":"m)" + std::to_string(seq) + R"(","key":"a","op":"set","seq":)" +
         std::to_string(seq) + R"(,"status":")" + (accepted ? "accepted" : "rejected") +
         R"(","resultingVersion":)" + std::to_string(seq) + R"(,"resultingValue":)" + value +
         R"(,"actor":"ada","reason":"r","committedAt":"2026-11-22T18:30:00.000Z"})";
}

std::string page(const std::string& entries, bool truncated = false) {
  return R"({"entries":[)" + entries + R"(],"truncated":)" + (truncated ? "true" : "false") + "}";
}

TEST(WatchCommandTest, ShowsEachChangeOnceFromTheLog) {
  Terminal terminal;
  Script& script = terminal.script;
  script.answer(R"({"snapshots":{"a":{"value":1}},"asOfSeq":5,"truncated":false})");
  script.answer(page(entry(6, "2")));  // committed between attaching and the first hint
  script.hints.emplace_back(true);     // the hint about 6, which was shown already
  script.answer(page(""));
  script.hints.emplace_back(true);
  script.answer(page(entry(7, "3") + "," + entry(8, "9", false), true));
  script.answer(page(entry(9, "4")));
  WatchOptions options;
  options.prefix = "a";
  options.count = 3;
  EXPECT_EQ(run_watch(terminal.context, options), kExitOk);
  EXPECT_EQ(terminal.out.str(),
            "2026-11-22 18:30:00       6  a  v6  1 -> 2  ada  r\n"
            "2026-11-22 18:30:00       7  a  v7  2 -> 3  ada  r\n"
            "2026-11-22 18:30:00       9  a  v9  3 -> 4  ada  r\n");
  EXPECT_EQ(script.calls[0], "listen a") << "attach before the first read";
  EXPECT_EQ(script.calls[3],
            R"(get_history {"afterSeq":6,"order":"oldest","limit":500,"prefix":"a"})");
}

TEST(WatchCommandTest, ReconnectsAndCatchesUp) {
  Terminal terminal;
  Script& script = terminal.script;
  script.answer(R"({"snapshots":{},"asOfSeq":5,"truncated":false})");
  script.answer(page(""));
  script.hints.emplace_back(Error{ErrorCode::kUnavailable, "closed"});
  script.fail(ErrorCode::kUnavailable, "still starting");  // after the first reconnect
  script.answer(page(entry(6, "1")));                      // after the second
  WatchOptions options;
  options.count = 1;
  EXPECT_EQ(run_watch(terminal.context, options), kExitOk);
  EXPECT_EQ(script.connections, 3);
  EXPECT_EQ(script.sleeps.size(), 2U);
  EXPECT_THAT(terminal.err.str(), HasSubstr("connection lost (closed); trying again in 0.25 s\n"));
  EXPECT_THAT(terminal.err.str(), HasSubstr("connected again\n"));
  EXPECT_THAT(terminal.out.str(), HasSubstr("- -> 1"));
}

TEST(WatchCommandTest, AnEngineThatWasNeverThereIsAFailure) {
  Terminal terminal;
  terminal.context.connector = [](const ConnectionOptions&) -> Result<std::unique_ptr<EngineLink>> {
    return Error{ErrorCode::kUnavailable, "nobody there"};
  };
  EXPECT_EQ(run_watch(terminal.context, {}), kExitFailure);
  EXPECT_TRUE(terminal.script.sleeps.empty());
}

TEST(RunCommandTest, GivesInputAndVariablesAndReturnsTheExitCode) {
  const auto code = run_command("read line; [ \"$line $WHO\" = 'hello ada' ] && exit 7",
                                {{"WHO", "ada"}}, "hello\n");
  ASSERT_TRUE(code.ok()) << code.error().message;
  EXPECT_EQ(*code, 7);
}

TEST(RunCommandTest, SurvivesACommandThatReadsNothing) {
  const auto code = run_command("exec 0<&-; true", {}, std::string(4 << 20, 'x'));
  ASSERT_TRUE(code.ok()) << code.error().message;
  EXPECT_EQ(*code, 0);
}

TEST(ConnectionTest, FindsTheDataDirectoryLikeTheDesignSays) {
  const auto with = [](std::map<std::string, std::string, std::less<>> variables) -> Environment {
    return [variables](std::string_view name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      if (found == variables.end()) return std::nullopt;
      return found->second;
    };
  };
  EXPECT_EQ(default_data_dir(with({{"HOME", "/h"}})), "/h/.local/state/state-engine");
  EXPECT_EQ(default_data_dir(with({{"HOME", "/h"}, {"XDG_STATE_HOME", "/x"}})), "/x/state-engine");
  EXPECT_EQ(default_data_dir(with({{"STATE_ENGINE_DATA_DIR", "/d"}, {"HOME", "/h"}})), "/d");
  const auto by_url = resolve({}, with({{"STATE_ENGINE_URL", "http://x/mcp"}}));
  EXPECT_EQ(by_url.url, "http://x/mcp");
  const auto by_flag = resolve({"/mine", "", "", ""}, with({{"STATE_ENGINE_URL", "http://x/mcp"}}));
  EXPECT_EQ(by_flag.url, "");
  EXPECT_EQ(socket_path(by_flag), "/mine/engine.sock");
}

TEST(ErrorsCommandTest, TheDocumentIsUpToDate) {
  std::ifstream file(SE_SOURCE_DIR "/docs/errors.md");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(text, errors_markdown()) << "run: state-engine errors --markdown > docs/errors.md";
}

}  // namespace
}  // namespace state_engine::cli
