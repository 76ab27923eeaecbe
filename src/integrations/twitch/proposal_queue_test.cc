// Handing over, with a proposer that fails as it is told. Numbers in comments: invariants of
// proposal_queue.h.

#include "integrations/twitch/proposal_queue.h"

#include <deque>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

namespace state_engine::twitch {
namespace {

using std::chrono::milliseconds;

// Answers by script, then accepts; a rejection has a code.
class ScriptedProposer final : public Proposer {
 public:
  using Answer = Result<std::optional<MutationResult>>;

  boost::asio::awaitable<Answer> propose(Proposal proposal) override {
    asked.push_back(proposal);
    if (script.empty()) {
      MutationResult accepted;
      accepted.accepted = true;
      co_return std::optional<MutationResult>(accepted);
    }
    Answer answer = std::move(script.front());
    script.pop_front();
    co_return answer;
  }

  void fail(ErrorCode code) { script.emplace_back(Error{code, "planted"}); }
  void reject(RejectionCode code) {
    MutationResult result;
    result.code = code;
    script.emplace_back(std::optional<MutationResult>(result));
  }

  std::deque<Answer> script;
  std::vector<Proposal> asked;
};

class CountingObserver final : public TwitchObserver {
 public:
  void on_link(LinkState, const std::string&) override {}
  void on_trouble(const std::string&) override {}
  void on_event(std::string_view) override {}
  void on_dropped(std::string_view) override {}
  void on_hand_over(HandOver outcome) override { outcomes.push_back(outcome); }
  void on_waiting(std::size_t) override {}
  void on_reconciled() override {}
  void on_subscriptions(std::size_t, std::size_t) override {}

  std::vector<HandOver> outcomes;
};

class ProposalQueueTest : public testing::Test {
 protected:
  static Outgoing outgoing(std::string id, json::Value value = "on",
                           bool only_if_different = false) {
    Outgoing out;
    out.proposal.id = std::move(id);
    out.proposal.key = "stream.state";
    out.proposal.value = std::move(value);
    out.proposal.actor = std::string(kTwitchActor);
    out.proposal.ttl = std::chrono::hours{4};
    out.only_if_different = only_if_different;
    return out;
  }

  // Hands over everything that was pushed, then ends.
  void drain(ProposalQueue& queue) {
    queue.stop();
    auto ended = boost::asio::co_spawn(context_, queue.run(), boost::asio::use_future);
    context_.run();
    context_.restart();
    ended.get();
  }

  ProposalQueue queue(StateReader reader = {}) {
    return ProposalQueue({context_.get_executor(), proposer_, std::move(reader), clock_, random_,
                          log_, observer_,
                          net::BackoffOptions{milliseconds{1}, milliseconds{2}, 2, 0.5}});
  }

  StateReader reads(std::optional<json::Value> value, milliseconds left = std::chrono::hours{3}) {
    return [this, value, left](std::string) -> boost::asio::awaitable<Result<SnapshotPtr>> {
      reads_ += 1;
      auto snapshot = std::make_shared<Snapshot>();
      snapshot->version = 7;
      snapshot->deleted = !value.has_value();
      snapshot->value = value.value_or(nullptr);
      snapshot->expires_at = clock_.wall_now() + left;
      co_return SnapshotPtr(snapshot);
    };
  }

