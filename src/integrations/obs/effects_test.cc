#include <gtest/gtest.h>

#include "integrations/obs/effect_gate.h"
#include "integrations/obs/effect_map.h"

namespace state_engine::obs {
namespace {

using namespace std::chrono_literals;

json::Object object_of(std::string_view text) {
  auto parsed = json::parse(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return parsed->get_object();
}

std::string first_command(const EffectMap& map, std::string_view event) {
  const auto wanted = map.commands_of(object_of(event));
  if (!wanted.faults.empty()) return "fault: " + wanted.faults.front();
  return wanted.commands.empty() ? "" : describe(wanted.commands.front());
}

TEST(EffectMapTest, AnEventOfOurTypeIsThatCommand) {
  const EffectMap map;
  EXPECT_EQ(first_command(map, R"({"type":"obs.switch_scene","payload":{"scene":"Live"},
                                   "egress":{"connector":"obs"}})"),
            "switch_scene 'Live'");
  // Without a connector of its own, and in the raw shape.
  EXPECT_EQ(first_command(map, R"({"type":"obs.switch_scene","payload":{"scene":"Live"},
                                   "egress":{"connector":"system"}})"),
            "switch_scene 'Live'");
  EXPECT_EQ(first_command(map, R"({"type":"obs.switch_scene","scene":"Live"})"),
            "switch_scene 'Live'");
  EXPECT_EQ(first_command(map, R"({"type":"obs.start_stream","payload":{}})"), "start_stream");
}

TEST(EffectMapTest, WhatIsForOthersIsPassedOver) {
  const EffectMap map;
  EXPECT_EQ(first_command(map, R"({"type":"system.stream.online"})"), "");
  EXPECT_EQ(first_command(map, R"({"type":"obs.start_stream","egress":{"connector":"twitch"}})"),
            "");
  EXPECT_EQ(first_command(map, R"({"type":7})"), "");
  EXPECT_EQ(first_command(map, "{}"), "");
}

TEST(EffectMapTest, SaysWhatIsWrong) {
  const EffectMap map;
  EXPECT_EQ(first_command(map, R"({"type":"obs.switch_scene","payload":{}})"),
            "fault: switch_scene: scene is missing");
  EXPECT_EQ(first_command(map, R"({"type":"obs.switch_scene","payload":{"scene":7}})"),
            "fault: switch_scene: scene must be a string, not number");
  EXPECT_EQ(first_command(map, R"({"type":"obs.set_mute","payload":{"input":"Mic"}})"),
            "fault: set_mute: muted must be true or false");
  EXPECT_NE(first_command(map, R"({"type":"obs.explode"})").find("switch_scene, start_stream"),
            std::string::npos);
}

TEST(EffectMapTest, ConfiguredEffectsTakeValuesOfTheEvent) {
  EffectMap map;
  ASSERT_TRUE(map.add("title", {CommandKind::kSetText,
                                object_of(R"({"input":"T","text":"Now: ${payload.title}!"})")})
                  .ok());
  ASSERT_TRUE(
      map.add("mute", {CommandKind::kSetMute,
                       object_of(R"({"input":"${payload.input}","muted":"${payload.on}"})")})
          .ok());
  const auto text = map.commands_of(object_of(R"({"type":"title","payload":{"title":"A ${b}"}})"));
  ASSERT_EQ(text.commands.size(), 1U);
  EXPECT_EQ(text.commands[0].text, "Now: A ${b}!");  // filled in once, not again
  const auto mute =
      map.commands_of(object_of(R"({"type":"mute","payload":{"input":"Mic","on":true}})"));
  ASSERT_EQ(mute.commands.size(), 1U);
  EXPECT_TRUE(mute.commands[0].on);
  EXPECT_EQ(first_command(map, R"({"type":"title","payload":{}})"),
            "fault: set_text: the event has no 'payload.title'");
  EXPECT_EQ(first_command(map, R"({"type":"title","payload":{"title":{"a":1}}})"),
            "fault: set_text: 'payload.title' is no plain value");
}

TEST(EffectMapTest, RefusesAtLoadWhatCanNeverBeRight) {
  EffectMap map;
  EXPECT_FALSE(map.add("x", {CommandKind::kSwitchScene, {}}).ok());
  EXPECT_TRUE(map.add("x", {CommandKind::kSwitchScene, object_of(R"({"scene":"${s}"})")}).ok());
}

class EffectGateTest : public testing::Test {
 protected:
  EffectFate fate(std::string body, std::string id = "") {
    passed_ = gate_.pass({"internal.egress.v1", std::move(body), std::move(id)}, wall_, now_);
    return passed_.fate;
  }
  static std::string start_made_at(Timestamp time) {
    return R"({"type":"obs.start_stream","payload":{},"ingress":{"ingressAt":")" +
           format_rfc3339(time) + "\"}}";
  }

  NullLog log_;
  EffectMap map_;
  EffectGate gate_{map_, 30s, log_};
  Timestamp wall_ = timestamp_from_ms(1'760'000'000'000);
  std::chrono::nanoseconds now_{1h};
  EffectGate::Passed passed_;
};

TEST_F(EffectGateTest, TakesAnEventOnce) {
  const std::string body = start_made_at(wall_);
  EXPECT_EQ(fate(body, "fx-1"), EffectFate::kTaken);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(fate(body, "fx-1"), EffectFate::kRepeated);
  EXPECT_TRUE(passed_.commands.empty());
  EXPECT_EQ(fate(body, "fx-2"), EffectFate::kTaken);
}

TEST_F(EffectGateTest, PassesOverWhatIsOld) {
  EXPECT_EQ(fate(start_made_at(wall_ - 31s), "a"), EffectFate::kTooOld);
  EXPECT_EQ(fate(start_made_at(wall_ - 10s), "b"), EffectFate::kTaken);
  EXPECT_EQ(passed_.time_left, 20s);
  EXPECT_EQ(fate(start_made_at(wall_ + 1h), "c"), EffectFate::kTaken);  // another clock
  EXPECT_EQ(passed_.time_left, 30s);
}

TEST_F(EffectGateTest, SurvivesWhatIsNoEvent) {
  for (const char* body : {"", "null", "[1]", "{", "\"x\"", "{\"type\":\"obs.\"}"}) {
    const EffectFate got = fate(body);
    EXPECT_TRUE(got == EffectFate::kNotForObs || got == EffectFate::kFaulty) << body;
  }
}

TEST_F(EffectGateTest, StopsALoop) {
  EffectFate last = EffectFate::kTaken;
  int taken = 0;
  while (last == EffectFate::kTaken && taken < 1000) {
    last = fate(start_made_at(wall_), "fx-" + std::to_string(taken));
    if (last == EffectFate::kTaken) ++taken;
  }
  EXPECT_EQ(last, EffectFate::kTooMany);
  EXPECT_EQ(taken, 100);
  now_ += 11s;
  EXPECT_EQ(fate(start_made_at(wall_), "later"), EffectFate::kTaken);
}

}  // namespace
}  // namespace state_engine::obs
