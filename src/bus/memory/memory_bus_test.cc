#include "bus/memory/memory_bus.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

namespace state_engine {
namespace {

PublishOutcome publish(MemoryBus& bus, std::string subject, std::string body) {
  boost::asio::io_context context;
  auto outcome = boost::asio::co_spawn(
      context, bus.publish({std::move(subject), std::move(body), "id-1"}), boost::asio::use_future);
  context.run();
  return outcome.get();
}

TEST(MemoryBusTest, DeliversToEverySubscriberOfTheSubjectOnly) {
  MemoryBus bus;
  std::vector<std::string> first, second, other;
  auto a = bus.subscribe("s", [&](const BusMessage& m) { first.push_back(m.body); });
  auto b = bus.subscribe("s", [&](const BusMessage& m) { second.push_back(m.message_id); });
  auto c = bus.subscribe("t", [&](const BusMessage& m) { other.push_back(m.body); });
  EXPECT_EQ(publish(bus, "s", "hello"), PublishOutcome::kPublished);
  EXPECT_EQ(first, std::vector<std::string>{"hello"});
  EXPECT_EQ(second, std::vector<std::string>{"id-1"});
  EXPECT_TRUE(other.empty());
}

TEST(MemoryBusTest, SaysWhenNobodyListens) {
  MemoryBus bus;
  EXPECT_EQ(publish(bus, "s", "x"), PublishOutcome::kNoSubscriber);
  {
    auto gone = bus.subscribe("s", [](const BusMessage&) { FAIL(); });
  }
  EXPECT_EQ(publish(bus, "s", "x"), PublishOutcome::kNoSubscriber);
}

}  // namespace
}  // namespace state_engine
