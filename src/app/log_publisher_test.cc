// The publisher with a bus that remembers and an engine on a store in memory.

#include "app/log_publisher.h"

#include <set>

#include <gtest/gtest.h>

#include "tests/support/engine_world.h"
#include "wire/json_codec.h"

namespace state_engine {
namespace {

using testing::EngineWorld;
using testing::FaultyStore;

class RememberingBus final : public Bus {
 public:
  class Nothing final : public Subscription {};

  boost::asio::awaitable<PublishOutcome> publish(BusMessage message) override {
    if (room == 0) co_return PublishOutcome::kRetry;
    --room;
    published.push_back(std::move(message));
    co_return PublishOutcome::kPublished;
  }
  std::unique_ptr<Subscription> subscribe(std::string, Handler) override {
    return std::make_unique<Nothing>();
  }
  std::unique_ptr<Subscription> consume(ConsumeOptions, ConsumeHandler) override {
    return std::make_unique<Nothing>();
  }

  std::vector<ChangeEvent> changes() const {
    std::vector<ChangeEvent> out;
    for (const BusMessage& message : published) {
      if (message.subject != subjects::kChanged) continue;
      auto value = json::parse(message.body);
      EXPECT_TRUE(value.ok());
      auto change = wire::decode_change(*value);
      EXPECT_TRUE(change.ok());
      out.push_back(*change);
    }
    return out;
  }

  std::vector<BusMessage> published;
  std::size_t room = 1'000'000;  // so many more are taken
};

class LogPublisherTest : public ::testing::Test {
 protected:
  void start(std::function<bool()> busy = [] { return false; }) {
    world.start();
    publish(std::move(busy));
  }
  void publish(std::function<bool()> busy = [] { return false; }) {
    publisher = std::make_unique<LogPublisher>(*world.store, world.engine(), bus,
                                               world.context().get_executor(), log);
    publisher->yield_to(std::move(busy));
    publisher->start();
  }
  void TearDown() override {
    bool done = false;
    auto task = [](LogPublisher& what, bool& out) -> boost::asio::awaitable<void> {
      co_await what.stop();
      out = true;
    };
    boost::asio::co_spawn(world.context(), task(*publisher, done),
                          [](const std::exception_ptr& fault) {
                            if (fault) std::rethrow_exception(fault);
                          });
    EXPECT_TRUE(world.run_until([&] { return done; }));
    publisher.reset();
    world.stop();
  }

  EngineWorld world;
  NullLog log;
  RememberingBus bus;
  std::unique_ptr<LogPublisher> publisher;
};

TEST_F(LogPublisherTest, AChangeSaysWhatTheKeyHeldBefore) {
  start();
  for (int i = 1; i <= 3; ++i) world.set("k", i);
  world.set("j", "x");
  ASSERT_TRUE(world.run_until([&] { return bus.published.size() == 8; }));
  const auto changes = bus.changes();
  ASSERT_EQ(changes.size(), 4U);
  EXPECT_TRUE(changes[0].prev.is_null());
  EXPECT_EQ(changes[1].prev, json::Value(1));
  EXPECT_EQ(changes[2].prev, json::Value(2));
  EXPECT_TRUE(changes[3].prev.is_null());
}

TEST_F(LogPublisherTest, TheValueBeforeIsFoundInALogThatItDidNotRead) {
  world.start();
  world.set("k", 1);
  world.set("other", 1);
  EXPECT_TRUE(world.run(world.store->save_cursor("bus", 2)).has_value());
  publish();
  world.set("k", 2);
  ASSERT_TRUE(world.run_until([&] { return bus.published.size() == 2; }));
  ASSERT_EQ(bus.changes().size(), 1U);
  EXPECT_EQ(bus.changes()[0].prev, json::Value(1));
}

// The values that the first try put by are newer than those that a second reading would look for.
TEST_F(LogPublisherTest, WhatTheBusDidNotTakeIsTriedAgainWithoutReadingTheLog) {
  bus.room = 3;
  world.start();
  for (int i = 1; i <= 4; ++i) world.set("k", i);
  int reads = 0;
  world.store->read_fault = [&](FaultyStore::Read what) {
    reads += what == FaultyStore::Read::kLog ? 1 : 0;
    return false;
  };
  publish();
  world.run_until([] { return false; }, std::chrono::milliseconds{700});
  EXPECT_EQ(bus.published.size(), 3U);
  EXPECT_EQ(reads, 1) << "one page, though it was tried several times";
  bus.room = 2;
  ASSERT_TRUE(world.run_until([&] { return bus.published.size() == 5; }));
  bus.room = 1'000;
  ASSERT_TRUE(world.run_until([&] { return bus.published.size() == 8; }));
  const auto changes = bus.changes();
  ASSERT_EQ(changes.size(), 4U);
  for (int i = 1; i < 4; ++i) EXPECT_EQ(changes[static_cast<std::size_t>(i)].prev, json::Value(i));
  std::set<std::string> ids;
  for (const BusMessage& message : bus.published) ids.insert(message.message_id);
  EXPECT_EQ(ids.size(), 8U) << "nothing twice, nothing missing";
}

TEST_F(LogPublisherTest, WhileABacklogIsDecidedItWaitsButNotForEver) {
  start([] { return true; });
  world.set("k", 1);
  world.run_until([] { return false; }, std::chrono::milliseconds{200});
  EXPECT_TRUE(bus.published.empty());
  EXPECT_TRUE(world.run_until([&] { return bus.published.size() == 2; }));
}

}  // namespace
}  // namespace state_engine
