#include "mcp/client/http_reader.h"

#include <gtest/gtest.h>

namespace state_engine::mcp {
namespace {

TEST(HttpReaderTest, ReadsBodiesByteByByte) {
  const std::string_view answers[] = {
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
  };
  for (const std::string_view answer : answers) {
    HttpReader reader;
    std::string body;
    for (const char byte : answer) {
      ASSERT_TRUE(reader.feed({&byte, 1}).ok());
      body += reader.take_body();
    }
    EXPECT_TRUE(reader.done());
    EXPECT_EQ(reader.status(), 200);
    EXPECT_EQ(body, "hello");
  }
}

TEST(HttpReaderTest, RefusesWhatIsNoAnswerOrBreaksOff) {
  HttpReader other;
  EXPECT_FALSE(other.feed("SSH-2.0-OpenSSH\r\n\r\n").ok());
  HttpReader bad_chunk;
  EXPECT_FALSE(bad_chunk.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").ok());
  HttpReader cut;
  EXPECT_TRUE(cut.feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel").ok());
  EXPECT_FALSE(cut.feed_end().ok());
}

TEST(EventReaderTest, JoinsDataLinesAndDropsComments) {
  EventReader reader;
  reader.feed(": open\n\nevent: message\nda");
  EXPECT_EQ(reader.next(), std::nullopt);
  reader.feed("ta: one\ndata: two\n\n: keep-alive\n\ndata: three\n\n");
  EXPECT_EQ(reader.next(), "one\ntwo");
  EXPECT_EQ(reader.next(), "three");
  EXPECT_EQ(reader.next(), std::nullopt);
}

}  // namespace
}  // namespace state_engine::mcp
