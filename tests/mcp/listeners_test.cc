// Many listeners: bounded memory, and nobody who reads slowly holds up a change or the others.

#include <fstream>
#include <sys/resource.h>

#include "tests/mcp/echo_fixture.h"

namespace state_engine::mcp {
namespace {

constexpr std::size_t kListeners = 1000;
// Both ends of its connection and what the sanitizer adds to every allocation.
#if defined(__SANITIZE_THREAD__)
constexpr std::size_t kBytesPerListener = 2 * 1024 * 1024;
#else
constexpr std::size_t kBytesPerListener = 256 * 1024;
#endif

// Resident memory of this process.
std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Both ends of a connection are in this process.
bool can_open(std::size_t descriptors) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, std::max<rlim_t>(limit.rlim_cur, descriptors));
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= descriptors;
}

class ListenersTest : public EchoFixture {
 protected:
  net::BlockingSocket open_listen(std::string_view uri) {
    net::Headers headers = modern_headers("subscriptions/listen");
    headers.add("Content-Type", "application/json");
    net::BlockingSocket socket = connect_http();
    const std::string filter =
        R"("notifications":{"resourceSubscriptions":[")" + std::string{uri} + R"("]},)";
    EXPECT_TRUE(
        socket
            .write_all(http_text("POST", "/mcp", headers, modern("subscriptions/listen", filter)),
                       soon())
            .ok());
    return socket;
  }

  void open_all() {
    for (std::size_t i = 0; i < kListeners; ++i) {
      sockets_.push_back(open_listen("test://item/"));
    }
    ASSERT_TRUE(eventually([&] { return endpoint_.listeners() == kListeners; }));
    for (net::BlockingSocket& socket : sockets_) {
      ASSERT_NE(read_until(socket, "acknowledged").find("acknowledged"), std::string::npos);
    }
  }

  std::vector<net::BlockingSocket> sockets_;
};

TEST_F(ListenersTest, ThousandListenersAllHearInBoundedMemory) {
  if (!can_open(kListeners * 2 + 100)) GTEST_SKIP() << "too few descriptors are allowed";
  const std::size_t before = resident_bytes();
  open_all();
  const std::size_t opened = resident_bytes();
  EXPECT_LT(opened - before, kListeners * kBytesPerListener);

  server_.notify_resource_updated("test://item/7");
  for (net::BlockingSocket& socket : sockets_) {
    ASSERT_NE(read_until(socket, "test://item/7").find("test://item/7"), std::string::npos);
  }

  // Nobody reads: each listener keeps a bounded set, not a queue.
  for (int i = 0; i < 20'000; ++i) {
    server_.notify_resource_updated("test://item/" + std::to_string(i % 2000));
  }
  EXPECT_LT(resident_bytes(), opened + kListeners * kBytesPerListener);

  sockets_.clear();
  EXPECT_TRUE(eventually([&] { return endpoint_.listeners() == 0; }));
  EXPECT_TRUE(eventually([&] { return server_.subscriptions().subscription_count() == 0; }));
}

TEST_F(ListenersTest, SlowListenersDelayNeitherChangesNorTheOthers) {
  constexpr int kChanges = 5000;
  for (int i = 0; i < 50; ++i) sockets_.push_back(open_listen("test://item/"));
  ASSERT_TRUE(eventually([&] { return endpoint_.listeners() == sockets_.size(); }));
  net::BlockingSocket reader = open_listen("test://counter");
  read_until(reader, "acknowledged");

  // The 50 never read. Noting a change costs no more than a lock, however many wait.
  for (int i = 0; i < kChanges; ++i) {
    server_.notify_resource_updated("test://item/" + std::string(200, 'x') + std::to_string(i));
  }
  const HttpAnswer changed =
      post(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"bump"}})");
  EXPECT_EQ(changed.status, 200);
  EXPECT_NE(read_until(reader, "test://counter").find("test://counter"), std::string::npos);
}

}  // namespace
}  // namespace state_engine::mcp
