#include "integrations/obs/director.h"

#include "integrations/obs/fake_obs_test.h"

namespace state_engine::obs {
namespace {

using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

class DirectorTest : public testing::Test {
 protected:
  void SetUp() override {
    obs_.connect();
    obs_.settle();
    obs_.observed.clear();
    obs_.asked.clear();
  }

  FakeObs obs_;
};

// ---- Connecting -----------------------------------------------------------------------------

TEST(DirectorConnectTest, ReadsTheStateBeforeItReportsAnything) {
  FakeObs obs;
  obs.stream_status = R"({"outputActive":true,"outputReconnecting":false})";
  obs.connect();
  EXPECT_EQ(obs.observed, (Strings{R"(obs.connected=true)", R"(obs.recording="off")",
                                   R"(obs.scene="Scene")", R"(obs.stream="live")"}));
  EXPECT_EQ(obs.ready_count, 1);
  EXPECT_EQ(obs.director.scene().scenes(), (Strings{"Scene", "Live", "BRB"}));
}

TEST(DirectorConnectTest, ProvesThePasswordWithoutTellingIt) {
  FakeObs obs;
  obs.director.on_connected(obs.now);
  obs.say(R"({"op":0,"d":{"rpcVersion":1,"authentication":{
      "challenge":"+IxH4CnCiqpX1rM9scsNynZzbOe4KhDeYcTNS3PDaeY=",
      "salt":"lM1GncleQOaCu9lT1yeUZhFYnqhsLLP1G5lAGo3ixaI="}}})");
  const json::Object& data = obs.sent.back().at("d").get_object();
  EXPECT_EQ(json::find_string(data, "authentication"),
            authentication("secret", "lM1GncleQOaCu9lT1yeUZhFYnqhsLLP1G5lAGo3ixaI=",
                           "+IxH4CnCiqpX1rM9scsNynZzbOe4KhDeYcTNS3PDaeY="));
  EXPECT_EQ(json::write(data).find("secret"), std::string::npos);
  // The example of the protocol's own documentation.
  EXPECT_EQ(authentication("supersecretpassword", "lM1GncleQOaCu9lT1yeUZhFYnqhsLLP1G5lAGo3ixaI=",
                           "+IxH4CnCiqpX1rM9scsNynZzbOe4KhDeYcTNS3PDaeY="),
            "1Ct943GAT+6YQUUX47Ia/ncufilbe6+oD6lY+5kaCu4=");
}

TEST(DirectorConnectTest, SaysThatAPasswordIsMissing) {
  FakeObs obs({"", true});
  obs.director.on_connected(obs.now);
  const Status taken = obs.director.on_text(
      R"({"op":0,"d":{"rpcVersion":1,"authentication":{"challenge":"c","salt":"s"}}})", obs.now);
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(obs.sent.empty());
}

TEST(DirectorConnectTest, RefusesWhatIsNoObs) {
  for (const char* text : {"", "hello", "[]", "{}", R"({"op":0})", R"({"op":"x","d":{}})",
                           R"({"op":5,"d":{"eventType":"X"}})", R"({"op":7,"d":{}})"}) {
    FakeObs obs;
    obs.director.on_connected(obs.now);
    EXPECT_FALSE(obs.director.on_text(text, obs.now).ok()) << text;
  }
  FakeObs old;
  old.director.on_connected(old.now);
  EXPECT_FALSE(old.director.on_text(R"({"op":0,"d":{"rpcVersion":0}})", old.now).ok());
}

TEST_F(DirectorTest, PassesOverWhatItDoesNotKnow) {
  obs_.event("VendorEvent", R"({"anything":[1,2,3]})");
  obs_.event("CurrentProgramSceneChanged", R"({"sceneName":7})");
  obs_.event("StreamStateChanged", "{}");
  obs_.event("SceneListChanged", R"({"scenes":[1,{"sceneName":3}]})");
  obs_.say(R"({"op":99,"d":{}})");
  obs_.say(R"({"op":7,"d":{"requestId":"nobody asked"}})");
  EXPECT_TRUE(obs_.observed.empty());
}

TEST_F(DirectorTest, NoticesAnObsThatDoesNotAnswer) {
  obs_.hangs = true;
  obs_.switch_to("Live");
  EXPECT_TRUE(obs_.pass(4s));
  EXPECT_FALSE(obs_.pass(2s));
}

// ---- Scenes ---------------------------------------------------------------------------------

TEST_F(DirectorTest, ASwitchIsDoneWhenObsReportsIt) {
  const Ticket ticket = obs_.switch_to("Live");
  EXPECT_EQ(obs_.answer_all(), Strings{"SetCurrentProgramScene"});
  EXPECT_EQ(obs_.outcome(ticket), "");
  obs_.scene_changed("Live");
  EXPECT_EQ(obs_.outcome(ticket), "done");
  EXPECT_EQ(obs_.observed, Strings{R"(obs.scene="Live")"});
}

