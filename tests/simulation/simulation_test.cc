// Runs the simulation over many seeds; each test below is one invariant of docs/invariants.md.
//
//   simulation --seeds N --steps M   more, for a longer run
//   simulation --seed S              one seed alone, the one that a failure printed

#include "tests/simulation/simulation.h"

#include <cstdlib>
#include <iostream>
#include <string_view>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace state_engine::simulation {
namespace {

struct Options {
  std::uint64_t first_seed = 1;
  int seeds = 150;
  int steps = 50;
};

Options& options() {
  static Options instance;
  return instance;
}

// All seeds together; computed once, by whichever test runs first.
const Outcome& all_seeds() {
  static const Outcome outcome = [] {
    Outcome sum;
    for (int i = 0; i < options().seeds; ++i) {
      const std::uint64_t seed = options().first_seed + static_cast<std::uint64_t>(i);
      Outcome one = simulate(seed, options().steps);
      for (const auto& [path, count] : one.paths) sum.paths[path] += count;
      for (const auto& [invariant, what] : one.faults) {
        sum.faults.emplace(invariant, fmt::format("--seed {}: {}", seed, what));
      }
      if (!one.faults.empty()) std::cout << "broken by --seed " << seed << '\n';
    }
    return sum;
  }();
  return outcome;
}

void expect_holds(const std::string& invariant) {
  const auto [begin, end] = all_seeds().faults.equal_range(invariant);
  for (auto fault = begin; fault != end; ++fault)
    ADD_FAILURE() << invariant << " " << fault->second;
}

TEST(InvariantsTest, I1VersionsAndSeqAreDenseAndIncreasing) { expect_holds("I1"); }
TEST(InvariantsTest, I2SnapshotsAreTheFoldOfTheLogAndTheChainVerifies) { expect_holds("I2"); }
TEST(InvariantsTest, I3OneAnswerAndOneRecordPerId) { expect_holds("I3"); }
TEST(InvariantsTest, I4NothingIsVisibleBeforeItsCommit) { expect_holds("I4"); }
TEST(InvariantsTest, I5NothingAcknowledgedIsLost) { expect_holds("I5"); }
TEST(InvariantsTest, I6RejectedChangesOnlyItsRecord) { expect_holds("I6"); }
TEST(InvariantsTest, I7AConditionalCommitSawItsVersion) { expect_holds("I7"); }
TEST(InvariantsTest, I8LogSnapshotsAndEffectsCommitTogether) { expect_holds("I8"); }
TEST(InvariantsTest, I9EffectsAreDeliveredWithTheSameBytes) { expect_holds("I9"); }
TEST(InvariantsTest, I10NoEffectWithoutACommittedCause) { expect_holds("I10"); }
TEST(InvariantsTest, I12NothingExpiredIsReadAndExpiriesAreLogged) { expect_holds("I12"); }
TEST(InvariantsTest, I14EveryEntryNamesItsPolicy) { expect_holds("I14"); }
TEST(InvariantsTest, I15UnknownOutcomesAreLookedUp) { expect_holds("I15"); }
TEST(InvariantsTest, I16AWaitEndsInExactlyOneFiring) { expect_holds("I16"); }

TEST(SimulationTest, EveryRarePathIsMetSometimes) {
  if (options().seeds < 30) GTEST_SKIP() << "too few seeds to meet every path";
  for (const char* path : {"version conflict",
                           "repetition answered",
                           "id reused",
                           "rate limited",
                           "unavailable",
                           "rule budget exceeded",
                           "derived mutation",
                           "derived mutation refused",
                           "expiry",
                           "wait ended",
                           "wait ended late",
                           "cooling down",
                           "transaction accepted",
                           "transaction aborted",
                           "group commit",
                           "commit refused",
                           "unknown, was applied",
                           "unknown, was not applied",
                           "fatal, was applied",
                           "fatal, was not applied",
                           "read failed",
                           "mark failed",
                           "sink away",
                           "effect tried again",
                           "effect without subscriber",
                           "crash",
                           "crash with a proposal open",
                           "crash in the middle of a commit",
                           "restart",
                           "clock set back",
                           "clock set forward"}) {
    const auto met = all_seeds().paths.find(path);
    EXPECT_TRUE(met != all_seeds().paths.end()) << "never met: " << path;
  }
}

TEST(SimulationTest, OneSeedAlwaysGivesTheSameHistory) {
  EXPECT_EQ(simulate(options().first_seed, 30).digest, simulate(options().first_seed, 30).digest);
}

}  // namespace

// Reads our flags; GoogleTest has taken its own away before.
int parse_options(int argc, char** argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    const auto number = std::strtoull(argv[i + 1], nullptr, 10);
    if (flag == "--seed") {
      options().first_seed = number;
      options().seeds = 1;
    } else if (flag == "--seeds") {
      options().seeds = static_cast<int>(number);
    } else if (flag == "--steps") {
      options().steps = static_cast<int>(number);
    } else {
      std::cerr << "unknown flag " << flag << "; known: --seed S, --seeds N, --steps M\n";
      return 2;
    }
  }
  return 0;
}

}  // namespace state_engine::simulation

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (const int fault = state_engine::simulation::parse_options(argc, argv); fault != 0)
    return fault;
  return RUN_ALL_TESTS();
}
