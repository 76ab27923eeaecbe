#include "net/plain_request.h"

#include <string>

#include <gtest/gtest.h>

namespace state_engine::net {
namespace {

constexpr PlainRequestLimits kLimits{.header_bytes_max = 1024, .body_bytes_max = 64};

std::size_t read(std::string_view bytes, HttpRequest& request) {
  return read_plain_request(bytes, kLimits, request);
}

std::size_t read(std::string_view bytes) {
  HttpRequest request;
  return read(bytes, request);
}

std::string with_field(std::string_view field) {
  return "POST /mcp HTTP/1.1\r\nHost: a\r\n" + std::string(field) +
         "\r\nContent-Length: 2\r\n\r\n{}";
}

TEST(PlainRequestTest, ReadsARequestAndLeavesTheNextOneAlone) {
  const std::string first =
      "POST /mcp?a=1&b HTTP/1.1\r\nHost: localhost:80\r\nAccept:a,  b \t;q=1\r\n"
      "Connection: Keep-Alive\r\nEmpty:\r\ncontent-length: 4\r\n\r\n";
  HttpRequest request;
  // A tab is legal, and rare enough to be left to Beast.
  EXPECT_EQ(read(first + "body", request), 0U);
  std::string plain = first;
  plain.erase(plain.find('\t'), 1);
  request = {};
  EXPECT_EQ(read(plain + "bodyGET / HTTP/1.1\r\n", request), plain.size() + 4);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, "/mcp?a=1&b");
  EXPECT_EQ(request.path, "/mcp");
  EXPECT_EQ(request.query, "a=1&b");
  EXPECT_EQ(request.body, "body");
  EXPECT_EQ(request.headers.get("host"), "localhost:80");
  EXPECT_EQ(request.headers.get("Accept"), "a,  b ;q=1");
  ASSERT_NE(request.headers.find("Empty"), nullptr);
  EXPECT_EQ(request.headers.get("Empty"), "");
}

TEST(PlainRequestTest, ReadsARequestWithoutABody) {
  HttpRequest request;
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(read(text, request), text.size());
  EXPECT_EQ(request.body, "");
}

TEST(PlainRequestTest, LeavesEveryPrefixOfARequestToWaitForTheRest) {
  const std::string text = with_field("Accept: */*");
  ASSERT_EQ(read(text), text.size());
  for (std::size_t bytes = 0; bytes < text.size(); ++bytes) {
    EXPECT_EQ(read(std::string_view(text).substr(0, bytes)), 0U) << bytes;
  }
}

TEST(PlainRequestTest, LeavesWhatFramingOrConnectionDependOnToTheGeneralParser) {
  for (const std::string_view field :
       {"Transfer-Encoding: chunked", "TRANSFER-ENCODING: gzip", "Expect: 100-continue",
        "Upgrade: websocket", "Connection: close", "connection: upgrade",
        "Connection: keep-alive, x", "Proxy-Connection: close", "Host: b", "Content-Length: 2",
        "Content-Length: 3", "content-length: +2", "Content-Length:"}) {
    EXPECT_EQ(read(with_field(field)), 0U) << field;
  }
}

TEST(PlainRequestTest, LeavesOddTextToTheGeneralParser) {
  for (const std::string_view field :
       {"a b: c", " folded", "no colon", "a : b", "x: a\x01", "x: a\rb", "x: a\nb", "x: \xC3\xA4",
        ": empty", "n\xC3\xA4me: x", "x: a\n", "x: \x7F"}) {
    EXPECT_EQ(read(with_field(field)), 0U) << field;
  }
  for (const std::string_view line :
       {"post /mcp HTTP/1.1", "POST mcp HTTP/1.1", "POST  /mcp HTTP/1.1", "POST /mcp HTTP/1.0",
        "POST /mcp HTTP/1.1 ", "POST http://a/mcp HTTP/1.1", "POST * HTTP/1.1",
        "POST /a\"b HTTP/1.1", "POST /mcp HTTP/2.0", "POST /mcp", "/mcp HTTP/1.1",
        "POST /m\tcp HTTP/1.1", ""}) {
    EXPECT_EQ(read(std::string(line) + "\r\nHost: a\r\n\r\n"), 0U) << line;
  }
  EXPECT_EQ(read("POST /mcp HTTP/1.1\nHost: a\n\n"), 0U);
  EXPECT_EQ(read("\r\nPOST /mcp HTTP/1.1\r\nHost: a\r\n\r\n"), 0U);
}

TEST(PlainRequestTest, LeavesWhatLacksAHostOrIsOverALimitToTheGeneralParser) {
  EXPECT_EQ(read("GET / HTTP/1.1\r\n\r\n"), 0U);
  const auto request_of = [](std::size_t body_bytes, std::size_t padding) {
    return "POST / HTTP/1.1\r\nHost: a\r\nX: " + std::string(padding, 'x') +
           "\r\nContent-Length: " + std::to_string(body_bytes) + "\r\n\r\n" +
           std::string(body_bytes, 'b');
  };
  EXPECT_GT(read(request_of(64, 1)), 0U);
  EXPECT_EQ(read(request_of(65, 1)), 0U);
  EXPECT_GT(read(request_of(1, 900)), 0U);
  EXPECT_EQ(read(request_of(1, 1000)), 0U);
  EXPECT_EQ(read("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"), 0U);
}

}  // namespace
}  // namespace state_engine::net
