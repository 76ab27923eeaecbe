#include "integrations/obs/output_control.h"

#include "integrations/obs/fake_obs_test.h"

namespace state_engine::obs {
namespace {

using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

class OutputControlTest : public testing::Test {
 protected:
  void SetUp() override {
    obs_.connect();
    obs_.settle();
    obs_.observed.clear();
    obs_.asked.clear();
  }
  void go_live() {
    obs_.start_stream();
    obs_.answer_all();
    obs_.stream_state("STARTING");
    obs_.stream_state("STARTED", true);
  }

  FakeObs obs_;
};

TEST_F(OutputControlTest, AStartIsDoneWhenObsIsLive) {
  const Ticket ticket = obs_.start_stream();
  EXPECT_EQ(obs_.answer_all(), Strings{"StartStream"});
  obs_.stream_state("STARTING");
  EXPECT_EQ(obs_.outcome(ticket), "");
  obs_.stream_state("STARTED", true);
  EXPECT_EQ(obs_.outcome(ticket), "done");
  EXPECT_EQ(obs_.observed, (Strings{R"(obs.stream="starting")", R"(obs.stream="live")"}));
}

// (1): a second StartStream while starting crashes OBS 29.
TEST_F(OutputControlTest, SendsOneStartHoweverOftenItIsAsked) {
  std::vector<Ticket> tickets;
  for (int i = 0; i < 5; ++i) tickets.push_back(obs_.start_stream());
  obs_.answer_all();
  obs_.stream_state("STARTING");
  for (int i = 0; i < 5; ++i) tickets.push_back(obs_.start_stream());
  obs_.pass(10s);
  obs_.stream_state("STARTED", true);
  tickets.push_back(obs_.start_stream());
  obs_.pass(10s);
  EXPECT_EQ(obs_.count_asked("StartStream"), 1U);
  for (std::size_t i = 0; i + 1 < tickets.size(); ++i) EXPECT_EQ(obs_.outcome(tickets[i]), "done");
  EXPECT_EQ(obs_.outcome(tickets.back()), "no_change");
}

// (1): somebody pressed the button in OBS.
TEST_F(OutputControlTest, SendsNoStartWhileSomebodyElseStarts) {
  obs_.stream_state("STARTING");
  const Ticket ticket = obs_.start_stream();
  obs_.pass(1s);
  EXPECT_EQ(obs_.count_asked("StartStream"), 0U);
  obs_.stream_state("STARTED", true);
  EXPECT_EQ(obs_.outcome(ticket), "done");
}

// (1): right after connecting, a stream that is starting looks like one that is off.
TEST(OutputControlSettleTest, TheFirstStartWaitsUntilTheStateIsSure) {
  FakeObs obs;
  obs.connect();
  const Ticket ticket = obs.start_stream();
  obs.pass(2s);
  EXPECT_EQ(obs.count_asked("StartStream"), 0U);
  obs.pass(2s);
  EXPECT_EQ(obs.count_asked("StartStream"), 1U);
  EXPECT_EQ(obs.outcome(ticket), "");

  FakeObs starting;
  starting.connect();
  const Ticket joined = starting.start_stream();
  starting.pass(1s);
  starting.stream_state("STARTED", true);  // it was starting before we came
  starting.pass(5s);
  EXPECT_EQ(starting.count_asked("StartStream"), 0U);
  EXPECT_EQ(starting.outcome(joined), "done");
}

// (2)
TEST_F(OutputControlTest, StoppedWithoutHavingStartedIsAFailure) {
  const Ticket ticket = obs_.start_stream();
  obs_.answer_all();
  obs_.stream_state("STARTING");
  obs_.stream_state("STOPPED");
  EXPECT_EQ(obs_.outcome(ticket), "failed");
  EXPECT_EQ(obs_.observed.back(), R"(obs.stream="failed")");
  // The next try is a new start.
  obs_.start_stream();
  EXPECT_EQ(obs_.answer_all(), Strings{"StartStream"});
  obs_.stream_state("STARTING");
  EXPECT_EQ(obs_.observed.back(), R"(obs.stream="starting")");
}

// (2): an accepted start that never begins, for example behind a dialog.
TEST_F(OutputControlTest, AStartThatNeverBeginsFails) {
  const Ticket ticket = obs_.start_stream();
  obs_.pass(10s);
  EXPECT_EQ(obs_.outcome(ticket), "failed");
  EXPECT_NE(obs_.why(ticket).find("dialog"), std::string::npos);
}

TEST_F(OutputControlTest, ARefusedStartFailsAndALateStateIsRead) {
  obs_.refuse["StartStream"] = 207;
  const Ticket refused = obs_.start_stream();
  obs_.answer_all();
  EXPECT_EQ(obs_.outcome(refused), "failed");
  obs_.refuse["StartStream"] = codes::kOutputRunning;
  obs_.stream_status = R"({"outputActive":true})";
  const Ticket running = obs_.start_stream();
  obs_.answer_all();
  EXPECT_EQ(obs_.outcome(running), "done");
  EXPECT_EQ(obs_.observed.back(), R"(obs.stream="live")");
}

// (3)
TEST_F(OutputControlTest, AStopWhileStartingWaitsUntilObsIsLive) {
  const Ticket start = obs_.start_stream();
  obs_.answer_all();
  obs_.stream_state("STARTING");
  const Ticket stop = obs_.stop_stream();
  EXPECT_TRUE(obs_.answer_all().empty());
  EXPECT_EQ(obs_.outcome(start), "superseded");
  obs_.stream_state("STARTED", true);
  EXPECT_EQ(obs_.answer_all(), Strings{"StopStream"});
  obs_.stream_state("STOPPING");
  EXPECT_EQ(obs_.outcome(stop), "");
  obs_.stream_state("STOPPED");
  EXPECT_EQ(obs_.outcome(stop), "done");
}

// (3)
TEST_F(OutputControlTest, AStartWhileStoppingWaitsUntilObsHasStopped) {
  go_live();
  obs_.stop_stream();
  obs_.answer_all();
  obs_.stream_state("STOPPING");
  const Ticket start = obs_.start_stream();
  EXPECT_TRUE(obs_.answer_all().empty());
  obs_.stream_state("STOPPED");
  EXPECT_EQ(obs_.answer_all(), Strings{"StartStream"});
  obs_.stream_state("STARTING");
  obs_.stream_state("STARTED", true);
  EXPECT_EQ(obs_.outcome(start), "done");
}

TEST_F(OutputControlTest, ASecondStopIsNotSent) {
  go_live();
  const Ticket first = obs_.stop_stream();
  obs_.answer_all();
  const Ticket second = obs_.stop_stream();
  EXPECT_TRUE(obs_.answer_all().empty());  // it would cut off what is still being sent
  obs_.stream_state("STOPPING");
  obs_.stream_state("STOPPED");
  EXPECT_EQ(obs_.outcome(first), "done");
  EXPECT_EQ(obs_.outcome(second), "done");
  EXPECT_EQ(obs_.outcome(obs_.stop_stream()), "no_change");
}

// (4)
TEST_F(OutputControlTest, AStreamThatReconnectsIsLive) {
  go_live();
  obs_.observed.clear();
  obs_.stream_state("RECONNECTING", false);
  EXPECT_TRUE(obs_.director.stream().reconnecting());
  EXPECT_EQ(obs_.director.stream().value(), "live");
  EXPECT_EQ(obs_.outcome(obs_.start_stream()), "no_change");
  obs_.stream_state("RECONNECTED", true);
  EXPECT_FALSE(obs_.director.stream().reconnecting());
  EXPECT_TRUE(obs_.observed.empty());
}

TEST_F(OutputControlTest, AStopThatObsForgetsIsLookedUp) {
  go_live();
  const Ticket stop = obs_.stop_stream();
  obs_.answer_all();
  obs_.stream_status = R"({"outputActive":false})";
  obs_.pass(25s);
  EXPECT_EQ(obs_.outcome(stop), "done");
  EXPECT_EQ(obs_.observed.back(), R"(obs.stream="off")");
}

TEST_F(OutputControlTest, ARecordingIsPausedAndTellsItsFile) {
  const Ticket start = obs_.submit(CommandKind::kStartRecord);
  obs_.answer_all();
  obs_.record_state("STARTING");
  obs_.record_state("STARTED", true);
  EXPECT_EQ(obs_.outcome(start), "done");
  const Ticket pause = obs_.submit(CommandKind::kPauseRecord);
  EXPECT_EQ(obs_.answer_all(), Strings{"PauseRecord"});
  obs_.record_state("PAUSED", false);
  EXPECT_EQ(obs_.outcome(pause), "done");
  EXPECT_EQ(obs_.observed.back(), R"(obs.recording="paused")");
  const Ticket stop = obs_.submit(CommandKind::kStopRecord);
  obs_.replies["StopRecord"] = R"({"outputPath":"/videos/a.mkv"})";
  obs_.answer_all();
  obs_.record_state("STOPPING");
  obs_.record_state("STOPPED");
  EXPECT_EQ(obs_.outcome(stop), "done");
  EXPECT_EQ(obs_.outcomes.at(stop).facts.at("outputPath"), "/videos/a.mkv");
}

TEST_F(OutputControlTest, APauseThatDoesNothingFails) {
  obs_.submit(CommandKind::kStartRecord);
  obs_.answer_all();
  obs_.record_state("STARTED", true);
  obs_.record_status = R"({"outputActive":true,"outputPaused":false})";
  const Ticket pause = obs_.submit(CommandKind::kPauseRecord);
  obs_.pass(5s);
  EXPECT_EQ(obs_.outcome(pause), "failed");
  EXPECT_EQ(obs_.outcome(obs_.submit(CommandKind::kResumeRecord)), "no_change");
}

// OBS 29 never ends a recording that was paused and resumed within one frame.
TEST_F(OutputControlTest, AResumeKeepsItsDistanceFromThePause) {
  obs_.submit(CommandKind::kStartRecord);
  obs_.answer_all();
  obs_.record_state("STARTED", true);
  obs_.submit(CommandKind::kPauseRecord);
  obs_.answer_all();
  obs_.record_state("PAUSED");
  const Ticket resume = obs_.submit(CommandKind::kResumeRecord);
  EXPECT_TRUE(obs_.answer_all().empty());
  obs_.pass(400ms);
  EXPECT_EQ(obs_.count_asked("ResumeRecord"), 1U);
  obs_.record_state("RESUMED", true);
  EXPECT_EQ(obs_.outcome(resume), "done");
}

TEST_F(OutputControlTest, APauseWithoutARecordingFails) {
  EXPECT_EQ(obs_.outcome(obs_.submit(CommandKind::kPauseRecord)), "failed");
}

}  // namespace
}  // namespace state_engine::obs
