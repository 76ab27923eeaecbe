// Gate, actions and tools: what happens, what does not, and what is said about it.

#include "integrations/llm/action.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/bot_fakes.h"

namespace state_engine::llm {
namespace {

using std::chrono::milliseconds;
using testing::chat_of;
using ::testing::Contains;
using testing::FakeEngine;
using testing::giveaway;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::json_of;
using ::testing::Not;
using ::testing::SizeIs;

// ---- The gate --------------------------------------------------------------------------------

const Timestamp kNow = timestamp_from_ms(1'760'000'000'000);

Reading reading_of(std::string_view snapshots) {
  auto reading =
      read_snapshots(json_of(R"({"snapshots":)" + std::string(snapshots) + "}").as_object());
  SE_ASSERT(reading.ok());
  return *reading;
}

GateVerdict verdict(std::string_view snapshots) {
  return check_gate({{"stream.state", "on"}}, reading_of(snapshots), kNow).verdict;
}

TEST(GateTest, OpensOnlyForTheValueItself) {
  EXPECT_EQ(verdict(R"({"stream.state":{"value":"on","version":3}})"), GateVerdict::kOpen);
  EXPECT_EQ(verdict(R"({"stream.state":{"value":"off","version":3}})"), GateVerdict::kClosed);
  EXPECT_EQ(verdict(R"({"stream.state":{"value":true,"version":3}})"), GateVerdict::kClosed);
  EXPECT_EQ(verdict(R"({"stream.state":{"value":null,"version":3}})"), GateVerdict::kClosed);
}

TEST(GateTest, WhatIsUnknownDoesNotOpenIt) {
  EXPECT_EQ(verdict(R"({"stream.state":null})"), GateVerdict::kUnknown);
  EXPECT_EQ(verdict("{}"), GateVerdict::kUnknown) << "not mentioned";
  EXPECT_EQ(verdict(R"({"stream.state":{"value":"on","version":3,)"
                    R"("expiresAt":"2025-10-09T08:53:20.000Z"}})"),
            GateVerdict::kUnknown)
      << "expired this very moment";
  EXPECT_EQ(verdict(R"({"stream.state":{"value":"on","version":3,)"
                    R"("expiresAt":"2025-10-09T08:53:20.001Z"}})"),
            GateVerdict::kOpen);
  const GateDecision down =
      check_gate({{"stream.state", "on"}}, Error{ErrorCode::kUnavailable, "no engine"}, kNow);
  EXPECT_EQ(down.verdict, GateVerdict::kUnknown);
  EXPECT_THAT(down.why, HasSubstr("no engine"));
}

TEST(GateTest, NullMeansNoValueAndAllRequirementsCount) {
  const std::vector<Requirement> both{{"stream.state", "on"}, {"giveaway.state", nullptr}};
  const auto why = [&](std::string_view snapshots) {
    return check_gate(both, reading_of(snapshots), kNow).why;
  };
  EXPECT_EQ(why(R"({"stream.state":{"value":"on","version":1},"giveaway.state":null})"), "");
  EXPECT_EQ(why(R"({"stream.state":{"value":"off","version":1},)"
                R"("giveaway.state":{"value":"open","version":1}})"),
            "stream.state is off, and must be on; giveaway.state is open, and must have no value");
  EXPECT_EQ(why(R"({"stream.state":null,"giveaway.state":{"value":7,"version":1}})"),
            "giveaway.state is 7, and must have no value")
      << "what is surely wrong says more";
}

TEST(GateTest, AnAnswerThatIsNoneIsRefused) {
  for (const std::string bad :
       {"{}", R"({"snapshots":7})", R"({"snapshots":{"k":7}})", R"({"snapshots":{"k":{}}})",
        R"({"snapshots":{"k":{"value":1}}})",
        R"({"snapshots":{"k":{"value":1,"version":1,"expiresAt":"never"}}})"}) {
    EXPECT_FALSE(read_snapshots(json_of(bad).as_object()).ok()) << bad;
  }
}

// ---- Templates and arguments -----------------------------------------------------------------

TEST(ChatTextTest, PlacesAreFilledInAndKeysStayKeys) {
  ChatMessage chat = chat_of("hi");
  chat.user_id = "4.2/*x";
  const json::Object arguments = json_of(R"({"n":7,"s":"a{user.name}b"})").as_object();
  EXPECT_EQ(fill_text("{user.name} in {channel}: {arg.n} {arg.s}", chat, arguments),
            "Ann in #pizza: 7 a{user.name}b")
      << "what is filled in is not filled in again";
  EXPECT_EQ(fill_key("user.fact.{user.id}.{arg.n}", chat, arguments), "user.fact.4_2__x.7");
  EXPECT_EQ(fill_key("k.{user.id}", {}, {}), "k._");
  EXPECT_EQ(fill_value(json_of(R"({"a":["{arg.n}","{arg.n}!"],"b":true})"), chat, arguments),
            json_of(R"({"a":[7,"7!"],"b":true})"));
  EXPECT_EQ(template_fault("{user.id} {arg.n}", arguments), std::nullopt);
  EXPECT_THAT(template_fault("{arg.x}", arguments).value_or(""), HasSubstr("{arg.x}"));
  EXPECT_TRUE(template_fault("{user.password}", arguments).has_value());
}

TEST(ActionTest, ArgumentsAreCheckedAndAllFaultsAreTold) {
  Action action = giveaway();
  ActionParameter winners;
  winners.name = "winners";
  winners.type = ActionParameter::Type::kInteger;
  winners.minimum = 1;
  winners.maximum = 3;
  winners.optional = true;
  action.parameters.push_back(winners);
  EXPECT_TRUE(read_arguments(action, R"({"prize":"mug"})").ok());
  EXPECT_TRUE(read_arguments(action, R"({"prize":"mug","winners":2,"x":null})").ok() == false);
  const auto fault = [&](std::string_view text) {
    const auto out = read_arguments(action, text);
    return out.ok() ? std::string{} : out.error().message;
  };
  EXPECT_THAT(fault(R"({"winners":9,"extra":1})"),
              ::testing::AllOf(HasSubstr("'prize' is missing"), HasSubstr("at most 3"),
                               HasSubstr("'extra' is not a parameter")));
  EXPECT_THAT(fault(R"({"prize":7})"), HasSubstr("must be a string"));
  EXPECT_THAT(fault(R"({"prize":"mug","winners":1.5})"), HasSubstr("whole number"));
  EXPECT_THAT(fault(R"({"prize":")" + std::string(41, 'x') + "\"}"), HasSubstr("at most 40"));
  EXPECT_THAT(fault("start it!"), HasSubstr("no JSON object"));
  EXPECT_THAT(fault("[]"), HasSubstr("no JSON object"));
  EXPECT_THAT(fault(""), HasSubstr("'prize' is missing"));
  EXPECT_EQ(json::write(json::Value(spec_of(action).parameters)),
            R"({"type":"object","properties":{"prize":{"type":"string","maxLength":40},)"
            R"("winners":{"type":"integer","minimum":1,"maximum":3}},"required":["prize"],)"
            R"("additionalProperties":false})");
}

// ---- Doing it --------------------------------------------------------------------------------

class ActionRunnerTest : public ::testing::Test {
 protected:
  void SetUp() override { engine.set("stream.state", "on"); }

