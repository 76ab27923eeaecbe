// Several engines on one database: no lost update, no double effect, one winner of each race.
//
// Every drill runs on the fake and, where it is installed, on the vendor's emulator.

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/chain.h"
#include "tests/conformance/firestore_home.h"
#include "tests/firestore/live_engine.h"
#include "tests/support/fake_firestore.h"
#include "tests/support/firestore_emulator.h"

namespace state_engine::test {
namespace {

using std::chrono::milliseconds;

std::unique_ptr<FirestoreEmulator> emulator;  // NOLINT: made by main, for all cases

constexpr const char* kNoRules = "[]";

Proposal proposal_of(std::string id, std::string key, Op op, json::Value value) {
  Proposal out;
  out.id = std::move(id);
  out.op = op;
  out.key = std::move(key);
  out.value = std::move(value);
  out.actor = "tester";
  out.reason = "a drill";
  return out;
}

class FirestoreEnginesTest : public testing::TestWithParam<bool> {
 protected:
  FirestoreEnginesTest() {
    const bool on_fake = GetParam();
    if (on_fake) fake_ = std::make_unique<FakeFirestore>();
    if (on_fake || emulator) home_.emplace(on_fake ? fake_->address() : emulator->address());
  }

  void SetUp() override {
    if (!home_) GTEST_SKIP() << "no Firestore emulator here";
  }

  void start(int count, const std::string& rules = kNoRules) {
    for (int i = 0; i < count; ++i) {
      FirestoreOptions options = home_->options();
      options.read_patience = milliseconds{500};
      options.commit_patience = milliseconds{3000};
      engines_.push_back(std::make_unique<LiveEngine>(options, rules));
    }
  }

  std::vector<LogEntry> whole_log() {
    LogQuery query;
    query.limit = 100'000;
    return must(engines_.front()->wait(engines_.front()->store().read_log(query)));
  }

  // Versions of each key are dense and grow with seq; every engine's chain is whole.
  void check_log(const std::vector<LogEntry>& log) {
    std::map<std::string, std::int64_t> versions;
    std::map<std::string, std::vector<const LogEntry*>> by_engine;
    std::set<std::string> ids;
    for (const LogEntry& entry : log) {
      EXPECT_TRUE(ids.insert(entry.proposal.id).second) << entry.proposal.id << " is there twice";
      by_engine[entry.engine_id].push_back(&entry);
      if (!entry.accepted) continue;
      EXPECT_EQ(entry.resulting_version, versions[entry.proposal.key] + 1)
          << entry.proposal.key << " at seq " << entry.seq;
      versions[entry.proposal.key] = *entry.resulting_version;
    }
    for (auto& [engine, entries] : by_engine) {
      std::string hash = genesis_hash();
      std::int64_t seq = 0;
      for (const LogEntry* entry : entries) {
        EXPECT_GT(entry->seq, seq);
        EXPECT_EQ(entry->prev_hash, hash) << engine << " seq " << entry->seq;
        EXPECT_EQ(entry_hash(*entry), entry->hash);
        hash = entry->hash;
        seq = entry->seq;
      }
    }
  }

