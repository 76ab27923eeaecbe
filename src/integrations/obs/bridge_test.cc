#include "integrations/obs/bridge.h"

#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "integrations/obs/messages.h"
#include "net/http_server.h"

namespace state_engine::obs {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using Socket = std::shared_ptr<net::WebSocket>;

// A WebSocket server that speaks as much of OBS's side as a bridge needs.
class SmallObs {
 public:
  explicit SmallObs(net::IoRuntime& runtime) : runtime_(runtime), server_(runtime, {}, log_) {
    server_.route("/", net::sync_handler([this](const net::HttpRequest&) {
                    net::HttpResponse response;
                    response.headers.add("Sec-WebSocket-Protocol", std::string(kSubprotocol));
                    response.websocket = [this](Socket socket) { return serve(socket); };
                    return response;
                  }));
    EXPECT_TRUE(server_.listen("127.0.0.1", 0).ok());
  }
  ~SmallObs() { runtime_.run_blocking(server_.shutdown(2s)); }

  std::string url() const { return fmt::format("ws://127.0.0.1:{}", server_.port()); }

  // Says an event to every connection, or drops them.
  void drop() {
    const std::lock_guard lock(mutex_);
    for (const Socket& socket : sockets_) socket->abort();
    sockets_.clear();
  }
  int switches() const { return switches_; }

  std::atomic<bool> refuses_password{false};
  std::atomic<int> connections{0};

 private:
  asio::awaitable<void> serve(Socket socket) {
    ++connections;
    {
      const std::lock_guard lock(mutex_);
      sockets_.push_back(socket);
    }
    const Status greeted = socket->send(
        R"({"op":0,"d":{"rpcVersion":1,"authentication":{"challenge":"c","salt":"s"}}})");
    EXPECT_TRUE(greeted.ok());
    while (true) {
      auto message = co_await socket->read();
      if (!message.ok()) co_return;
      if (refuses_password) {
        co_await socket->close(close_codes::kAuthenticationFailed, "Authentication failed.");
        co_return;
      }
      for (const std::string& answer : answers_to(message->text)) {
        if (!socket->send(answer).ok()) co_return;
      }
    }
  }

  std::vector<std::string> answers_to(const std::string& text) {
    const auto parsed = json::parse(text);
    EXPECT_TRUE(parsed.ok());
    const json::Object& root = parsed->get_object();
    const json::Object& data = root.at("d").get_object();
    if (root.at("op") == 1) return {R"({"op":2,"d":{"negotiatedRpcVersion":1}})"};
    const std::string type(data.at("requestType").get_string());
    const std::string id(data.at("requestId").get_string());
    std::string body = R"({"outputActive":false})";
    std::vector<std::string> events;
    if (type == "GetSceneList") {
      body = fmt::format(R"({{"currentProgramSceneName":"{}","scenes":[]}})", scene_);
    } else if (type == "SetCurrentProgramScene") {
      ++switches_;
      scene_ = std::string(data.at("requestData").at("sceneName").get_string());
      events.push_back(
          R"({"op":5,"d":{"eventType":"CurrentProgramSceneChanged","eventData":{"sceneName":")" +
          scene_ + R"("}}})");
    }
    events.insert(events.begin(),
                  fmt::format(R"({{"op":7,"d":{{"requestId":"{}","requestStatus":{{"code":100}},
                                  "responseData":{}}}}})",
                              id, body));
    return events;
  }

  net::IoRuntime& runtime_;
  NullLog log_;
  net::HttpServer server_;
  std::mutex mutex_;
  std::vector<Socket> sockets_;
  std::string scene_ = "Scene";
  std::atomic<int> switches_{0};
};

// An engine that takes what it is told, after refusing a few times.
class RecordingProposer final : public Proposer {
 public:
  asio::awaitable<Result<std::optional<MutationResult>>> propose(Proposal proposal) override {
    const std::lock_guard lock(mutex_);
    tries_.push_back(proposal.id);
    if (refusals_ > 0) {
      --refusals_;
      co_return Error{ErrorCode::kUnavailable, "not now"};
    }
    taken_.push_back(fmt::format("{}={}", proposal.key, json::write(*proposal.value)));
    co_return std::optional<MutationResult>();
  }
  void refuse(int times) {
    const std::lock_guard lock(mutex_);
    refusals_ = times;
  }
  std::vector<std::string> taken() const {
    const std::lock_guard lock(mutex_);
    return taken_;
  }
  std::vector<std::string> tries() const {
    const std::lock_guard lock(mutex_);
    return tries_;
  }
  bool has(const std::string& report) const {
    const auto all = taken();
    return std::find(all.begin(), all.end(), report) != all.end();
  }

 private:
  mutable std::mutex mutex_;
  int refusals_ = 0;
  std::vector<std::string> taken_;
  std::vector<std::string> tries_;
};