TEST_F(DirectorTest, TheSceneOnAirIsNotSetAgain) {
  const Ticket ticket = obs_.switch_to("Scene");
  EXPECT_EQ(obs_.outcome(ticket), "no_change");
  EXPECT_TRUE(obs_.answer_all().empty());
}

TEST_F(DirectorTest, OfTwoSwitchesInOneTransitionTheLastCounts) {
  const Ticket first = obs_.switch_to("Live");
  obs_.answer_all();
  const Ticket second = obs_.switch_to("BRB");
  obs_.answer_all();
  EXPECT_EQ(obs_.outcome(first), "superseded");
  obs_.scene_changed("BRB");
  EXPECT_EQ(obs_.outcome(second), "done");
}

TEST_F(DirectorTest, ASwitchWithoutAReportIsLookedUp) {
  const Ticket ticket = obs_.switch_to("Live");
  obs_.scene = "Live";  // taken, but its event never comes
  obs_.pass(3s);
  EXPECT_EQ(obs_.outcome(ticket), "done");
  const Ticket ignored = obs_.switch_to("BRB");
  obs_.pass(3s);
  EXPECT_EQ(obs_.outcome(ignored), "");
  obs_.pass(3s);  // asked for once more
  EXPECT_EQ(obs_.outcome(ignored), "failed");
}

TEST_F(DirectorTest, ASwitchThatOBSDropsIsAskedForOnceMore) {
  const Ticket ticket = obs_.switch_to("BRB");
  obs_.pass(3s);  // accepted and not shown
  obs_.scene_changed("BRB");
  EXPECT_EQ(obs_.outcome(ticket), "done");
}

TEST_F(DirectorTest, AnUnknownSceneIsRefusedWithTheKnownOnes) {
  obs_.refuse["SetCurrentProgramScene"] = codes::kNotFound;
  const Ticket ticket = obs_.switch_to("Nowhere");
  obs_.answer_all();
  EXPECT_EQ(obs_.outcome(ticket), "failed");
  EXPECT_NE(obs_.why(ticket).find("Scene, Live, BRB"), std::string::npos) << obs_.why(ticket);
}

TEST_F(DirectorTest, ARepeatedReportIsToldOnce) {
  obs_.scene_changed("Live");
  obs_.scene_changed("Live");
  EXPECT_EQ(obs_.observed, Strings{R"(obs.scene="Live")"});
}

TEST_F(DirectorTest, WhileTheSceneCollectionChangesNothingIsReportedOrDone) {
  obs_.event("CurrentSceneCollectionChanging", "{}");
  obs_.scene_changed("Other");
  const Ticket ticket = obs_.switch_to("Live");
  EXPECT_TRUE(obs_.answer_all().empty());
  EXPECT_TRUE(obs_.observed.empty());
  obs_.scene = "BRB";
  obs_.event("CurrentSceneCollectionChanged", "{}");
  obs_.answer_all();
  EXPECT_EQ(obs_.observed, Strings{R"(obs.scene="BRB")"});
  EXPECT_EQ(obs_.count_asked("SetCurrentProgramScene"), 1U);
  obs_.scene_changed("Live");
  EXPECT_EQ(obs_.outcome(ticket), "done");
}

// ---- Losing OBS -----------------------------------------------------------------------------

TEST_F(DirectorTest, LosingObsIsReportedAndEndsWhatIsUnderWay) {
  const Ticket ticket = obs_.switch_to("Live");
  obs_.disconnect();
  EXPECT_EQ(obs_.outcome(ticket), "unavailable");
  EXPECT_EQ(obs_.observed, (Strings{"obs.connected=false", R"(obs.recording="unknown")",
                                    R"(obs.stream="unknown")"}));
  EXPECT_EQ(obs_.outcome(obs_.switch_to("Live")), "unavailable");
}

TEST_F(DirectorTest, WhatMayWaitIsDoneWhenObsIsBack) {
  const Ticket under_way = obs_.switch_to("Live", true);
  obs_.answer_all();
  obs_.disconnect();
  const Ticket text = obs_.submit(CommandKind::kSetText, R"({"input":"T","text":"x"})", true);
  EXPECT_EQ(obs_.outcome(under_way), "");
  obs_.replies["GetInputSettings"] = R"({"inputSettings":{"text":"x"}})";
  obs_.connect();
  EXPECT_EQ(obs_.count_asked("SetCurrentProgramScene"), 2U);
  obs_.scene_changed("Live");
  EXPECT_EQ(obs_.outcome(under_way), "done");
  EXPECT_EQ(obs_.outcome(text), "done");
}

TEST_F(DirectorTest, WhatWaitsTooLongIsGivenUp) {
  obs_.disconnect();
  const Ticket ticket = obs_.switch_to("Live", true);
  obs_.pass(31s);
  EXPECT_EQ(obs_.outcome(ticket), "unavailable");
  obs_.connect();
  EXPECT_EQ(obs_.count_asked("SetCurrentProgramScene"), 0U);
}