  // Declared first, destroyed last.
  std::unique_ptr<FakeFirestore> fake_;
  std::optional<FirestoreHome> home_;
  std::vector<std::unique_ptr<LiveEngine>> engines_;
};

TEST_P(FirestoreEnginesTest, FourEnginesIncrementAHotKeyAndLoseNothing) {
  constexpr int kEach = 25;
  start(4);
  std::vector<std::future<MutationResult>> answers;
  for (int i = 0; i < kEach; ++i) {
    for (std::size_t e = 0; e < engines_.size(); ++e) {
      answers.push_back(
          engines_[e]->send(proposal_of(fmt::format("inc-{}-{}", e, i), "hot", Op::kIncrement, 1)));
    }
  }
  int accepted = 0;
  for (auto& answer : answers) {
    const MutationResult result = answer.get();
    EXPECT_TRUE(result.accepted) << result.error;
    accepted += result.accepted ? 1 : 0;
  }
  const SnapshotPtr hot = engines_[2]->read("hot");
  ASSERT_NE(hot, nullptr);
  EXPECT_EQ(hot->version, accepted);
  EXPECT_EQ(hot->value, json::Value(accepted));
  check_log(whole_log());
}

TEST_P(FirestoreEnginesTest, OfTwoEnginesThatRaceForAVersionOneWinsEachRound) {
  constexpr int kRounds = 20;
  start(2);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::future<MutationResult>> answers;
    for (std::size_t e = 0; e < 2; ++e) {
      Proposal proposal = proposal_of(fmt::format("cas-{}-{}", round, e), "lock", Op::kSet,
                                      json::Value(std::string_view(e == 0 ? "e0" : "e1")));
      proposal.expected_version = round;
      answers.push_back(engines_[e]->send(std::move(proposal)));
    }
    std::vector<MutationResult> results;
    for (auto& answer : answers) results.push_back(answer.get());
    const int winners =
        static_cast<int>(results[0].accepted) + static_cast<int>(results[1].accepted);
    EXPECT_EQ(winners, 1) << "round " << round << ": " << results[0].error << " / "
                          << results[1].error;
    const MutationResult& loser = results[0].accepted ? results[1] : results[0];
    EXPECT_EQ(loser.code, RejectionCode::kVersionConflict);
    ASSERT_NE(loser.current, nullptr) << "the loser learns what is there";
    EXPECT_EQ(loser.current->version, round + 1);
  }
  check_log(whole_log());
}

TEST_P(FirestoreEnginesTest, AnIdGivenToEveryEngineTakesEffectOnce) {
  constexpr int kIds = 30;
  start(3);
  std::vector<std::future<MutationResult>> answers;
  for (int i = 0; i < kIds; ++i) {
    for (auto& engine : engines_) {
      answers.push_back(
          engine->send(proposal_of(fmt::format("once-{}", i), "sum", Op::kIncrement, 1)));
    }
  }
  std::map<std::string, std::set<std::int64_t>> versions;
  int first = 0;
  for (auto& answer : answers) {
    const MutationResult result = answer.get();
    ASSERT_TRUE(result.accepted) << result.error;
    versions[result.mutation_id].insert(*result.version);
    first += result.duplicate ? 0 : 1;
  }
  for (const auto& [id, seen] : versions) EXPECT_EQ(seen.size(), 1U) << id << ": one answer";
  EXPECT_EQ(first, kIds);
  EXPECT_EQ(engines_[0]->read("sum")->value, json::Value(kIds));
  check_log(whole_log());
}

TEST_P(FirestoreEnginesTest, EachEffectIsSentOnceWhileAllEnginesLive) {
  constexpr int kEach = 15;
  start(2, R"([{"id":"r","when":{">":[{"var":"value"},0]},
                "actions":[{"type":"publishEgress","payload":{"type":"t"}}]}])");
  std::vector<std::future<MutationResult>> answers;
  for (int i = 0; i < kEach; ++i) {
    for (std::size_t e = 0; e < 2; ++e) {
      answers.push_back(
          engines_[e]->send(proposal_of(fmt::format("fx-{}-{}", e, i), "hot", Op::kIncrement, 1)));
    }
  }
  for (auto& answer : answers) EXPECT_TRUE(answer.get().accepted);
  std::vector<std::string> sent;
  EXPECT_TRUE(comes_true([&] {
    sent = engines_[0]->sink.delivered();
    const auto others = engines_[1]->sink.delivered();
    sent.insert(sent.end(), others.begin(), others.end());
    return sent.size() >= 2 * kEach;
  }));
  EXPECT_EQ(std::set<std::string>(sent.begin(), sent.end()).size(), 2U * kEach) << "none twice";
}

TEST_P(FirestoreEnginesTest, ARefusalRestsOnWhatIsThereAndNotOnAGuess) {
  start(2);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(
        engines_[0]->propose(proposal_of(fmt::format("w-{}", i), "k", Op::kSet, i)).accepted);
  }
  // The second engine has not heard of the key.
  Proposal at_three = proposal_of("c-3", "k", Op::kSet, "mine");
  at_three.expected_version = 3;
  EXPECT_TRUE(engines_[1]->propose(at_three).accepted) << "version 3 is what is there";
  Proposal at_two = proposal_of("c-2", "k", Op::kSet, "late");
  at_two.expected_version = 2;
  const MutationResult refused = engines_[0]->propose(at_two);
  EXPECT_EQ(refused.code, RejectionCode::kVersionConflict);
  ASSERT_NE(refused.current, nullptr);
  EXPECT_EQ(refused.current->version, 4);
  EXPECT_TRUE(engines_[1]->propose(proposal_of("d-1", "k", Op::kDelete, nullptr)).accepted);
  EXPECT_EQ(engines_[0]->propose(proposal_of("d-2", "k", Op::kDelete, nullptr)).code,
            RejectionCode::kNotFound);
  check_log(whole_log());
}