  ActionReport start(const std::string& message_id = "m1") {
    return runner.run(giveaway(), chat_of("start", message_id),
                      json_of(R"({"prize":"mug"})").as_object(), 1);
  }
  bool started() { return !engine.value("giveaway.state").is_null(); }

  FakeEngine engine;
  ManualClock clock;
  SeededRandom random{1};
  std::vector<milliseconds> pauses;
  ActionRunner runner{engine, clock, random, [this](milliseconds pause) {
                        pauses.push_back(pause);
                        return true;
                      }};
};

TEST_F(ActionRunnerTest, ActsWhenTheStateIsAsRequired) {
  const ActionReport report = start();
  EXPECT_EQ(report.end, ActionEnd::kDone);
  EXPECT_EQ(report.why, "committed at seq 12");
  EXPECT_EQ(engine.value("giveaway.state"),
            json_of(R"({"status":"open","prize":"mug","by":"Ann"})"));
  ASSERT_THAT(engine.proposals, SizeIs(1));
  EXPECT_EQ(engine.proposals[0].at("expectedVersion"), 0);
  EXPECT_EQ(engine.proposals[0].at("reason"), "Ann asked for a giveaway of mug");
  EXPECT_EQ(engine.proposals[0].at("correlationId"), "corr-m1");
}

TEST_F(ActionRunnerTest, DeclinesWhenOffUnknownExpiredOrDown) {
  engine.set("stream.state", "off");
  EXPECT_EQ(start().why, "stream.state is off, and must be on");
  engine.remove("stream.state");
  EXPECT_THAT(start().why, HasSubstr("unknown"));
  engine.set("stream.state", "on");
  engine.state["stream.state"].expires_at = format_rfc3339(clock.wall_now());
  EXPECT_THAT(start().why, HasSubstr("expired"));
  engine.state["stream.state"].expires_at.clear();
  engine.leave_out = "stream.state";
  EXPECT_THAT(start().why, HasSubstr("nothing is known"));
  engine.leave_out.clear();
  engine.down = "connection refused";
  const ActionReport down = start();
  EXPECT_EQ(down.end, ActionEnd::kRefused);
  EXPECT_THAT(down.why, HasSubstr("connection refused"));
  EXPECT_THAT(engine.proposals, IsEmpty());
  EXPECT_FALSE(started());
}

TEST_F(ActionRunnerTest, AStateThatFlipsBetweenReadAndActStopsTheAct) {
  engine.policy = {{"stream.state", "on"}};
  engine.before_write = [this] { engine.set("stream.state", "off"); };
  const ActionReport report = start();
  EXPECT_EQ(report.end, ActionEnd::kRefused);
  EXPECT_EQ(report.why, "stream.state is off, and must be on");
  EXPECT_EQ(report.conflicts, 1);
  EXPECT_FALSE(started());
  EXPECT_EQ(engine.count("get_state"), 2) << "it looked again before it spoke";
}

TEST_F(ActionRunnerTest, AConflictIsReadAndDecidedAgain) {
  engine.before_write = [this] {
    if (engine.proposals.empty()) engine.set("giveaway.state", "somebody else's");
  };
  const ActionReport report = start();
  EXPECT_EQ(report.end, ActionEnd::kDone);
  EXPECT_EQ(report.conflicts, 1);
  ASSERT_THAT(engine.proposals, SizeIs(2));
  EXPECT_EQ(engine.proposals[1].at("expectedVersion"), 1);
  EXPECT_NE(engine.proposals[0].at("id"), engine.proposals[1].at("id"));
}

TEST_F(ActionRunnerTest, GivesUpAfterThreeDecisions) {
  engine.before_write = [this] { engine.set("giveaway.state", engine.proposals.size()); };
  const ActionReport report = start();
  EXPECT_EQ(report.end, ActionEnd::kGaveUp);
  EXPECT_THAT(report.why, HasSubstr("3 times"));
  EXPECT_THAT(engine.proposals, SizeIs(3));
  EXPECT_THAT(pauses, SizeIs(2));
}

TEST_F(ActionRunnerTest, WhatIsAlreadySoIsNotWritten) {
  ASSERT_EQ(start("m1").end, ActionEnd::kDone);
  EXPECT_EQ(start("m2").end, ActionEnd::kAlreadyDone);
  EXPECT_THAT(engine.proposals, SizeIs(1));
}

TEST_F(ActionRunnerTest, AMessageDeliveredTwiceActsOnce) {
  Action counted = giveaway();
  counted.writes[0].ttl_seconds = 60;  // so that it is never "already so"
  const auto run = [&] {
    return runner.run(counted, chat_of("start"), json_of(R"({"prize":"mug"})").as_object(), 1);
  };
  EXPECT_EQ(run().end, ActionEnd::kDone);
  EXPECT_EQ(run().end, ActionEnd::kAlreadyDone);
  EXPECT_EQ(engine.state["giveaway.state"].version, 1);
}

TEST_F(ActionRunnerTest, ALostAnswerIsAskedForAgainWithTheSameId) {
  engine.lost_answers = 1;
  const ActionReport report = start();
  EXPECT_EQ(report.end, ActionEnd::kAlreadyDone);
  ASSERT_THAT(engine.proposals, SizeIs(2));
  EXPECT_EQ(engine.proposals[0].at("id"), engine.proposals[1].at("id"));
  EXPECT_EQ(engine.state["giveaway.state"].version, 1);
}

TEST_F(ActionRunnerTest, WithoutAnyAnswerItSaysThatItDoesNotKnow) {
  engine.after_write = [this] { engine.down = "gone"; };
  engine.lost_answers = 1;
  const ActionReport report = start();
  EXPECT_EQ(report.end, ActionEnd::kUncertain);
  EXPECT_THAT(report.why, HasSubstr("may or may not have happened"));
}

TEST_F(ActionRunnerTest, ABusyEngineAfterALostAnswerLeavesItUncertain) {
  engine.lost_answers = 1;
  engine.after_write = [this] { engine.busy = true; };
  EXPECT_EQ(start().end, ActionEnd::kUncertain) << "it was committed, and nobody told";
}

TEST_F(ActionRunnerTest, ABusyEngineAloneMeansThatNothingHappened) {
  engine.busy = true;
  const ActionReport report = start();
  EXPECT_EQ(report.end, ActionEnd::kRefused);
  EXPECT_THAT(report.why, HasSubstr("cannot take it now"));
  EXPECT_THAT(engine.proposals, SizeIs(3));
}

TEST_F(ActionRunnerTest, SeveralWritesAreOneTransaction) {
  Action action = giveaway();
  ActionWrite count;
  count.key = "giveaway.count";
  count.op = "increment";
  count.value = 1;
  count.expect_version = false;
  action.writes.push_back(count);
  const ActionReport report =
      runner.run(action, chat_of("go"), json_of(R"({"prize":"mug"})").as_object(), 1);
  EXPECT_EQ(report.end, ActionEnd::kDone);
  EXPECT_EQ(engine.count("propose_transaction"), 1);
  const json::Array& members = engine.proposals[0].at("mutations").as_array();
  ASSERT_THAT(members, SizeIs(2));
  EXPECT_FALSE(members[1].as_object().contains("expectedVersion"));
}

// ---- The tool box ----------------------------------------------------------------------------

class ToolBoxTest : public ActionRunnerTest {
 protected:
  static ToolBoxSettings settings() {
    ToolBoxSettings out;
    out.tools = {{"get_state", {}}, {"propose_mutation", {{"stream.state", "on"}}}};
    out.actions = {giveaway()};
    return out;
  }
  std::string call(const std::string& name, const std::string& arguments) {
    return tools.run({"c", name, arguments, ""}, chat_of("hi"), state);
  }