TEST_F(DirectorTest, AStartThatObsMayHaveDiedOfIsNotRepeated) {
  const Ticket ticket = obs_.start_stream(true);
  obs_.answer_all();
  obs_.disconnect();
  EXPECT_EQ(obs_.outcome(ticket), "unavailable");
  obs_.connect();
  obs_.settle();
  EXPECT_EQ(obs_.count_asked("StartStream"), 1U);
}

TEST_F(DirectorTest, AfterARestartOfObsOurSceneComesBack) {
  obs_.switch_to("Live");
  obs_.answer_all();
  obs_.scene_changed("Live");
  obs_.disconnect();
  obs_.scene = "Scene";
  obs_.connect("another salt");
  EXPECT_EQ(obs_.count_asked("SetCurrentProgramScene"), 2U);
}

// OBS kept the old scene when both were asked for at once.
TEST_F(DirectorTest, AfterARestartOfObsASwitchThatWaitedCountsAlone) {
  obs_.switch_to("Live");
  obs_.answer_all();
  obs_.scene_changed("Live");
  obs_.disconnect();
  const Ticket ticket = obs_.switch_to("BRB", true);
  obs_.scene = "Scene";
  obs_.connect("another salt");
  EXPECT_EQ(obs_.count_asked("SetCurrentProgramScene"), 2U);  // Live once, BRB once
  obs_.scene_changed("BRB");
  EXPECT_EQ(obs_.outcome(ticket), "done");
}

TEST_F(DirectorTest, AnOperatorsSceneIsNotTakenBack) {
  obs_.switch_to("Live");
  obs_.answer_all();
  obs_.scene_changed("Live");
  obs_.scene_changed("BRB");  // somebody at OBS
  obs_.disconnect();
  obs_.scene = "Scene";
  obs_.connect("another salt");
  EXPECT_EQ(obs_.count_asked("SetCurrentProgramScene"), 1U);
}

TEST_F(DirectorTest, AfterALostConnectionToTheSameRunTheSceneStays) {
  obs_.switch_to("Live");
  obs_.answer_all();
  obs_.scene_changed("Live");
  obs_.disconnect();
  obs_.scene = "BRB";  // somebody at OBS, meanwhile
  obs_.connect();
  EXPECT_EQ(obs_.count_asked("SetCurrentProgramScene"), 1U);
  EXPECT_THAT(obs_.observed, testing::Contains(R"(obs.scene="BRB")"));
  obs_.disconnect();
  obs_.scene = "Scene";
  obs_.connect("another salt");  // and not what we wanted before that
  EXPECT_EQ(obs_.count_asked("SetCurrentProgramScene"), 1U);
}

// ---- Settings -------------------------------------------------------------------------------

TEST_F(DirectorTest, ASettingIsReadBack) {
  obs_.replies["GetInputMute"] = R"({"inputMuted":true})";
  const Ticket mute = obs_.submit(CommandKind::kSetMute, R"({"input":"Mic","muted":true})");
  EXPECT_EQ(obs_.answer_all(), Strings{"SetInputMute+GetInputMute"});
  EXPECT_EQ(obs_.outcome(mute), "done");
  const Ticket unmute = obs_.submit(CommandKind::kSetMute, R"({"input":"Mic","muted":false})");
  obs_.answer_all();
  EXPECT_EQ(obs_.outcome(unmute), "failed");  // it says 100 and stays muted
}

TEST_F(DirectorTest, ASourceIsFoundInTheSceneOnAir) {
  obs_.replies["GetSceneItemId"] = R"({"sceneItemId":7})";
  obs_.replies["GetSceneItemEnabled"] = R"({"sceneItemEnabled":true})";
  const Ticket ticket =
      obs_.submit(CommandKind::kSetSourceVisible, R"({"source":"Cam","visible":true})");
  EXPECT_EQ(obs_.sent.front().at("d").at("requestData").at("sceneName"), "Scene");
  EXPECT_EQ(obs_.answer_all(),
            (Strings{"GetSceneItemId", "SetSceneItemEnabled+GetSceneItemEnabled"}));
  EXPECT_EQ(obs_.outcome(ticket), "done");
  obs_.refuse["GetSceneItemId"] = codes::kNotFound;
  const Ticket missing =
      obs_.submit(CommandKind::kSetSourceVisible, R"({"source":"Nothing","visible":true})");
  obs_.answer_all();
  EXPECT_EQ(obs_.outcome(missing), "failed");
}

TEST_F(DirectorTest, ACommandWithoutASignIsUnconfirmed) {
  obs_.hangs = true;
  const Ticket ticket = obs_.submit(CommandKind::kSwitchScene, R"({"scene":"Live"})", false, 2s);
  obs_.pass(3s);
  EXPECT_EQ(obs_.outcome(ticket), "unconfirmed");
}

}  // namespace
}  // namespace state_engine::obs