TEST_P(FirestoreEnginesTest, RulesReadWhatOtherEnginesWrote) {
  start(2, R"([{"id":"gated","when":{"and":[{"==":[{"var":"key"},"go"]},
                                            {"var":"state.gate"}]},
                "actions":[{"type":"publishEgress","payload":{"type":"t"}}]}])");
  ASSERT_TRUE(engines_[1]->propose(proposal_of("g-1", "go", Op::kSet, 1)).effects.empty());
  ASSERT_TRUE(engines_[0]->propose(proposal_of("o-1", "gate", Op::kSet, true)).accepted);
  const MutationResult fired = engines_[1]->propose(proposal_of("g-2", "go", Op::kSet, 2));
  EXPECT_EQ(fired.effects.size(), 1U) << "the gate is open, whoever opened it";
  const auto log = whole_log();
  const auto entry = std::find_if(log.begin(), log.end(),
                                  [](const LogEntry& e) { return e.proposal.id == "g-2"; });
  ASSERT_NE(entry, log.end());
  const std::vector<std::pair<std::string, std::int64_t>> reads{{"gate", 1}};
  ASSERT_EQ(entry->rules.size(), 1U);
  EXPECT_EQ(entry->rules[0].reads, reads) << "the record says what was read";
}

TEST_P(FirestoreEnginesTest, RiseAndFallAreCountedOnceAcrossEngines) {
  start(2, R"([{"id":"edge","when":{"==":[{"var":"value"},"on"]},"on":"rise",
                "actions":[{"type":"publishEgress","payload":{"type":"t"}}]}])");
  const auto effects_of = [&](int engine, const std::string& id, const char* value) {
    return engines_[static_cast<std::size_t>(engine)]
        ->propose(proposal_of(id, "s", Op::kSet, value))
        .effects.size();
  };
  effects_of(0, "e-0", "off");
  EXPECT_EQ(effects_of(1, "e-1", "on"), 1U);
  EXPECT_EQ(effects_of(0, "e-2", "on"), 0U) << "the other engine has seen it rise";
  EXPECT_EQ(effects_of(0, "e-3", "off"), 0U);
  EXPECT_EQ(effects_of(1, "e-4", "on"), 1U);
}

TEST_P(FirestoreEnginesTest, ReadersSeeWhatAnyEngineCommitted) {
  start(2);
  EXPECT_EQ(engines_[1]->read("k"), nullptr);
  ASSERT_TRUE(engines_[0]->propose(proposal_of("r-1", "k", Op::kSet, "v")).accepted);
  const SnapshotPtr seen = engines_[1]->read("k");
  ASSERT_NE(seen, nullptr);
  EXPECT_EQ(seen->value, json::Value("v"));
  const PrefixPage page =
      must(engines_[1]->wait(engines_[1]->engine().read_prefix({"k", "", 10, ""})));
  EXPECT_EQ(page.snapshots.size(), 1U);
}

TEST_P(FirestoreEnginesTest, AValueExpiresOnceAlthoughEveryEngineWatchesIt) {
  start(2);
  Proposal proposal = proposal_of("t-1", "brief", Op::kSet, 1);
  proposal.ttl = milliseconds{300};
  ASSERT_TRUE(engines_[0]->propose(proposal).accepted);
  engines_[1]->propose(proposal_of("t-2", "other", Op::kSet, 1));
  EXPECT_TRUE(comes_true([&] { return engines_[1]->read("brief")->deleted; }));
  EXPECT_EQ(engines_[1]->read("brief")->version, 2);
  check_log(whole_log());
}

INSTANTIATE_TEST_SUITE_P(Fake, FirestoreEnginesTest, testing::Values(true),
                         [](const auto&) { return "fake"; });
INSTANTIATE_TEST_SUITE_P(Emulator, FirestoreEnginesTest, testing::Values(false),
                         [](const auto&) { return "emulator"; });

// ---- With faults, on the fake -----------------------------------------------------------------

class FirestoreDrillTest : public FirestoreEnginesTest {};

TEST_P(FirestoreDrillTest, ThroughLostRepliesAndContentionEveryMutationCountsOnce) {
  constexpr int kEach = 40;
  start(2);
  const auto random = std::make_shared<SeededRandom>(7);
  const auto mutex = std::make_shared<std::mutex>();
  fake_->set_faults([random, mutex](CallKind kind) {
    const std::scoped_lock lock(*mutex);
    const auto roll = random->below(100);
    if (kind != CallKind::kCommit) return roll < 5 ? CallFault::kUnavailable : CallFault::kNone;
    if (roll < 10) return CallFault::kReplyLost;
    if (roll < 20) return CallFault::kAborted;
    if (roll < 25) return CallFault::kUnavailable;
    if (roll < 28) return CallFault::kAppliedLater;
    return CallFault::kNone;
  });
  std::vector<std::thread> proposers;
  std::atomic<int> accepted{0};
  for (std::size_t e = 0; e < 2; ++e) {
    proposers.emplace_back([&, e] {
      for (int i = 0; i < kEach; ++i) {
        const Proposal proposal =
            proposal_of(fmt::format("f-{}-{}", e, i), "sum", Op::kIncrement, 1);
        if (engines_[e]->propose_until_decided(proposal).accepted) ++accepted;
      }
    });
  }
  for (std::thread& proposer : proposers) proposer.join();
  fake_->clear_faults();
  fake_->finish_late_commits();
  EXPECT_EQ(accepted, 2 * kEach);
  EXPECT_EQ(engines_[0]->read("sum")->value, json::Value(2 * kEach));
  check_log(whole_log());
}

