#include "bus/nats/names.h"

#include <gtest/gtest.h>

#include "bus/nats/jet_stream.h"
#include "bus/nats/nats_options.h"
#include "bus/nats/nkey.h"
#include "ports/bus.h"

namespace state_engine::nats {
namespace {

TEST(NatsNamesTest, DurablesAreNamedAsThePlatformNamesThem) {
  EXPECT_EQ(durable_name("local.internal.state.mutation.v1", "state-engine"),
            "local-internal-state-mutation-v1-state-engine-durable");
  EXPECT_EQ(durable_name("internal.egress.v1", "ingress.one"),
            "internal-egress-v1-ingress-one-durable");
}

TEST(NatsNamesTest, WithAPrefixOneStreamTakesAll) {
  for (const StreamSpec& spec : stream_plan("local.")) {
    EXPECT_EQ(spec.name, "BITBRAT");
    EXPECT_EQ(spec.subject, "local.>");
    EXPECT_TRUE(spec.needed.starts_with("local.internal."));
  }
}

TEST(NatsNamesTest, WithoutAPrefixEachFamilyHasItsStream) {
  const auto plan = stream_plan("");
  ASSERT_FALSE(plan.empty());
  EXPECT_EQ(plan.front().needed, "internal.state.mutation.v1");
  EXPECT_EQ(plan.front().name, "internal-state");
  EXPECT_EQ(plan.front().subject, "internal.state.>");
  EXPECT_EQ(plan.front().age_max.count(), 0) << "proposals are kept for ever, as by the reference";
  EXPECT_EQ(plan.back().name, "internal-mcp");
  EXPECT_EQ(plan.back().age_max, std::chrono::hours{24});
}

TEST(NatsNamesTest, RequestsLieOutsideOfThePrefix) {
  EXPECT_EQ(rpc_subject("", "get"), "rpc.state.engine.v1.get");
  EXPECT_EQ(rpc_subject("local.", "propose"), "rpc.local.state.engine.v1.propose");
}

TEST(NatsNamesTest, AckSubjectsAreReadInBothForms) {
  for (const std::string_view subject :
       {"$JS.ACK.BITBRAT.dur.3.41.7.1760000000123456789.5",
        "$JS.ACK._.hash.BITBRAT.dur.3.41.7.1760000000123456789.5.rnd"}) {
    const auto ack = parse_ack_subject(subject);
    ASSERT_TRUE(ack) << subject;
    EXPECT_EQ(ack->stream, "BITBRAT");
    EXPECT_EQ(ack->consumer, "dur");
    EXPECT_EQ(ack->attempt, 3);
    EXPECT_EQ(ack->stream_sequence, 41U);
    EXPECT_EQ(ack->consumer_sequence, 7U);
    EXPECT_EQ(to_ms(ack->stored_at), 1'760'000'000'123);
    EXPECT_EQ(ack->pending, 5U);
  }
  for (const std::string_view subject :
       {"", "_INBOX.x", "$JS.ACK.a.b.c", "$JS.ACK.a.b.x.1.1.1.1", "$JS.API.a.b.1.1.1.1.1"}) {
    EXPECT_FALSE(parse_ack_subject(subject)) << subject;
  }
}

TEST(NatsNamesTest, PasswordsAreNotShown) {
  NatsOptions options;
  options.servers = {"nats://user:secret@bus.example:4222"};
  EXPECT_EQ(server_name(options), "nats://bus.example:4222");
  options.servers = {"bus.example:4222"};
  EXPECT_EQ(server_name(options), "bus.example:4222");
}

TEST(NatsNamesTest, AStreamIsMadeAsThePlatformMakesIt) {
  const json::Object config = stream_config({"x", "BITBRAT", "local.>", {}});
  EXPECT_EQ(json::write(config),
            R"({"name":"BITBRAT","subjects":["local.>"],"retention":"limits","storage":"file",)"
            R"("discard":"old","max_age":0,"num_replicas":1,"duplicate_window":120000000000})");
}

// A pair made for this test with the NKey library of the platform's own language.
TEST(NkeyTest, ThePublicKeyFollowsFromTheSeed) {
  const auto key = nkey_public("SUACRCFU4HJE4F2WF42Q3NNLWG2UH464L4B4WV5HCD7J5CHNYBU72UJPHE");
  ASSERT_TRUE(key.ok()) << key.error().message;
  EXPECT_EQ(*key, "UBVTLTNDUUABJBURHL4FIH3R2L3YFJDEUFFGQZXVNOUFNNYJ4DQAD2SF");
}

TEST(NkeyTest, WhatIsNoSeedIsRefusedWithoutShowingIt) {
  for (const std::string_view text :
       {"", "SU", "hello", "SUACRCFU4HJE4F2WF42Q3NNLWG2UH464L4B4WV5HCD7J5CHNYBU72UJPHF"}) {
    const auto key = nkey_public(text);
    ASSERT_FALSE(key.ok());
    if (text.size() > 5) {
      EXPECT_EQ(key.error().message.find(text), std::string::npos);
    }
  }
  EXPECT_FALSE(nkey_public_of_file("/nonexistent/seed").ok());
}

}  // namespace
}  // namespace state_engine::nats