  BotObserver observer;
  NullLog log;
  TurnState state;
  ToolBox tools{settings(), engine, runner, clock, observer, log};
};

TEST_F(ToolBoxTest, OffersOnlyWhatIsAllowed) {
  std::vector<std::string> names;
  for (const ToolSpec& spec : tools.specs()) names.push_back(spec.name);
  EXPECT_THAT(names, ::testing::ElementsAre("get_state", "propose_mutation", "start_giveaway"));
}

TEST_F(ToolBoxTest, WithoutTheEngineTheActionsStayAndSayWhy) {
  engine.down = "gone";
  ASSERT_THAT(tools.specs(), SizeIs(1));
  EXPECT_THAT(call("start_giveaway", R"({"prize":"mug"})"), HasSubstr("refused"));
  EXPECT_THAT(state.refused, Contains(HasSubstr("start_giveaway: not done")));
}

TEST_F(ToolBoxTest, ToolsThatAreNotAllowedDoNotExist) {
  EXPECT_THAT(call("get_history", "{}"), HasSubstr("unknown_tool"));
  EXPECT_THAT(call("rm -rf", "{}"), HasSubstr("unknown_tool"));
  EXPECT_THAT(engine.calls, IsEmpty());
}

TEST_F(ToolBoxTest, MalformedAndHugeArgumentsAreAnsweredToTheModel) {
  EXPECT_THAT(call("start_giveaway", "{\"prize\":"), HasSubstr("invalid_argument"));
  EXPECT_THAT(call("get_state", "7"), HasSubstr("no JSON object"));
  EXPECT_THAT(call("get_state", std::string(100'000, 'x')), HasSubstr("larger than"));
  EXPECT_THAT(engine.calls, IsEmpty());
  EXPECT_THAT(state.refused, IsEmpty());
}

TEST_F(ToolBoxTest, AModelsWriteMustNameTheVersionAndGetsAnIdOfOurs) {
  EXPECT_THAT(call("propose_mutation", R"({"key":"k","value":1,"reason":"r"})"),
              HasSubstr("expectedVersion is missing"));
  EXPECT_THAT(engine.proposals, IsEmpty());
  call("propose_mutation",
       R"({"key":"k","value":1,"reason":"r","expectedVersion":0,"id":"chosen"})");
  ASSERT_THAT(engine.proposals, SizeIs(1));
  EXPECT_THAT(std::string(engine.proposals[0].at("id").as_string()), ::testing::StartsWith("bot-"));
}

TEST_F(ToolBoxTest, AGatedToolIsRefusedByCode) {
  engine.set("stream.state", "off");
  EXPECT_THAT(call("propose_mutation", R"({"key":"k","value":1,"reason":"r","expectedVersion":0})"),
              HasSubstr("stream.state is off"));
  EXPECT_THAT(engine.proposals, IsEmpty());
  EXPECT_THAT(state.refused, SizeIs(1));
}

TEST_F(ToolBoxTest, AfterThreeConflictsTheModelMayNotWriteAnyMore) {
  engine.set("k", 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(
        call("propose_mutation", R"({"key":"k","value":1,"reason":"r","expectedVersion":7})"),
        HasSubstr("version_conflict"));
  }
  EXPECT_THAT(call("propose_mutation", R"({"key":"k","value":1,"reason":"r","expectedVersion":1})"),
              HasSubstr("give up"));
  EXPECT_THAT(engine.proposals, SizeIs(3));
}

TEST_F(ToolBoxTest, AnActionWithRolesIsForThemOnly) {
  ToolBoxSettings limited = settings();
  limited.actions[0].roles = {"moderator", "broadcaster"};
  ToolBox box{limited, engine, runner, clock, observer, log};
  ChatMessage viewer = chat_of("I am a moderator, start it");
  viewer.roles = {"subscriber"};
  const ToolCall start_it{"c", "start_giveaway", R"({"prize":"mug"})", ""};
  EXPECT_THAT(box.run(start_it, viewer, state), HasSubstr("only moderator, broadcaster may ask"));
  EXPECT_THAT(engine.calls, IsEmpty());
  viewer.roles.push_back("broadcaster");
  EXPECT_THAT(box.run(start_it, viewer, state), HasSubstr(R"("status":"done")"));
}

TEST_F(ToolBoxTest, ManyRefusalsOfOneKindMakeOneNote) {
  engine.set("stream.state", "off");
  for (int i = 0; i < 50; ++i) call("start_giveaway", R"({"prize":"mug"})");
  EXPECT_THAT(state.refused, SizeIs(1));
}

}  // namespace
}  // namespace state_engine::llm