TEST_P(FirestoreDrillTest, WhileTheStoreIsAwayNothingIsAcknowledgedAndNothingIsLostAfterwards) {
  constexpr int kKeys = 4;
  constexpr int kEach = 10;
  start(2);
  ASSERT_TRUE(engines_[0]->propose(proposal_of("first", "k0", Op::kSet, -1)).accepted);
  fake_->stop();
  std::atomic<bool> away{true};
  std::atomic<int> acknowledged_while_away{0};
  std::vector<std::thread> proposers;
  // A proposer per key sends in order and goes on only with an answer.
  for (int key = 0; key < kKeys; ++key) {
    proposers.emplace_back([&, key] {
      LiveEngine& engine = *engines_[static_cast<std::size_t>(key % 2)];
      for (int i = 0; i < kEach; ++i) {
        const Proposal proposal =
            proposal_of(fmt::format("a-{}-{}", key, i), fmt::format("k{}", key), Op::kSet, i);
        EXPECT_TRUE(engine.propose_until_decided(proposal).accepted);
        if (away) ++acknowledged_while_away;
      }
    });
  }
  let_pass(milliseconds{2500});
  EXPECT_EQ(acknowledged_while_away, 0);
  away = false;
  fake_->start();
  for (std::thread& proposer : proposers) proposer.join();
  for (int key = 0; key < kKeys; ++key) {
    const SnapshotPtr last = engines_[1]->read(fmt::format("k{}", key));
    ASSERT_NE(last, nullptr);
    EXPECT_EQ(last->value, json::Value(kEach - 1)) << "the last one sent is the last one there";
    EXPECT_EQ(last->version, kEach + (key == 0 ? 1 : 0));
  }
  check_log(whole_log());
}

TEST_P(FirestoreDrillTest, AnAnswerThatNobodyKnowsIsUnavailableAndTheSameIdLearnsIt) {
  start(1);
  ASSERT_TRUE(engines_[0]->propose(proposal_of("m-0", "k", Op::kSet, 0)).accepted);
  fake_->set_faults([](CallKind kind) {
    return kind == CallKind::kCommit ? CallFault::kAppliedLater : CallFault::kUnavailable;
  });
  Proposal proposal = proposal_of("m-1", "k", Op::kSet, 1);
  ProposeOptions fresh;
  fresh.fresh_id = true;  // no look-up before: the commit itself is what fails
  const MutationResult unknown =
      engines_[0]->wait(engines_[0]->engine().propose(proposal, Origin{}, fresh));
  EXPECT_EQ(unknown.code, RejectionCode::kUnavailable);
  fake_->clear_faults();
  fake_->finish_late_commits();
  const MutationResult known = engines_[0]->propose_until_decided(proposal);
  EXPECT_TRUE(known.accepted);
  EXPECT_TRUE(known.duplicate) << "it had been done";
  EXPECT_TRUE(engines_[0]->propose(proposal_of("m-2", "k", Op::kSet, 2)).accepted);
  EXPECT_EQ(engines_[0]->read("k")->version, 3);
  const auto log = whole_log();
  check_log(log);
  std::set<std::string> engine_ids;
  for (const LogEntry& entry : log) engine_ids.insert(entry.engine_id);
  EXPECT_EQ(engine_ids.size(), 2U) << "it went on under a new engine id";
}

INSTANTIATE_TEST_SUITE_P(Fake, FirestoreDrillTest, testing::Values(true),
                         [](const auto&) { return "fake"; });

}  // namespace
}  // namespace state_engine::test

int main(int argc, char** argv) {
  using state_engine::test::FirestoreEmulator;
  testing::InitGoogleTest(&argc, argv);
  auto started = FirestoreEmulator::start();
  if (auto* running = std::get_if<std::unique_ptr<FirestoreEmulator>>(&started)) {
    state_engine::test::emulator = std::move(*running);
  } else {
    std::printf("SKIP: %s: the drills run on the fake only\n",
                std::get<FirestoreEmulator::Absent>(started).reason.c_str());
  }
  const int result = RUN_ALL_TESTS();
  state_engine::test::emulator.reset();
  return result;
}