class BridgeTest : public testing::Test {
 protected:
  void SetUp() override {
    auto tls = net::TlsContext::create({});
    ASSERT_TRUE(tls.ok());
    BridgeSettings settings;
    settings.url = obs_.url();
    settings.password = "secret";
    settings.reconnect = {10ms, 50ms, 2, 0.5};
    bridge_ = std::make_unique<Bridge>(settings, BridgeParts{runtime_.make_strand(), *tls, clock_,
                                                             random_, log_, proposer_, observer_});
  }
  void TearDown() override { stop(); }

  void stop() {
    if (!bridge_) return;
    auto task = [](Bridge& bridge) -> asio::awaitable<void> { co_await bridge.stop(); };
    runtime_.run_blocking(task(*bridge_));
    bridge_.reset();
  }

  BridgeStatus status() {
    BridgeStatus out;
    auto task = [](Bridge& bridge, BridgeStatus& into) -> asio::awaitable<void> {
      into = co_await bridge.status();
    };
    runtime_.run_blocking(task(*bridge_, out));
    return out;
  }

  Outcome switch_to(std::string scene) {
    Outcome out;
    auto task = [](Bridge& bridge, Command command, Outcome& into) -> asio::awaitable<void> {
      into = co_await bridge.execute(std::move(command), 5s);
    };
    Command command;
    command.scene = std::move(scene);
    runtime_.run_blocking(task(*bridge_, command, out));
    return out;
  }

  void connect() {
    bridge_->start();
    ASSERT_TRUE(eventually([this] { return status().connected; }));
  }

  template <typename Condition>
  static bool eventually(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (std::chrono::steady_clock::now() < end) {
      if (condition()) return true;
      std::this_thread::yield();
    }
    return false;
  }

  static BusMessage effect(const std::string& id, const std::string& scene) {
    return {"internal.egress.v1",
            R"({"type":"obs.switch_scene","payload":{"scene":")" + scene + "\"}}", id};
  }

  NullLog log_;
  SystemClock clock_;
  SystemRandom random_;
  BridgeObserver observer_;
  RecordingProposer proposer_;
  net::IoRuntime runtime_{2};
  SmallObs obs_{runtime_};
  std::unique_ptr<Bridge> bridge_;
};

TEST_F(BridgeTest, CarriesOutAnEffectOnceAndReportsWhatObsDid) {
  connect();
  std::atomic<int> done{0};
  for (int i = 0; i < 5; ++i) bridge_->take_effect(effect("fx-1", "Live"), [&done] { ++done; });
  EXPECT_TRUE(eventually([&] { return done == 5; }));
  EXPECT_TRUE(eventually([&] { return proposer_.has(R"(obs.scene="Live")"); }));
  EXPECT_EQ(obs_.switches(), 1);
  EXPECT_EQ(status().scene, "Live");
}

TEST_F(BridgeTest, ToolsLearnTheOutcome) {
  connect();
  EXPECT_EQ(switch_to("Live").kind, OutcomeKind::kDone);
  EXPECT_EQ(switch_to("Live").kind, OutcomeKind::kNoChange);
}

TEST_F(BridgeTest, AReportKeepsItsIdUntilTheEngineTakesIt) {
  proposer_.refuse(2);
  connect();
  ASSERT_TRUE(eventually([&] { return proposer_.has("obs.connected=true"); }));
  ASSERT_TRUE(eventually([&] { return proposer_.tries().size() >= 4; }));
  const auto tries = proposer_.tries();
  EXPECT_EQ(tries[0], tries[1]);
  EXPECT_EQ(tries[1], tries[2]);
  EXPECT_NE(tries[2], tries[3]);
}

TEST_F(BridgeTest, ComesBackAfterALostConnection) {
  connect();
  obs_.drop();
  EXPECT_TRUE(eventually([&] { return proposer_.has("obs.connected=false"); }));
  EXPECT_TRUE(eventually([&] { return obs_.connections >= 2 && status().connected; }));
  EXPECT_EQ(switch_to("Live").kind, OutcomeKind::kDone);
}

TEST_F(BridgeTest, SaysThatThePasswordIsWrongAndDoesNotHammer) {
  obs_.refuses_password = true;
  bridge_->start();
  EXPECT_TRUE(eventually([this] { return status().detail.find("password") != std::string::npos; }));
  EXPECT_EQ(switch_to("Live").kind, OutcomeKind::kUnavailable);
  EXPECT_EQ(obs_.connections, 1);
}

TEST_F(BridgeTest, StopsWithAGoodbyeToTheEngine) {
  connect();
  stop();
  EXPECT_EQ(proposer_.taken().front(), "obs.connected=true");
  EXPECT_TRUE(proposer_.has("obs.connected=false"));
}

TEST_F(BridgeTest, StopsWhileObsIsAway) {
  obs_.refuses_password = true;
  bridge_->start();
  stop();
  EXPECT_FALSE(proposer_.has("obs.connected=true"));
}

}  // namespace
}  // namespace state_engine::obs