  boost::asio::io_context context_;
  ScriptedProposer proposer_;
  CountingObserver observer_;
  SystemClock clock_;  // the pauses between tries are real, and a millisecond long
  SeededRandom random_{1};
  NullLog log_;
  int reads_ = 0;
};

TEST_F(ProposalQueueTest, KeepsTheOrderWhileOneIsTriedAgain) {  // (1) (2)
  for (int i = 0; i < 5; ++i) proposer_.fail(ErrorCode::kUnavailable);
  proposer_.fail(ErrorCode::kDeadlineExceeded);
  proposer_.reject(RejectionCode::kUnavailable);
  proposer_.reject(RejectionCode::kRateLimited);
  auto tested = queue();
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(tested.push(outgoing(id)));
  drain(tested);
  ASSERT_EQ(proposer_.asked.size(), 11u);
  for (std::size_t i = 0; i < 9; ++i) EXPECT_EQ(proposer_.asked[i].id, "a");
  EXPECT_EQ(proposer_.asked[9].id, "b");
  EXPECT_EQ(proposer_.asked[10].id, "c");
  EXPECT_EQ(tested.waiting(), 0u);
}

TEST_F(ProposalQueueTest, ADecisionOrAnErrorForEverEndsAProposal) {
  proposer_.reject(RejectionCode::kKeyNotAllowed);
  proposer_.fail(ErrorCode::kInvalidArgument);
  auto tested = queue();
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(tested.push(outgoing(id)));
  drain(tested);
  EXPECT_EQ(proposer_.asked.size(), 3u);
  EXPECT_EQ(observer_.outcomes,
            (std::vector{HandOver::kRejected, HandOver::kRefused, HandOver::kAccepted}));
}

TEST_F(ProposalQueueTest, AFullQueueRefuses) {  // (2)
  auto tested = queue();
  for (std::size_t i = 0; i < ProposalQueue::kWaitingMax; ++i) {
    ASSERT_TRUE(tested.push(outgoing("x" + std::to_string(i))));
  }
  EXPECT_FALSE(tested.push(outgoing("one too many")));
}

TEST_F(ProposalQueueTest, WhatTheKeyHasAlreadyIsNotProposedAgain) {  // (3)
  auto tested = queue(reads(json::Value("on")));
  ASSERT_TRUE(tested.push(outgoing("a", "on", true)));
  drain(tested);
  EXPECT_TRUE(proposer_.asked.empty());
  EXPECT_EQ(observer_.outcomes, std::vector{HandOver::kUnchanged});
}

TEST_F(ProposalQueueTest, AnotherValueOrOneThatIsAboutToExpireIsProposedConditionally) {  // (3)
  auto other = queue(reads(json::Value("off")));
  ASSERT_TRUE(other.push(outgoing("a", "on", true)));
  drain(other);
  auto fading = queue(reads(json::Value("on"), std::chrono::minutes{59}));
  ASSERT_TRUE(fading.push(outgoing("b", "on", true)));
  drain(fading);
  auto absent = queue(reads(std::nullopt));
  ASSERT_TRUE(absent.push(outgoing("c", "on", true)));
  drain(absent);
  ASSERT_EQ(proposer_.asked.size(), 3u);
  EXPECT_EQ(proposer_.asked[0].expected_version, 7);
  EXPECT_EQ(proposer_.asked[0].id, "a/v7");
  EXPECT_EQ(proposer_.asked[1].expected_version, 7);
  EXPECT_EQ(proposer_.asked[2].expected_version, 0);
}

TEST_F(ProposalQueueTest, AConflictIsReadAndDecidedAgainThreeTimes) {  // (3)
  for (int i = 0; i < 10; ++i) proposer_.reject(RejectionCode::kVersionConflict);
  auto tested = queue(reads(json::Value("off")));
  ASSERT_TRUE(tested.push(outgoing("a", "on", true)));
  drain(tested);
  EXPECT_EQ(proposer_.asked.size(), 4u);
  EXPECT_EQ(reads_, 4);
}

TEST_F(ProposalQueueTest, WithoutAReaderItGoesByWhatItHandedOverItself) {  // (3)
  auto tested = queue();
  ASSERT_TRUE(tested.push(outgoing("a", "on")));
  ASSERT_TRUE(tested.push(outgoing("b", "on", true)));
  ASSERT_TRUE(tested.push(outgoing("c", "off", true)));
  ASSERT_TRUE(tested.push(outgoing("d", "off", true)));
  drain(tested);
  ASSERT_EQ(proposer_.asked.size(), 2u);
  EXPECT_EQ(proposer_.asked[1].id, "c");
  EXPECT_FALSE(proposer_.asked[1].expected_version);
}

TEST_F(ProposalQueueTest, AbandoningEndsItInTheMiddleOfATry) {
  for (int i = 0; i < 1000; ++i) proposer_.fail(ErrorCode::kUnavailable);
  auto tested = queue();
  ASSERT_TRUE(tested.push(outgoing("a")));
  auto ended = boost::asio::co_spawn(context_, tested.run(), boost::asio::use_future);
  boost::asio::post(context_, [&] { tested.abandon(); });
  context_.run();
  ended.get();
  EXPECT_LT(proposer_.asked.size(), 1000u);
}

}  // namespace
}  // namespace state_engine::twitch
