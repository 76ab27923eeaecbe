#include "net/url.h"

#include <gtest/gtest.h>

namespace state_engine::net {
namespace {

TEST(UrlTest, ReadsTheParts) {
  const auto url = parse_url("WSS://Eventsub.example/ws?keepalive=30#top");
  ASSERT_TRUE(url.ok());
  EXPECT_EQ(url->scheme, "wss");
  EXPECT_EQ(url->port, 443);
  EXPECT_EQ(url->target, "/ws?keepalive=30");
  EXPECT_EQ(url->authority(), "Eventsub.example");
  EXPECT_EQ(url->display(), "wss://Eventsub.example/ws");
  EXPECT_TRUE(url->is_tls());
  EXPECT_TRUE(url->is_websocket());
}

TEST(UrlTest, FillsInPathAndPort) {
  const auto plain = parse_url("http://127.0.0.1");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->target, "/");
  EXPECT_EQ(plain->port, 80);
  const auto v6 = parse_url("ws://[::1]:4455");
  ASSERT_TRUE(v6.ok());
  EXPECT_EQ(v6->host, "::1");
  EXPECT_EQ(v6->authority(), "[::1]:4455");
}

TEST(UrlTest, RefusesWhatCannotBeUsed) {
  for (const char* text : {"", "localhost:4455", "/path", "ftp://x/", "http://", "ws://user@host/",
                           "http://host:99999/", "http://ho st/", "http://host/\r\nX: y"}) {
    const auto url = parse_url(text);
    ASSERT_FALSE(url.ok()) << text;
    EXPECT_EQ(url.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(UrlTest, SecretsInAUrlAreNotRepeated) {
  const auto url = parse_url("http://me:hunter2@host/");
  ASSERT_FALSE(url.ok());
  EXPECT_EQ(url.error().message.find("hunter2"), std::string::npos);
}

TEST(UrlTest, EncodesForAQuery) {
  EXPECT_EQ(percent_encode("a b&c=\xC3\xA4~"), "a%20b%26c%3D%C3%A4~");
}

}  // namespace
}  // namespace state_engine::net
