#include "wire/egress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/wire_samples.h"

namespace state_engine::wire {
namespace {

Effect effect_with(std::string payload) {
  Effect effect = samples::effect();
  effect.payload = std::move(payload);
  return effect;
}

json::Object event_of(std::string payload) {
  return encode_egress_event(effect_with(std::move(payload)));
}

TEST(EgressTest, ReferencePayloadBecomesAValidEnvelope) {
  const Effect effect = effect_with(
      R"({"annotations":[{"createdAt":"2025-11-22T11:00:00.000Z","id":"a1","kind":"intent",)"
      R"("label":"online","source":"rule"}],"message":"Stream detected online",)"
      R"("type":"system.stream.online"})");
  EXPECT_EQ(json::write_pretty(encode_egress_event(effect)),
            json::write_pretty(*json::parse(
                R"({"v":"2","correlationId":"c-1","type":"system.stream.online",)"
                R"("ingress":{"ingressAt":"2025-11-22T12:00:00.250Z","source":"state-engine",)"
                R"("connector":"system"},)"
                R"("identity":{"external":{"id":"state-engine","platform":"system"}},)"
                R"("egress":{"destination":"system","connector":"system"},)"
                R"("message":{"id":"fx-0123456789abcdef0123456789abcdef","role":"assistant",)"
                R"("text":"Stream detected online"},)"
                R"("candidates":[{"id":"fx-0123456789abcdef0123456789abcdef:0","kind":"text",)"
                R"("source":"state-engine","createdAt":"2025-11-22T12:00:00.250Z",)"
                R"("status":"proposed","priority":10,"text":"Stream detected online"}],)"
                R"("payload":{},"annotations":[{"id":"a1","kind":"intent","label":"online",)"
                R"("source":"rule","createdAt":"2025-11-22T11:00:00.000Z"}],)"
                R"("routing":{"stage":"response","slip":[],"history":[]},)"
                R"("cause":{"effectId":"fx-0123456789abcdef0123456789abcdef",)"
                R"("ruleId":"stream-online","mutationId":"m-17","seq":17}})")));
}

TEST(EgressTest, RuleNamesTheConnectorAndItsCommandBecomesThePayload) {
  const json::Object event = event_of(
      R"({"command":"setScene","egress":{"connector":"obs","channel":"main"},"scene":"Live",)"
      R"("payload":{"x":1},"type":"obs.command"})");
  EXPECT_EQ(json::write(event.at("egress")),
            R"({"destination":"obs","connector":"obs","channel":"main"})");
  EXPECT_EQ(json::write(event.at("payload")), R"({"x":1,"command":"setScene","scene":"Live"})");
  EXPECT_FALSE(event.contains("message"));
  EXPECT_EQ(json::write(event.at("candidates")), "[]");
}

TEST(EgressTest, OwnCandidatesAreKeptAndCompleted) {
  const json::Object event =
      event_of(R"({"candidates":[{"text":"Hi","priority":1},7,{"id":"c","text":"Ho"}],)"
               R"("message":{"text":"Hello","role":"system"}})");
  const json::Array& candidates = event.at("candidates").get_array();
  ASSERT_EQ(candidates.size(), 2U);
  EXPECT_EQ(candidates[0].at("priority"), json::Value(1));
  EXPECT_EQ(candidates[1].at("id"), json::Value("c"));
  EXPECT_EQ(candidates[1].at("status"), json::Value("proposed"));
  EXPECT_EQ(event.at("message").at("role"), json::Value("system"));
}

TEST(EgressTest, PayloadsThatAreNoObjectsAreCarried) {
  EXPECT_EQ(json::write(event_of("[1,2]").at("payload")), R"({"value":[1,2]})");
  EXPECT_EQ(json::write(event_of("\"text\"").at("payload")), R"({"value":"text"})");
}

TEST(EgressTest, CorrelationFallsBackToTheCause) {
  Effect effect = samples::effect();
  effect.correlation_id.clear();
  EXPECT_EQ(encode_egress_event(effect).at("correlationId"), json::Value("m-17"));
}

// (I9) Identical bytes at each delivery.
TEST(EgressTest, BodiesAreIdenticalEachTimeAndRawIsThePayload) {
  const Effect effect = samples::effect();
  EXPECT_EQ(egress_body(effect, EgressShape::kInternalEventV2),
            egress_body(effect, EgressShape::kInternalEventV2));
  EXPECT_EQ(egress_body(effect, EgressShape::kRaw), effect.payload);
}

}  // namespace
}  // namespace state_engine::wire
