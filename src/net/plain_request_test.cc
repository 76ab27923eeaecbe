#include "net/plain_request.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
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

// A request with a few bytes put in, taken out or replaced.
std::string mutated(std::string text, std::mt19937& random) {
  static const std::vector<std::string> kPieces{" ",
                                                "\t",
                                                "\r",
                                                "\n",
                                                "\r\n",
                                                ":",
                                                ",",
                                                "0",
                                                "7",
                                                "\x01",
                                                "\x80",
                                                "a",
                                                "Z",
                                                "?",
                                                "#",
                                                "%",
                                                "\"",
                                                "Host: b\r\n",
                                                "X: y\r\n",
                                                "Content-Length: 1\r\n",
                                                "Transfer-Encoding: chunked\r\n",
                                                "HTTP/1.0",
                                                "chunked",
                                                "keep-alive"};
  const auto below = [&random](std::size_t limit) { return random() % limit; };
  for (std::size_t left = below(4); left > 0; --left) {
    const std::size_t at = below(text.size() + 1);
    if (below(3) != 0) text.erase(at, below(3));
    if (below(3) != 0) text.insert(at, kPieces[below(kPieces.size())]);
  }
  return text;
}

// Fields of one name keep their order, which means something; that of the names does not (RFC 9110,
// 5.3), and the general parser does not keep it.
void in_groups(std::vector<Header>& fields) {
  std::stable_sort(fields.begin(), fields.end(), [](const Header& a, const Header& b) {
    return boost::beast::iless{}(a.name, b.name);
  });
}

// What the general parser makes of the same bytes, held against `request`.
void expect_the_same(const std::string& text, std::size_t bytes, const HttpRequest& request) {
  namespace http = boost::beast::http;
  http::request_parser<http::string_body> parser;
  parser.eager(true);
  boost::system::error_code error;
  const std::size_t taken = parser.put(boost::asio::buffer(text), error);
  ASSERT_FALSE(error) << error.message() << " in " << text;
  ASSERT_TRUE(parser.is_done()) << text;
  ASSERT_EQ(taken, bytes) << text;
  const auto& other = parser.get();
  ASSERT_EQ(other.version(), 11U) << text;
  ASSERT_TRUE(other.keep_alive()) << text;
  ASSERT_EQ(request.method, std::string(other.method_string())) << text;
  ASSERT_EQ(request.target, std::string(other.target())) << text;
  ASSERT_EQ(request.body, other.body()) << text;
  std::vector<Header> ours(request.headers.begin(), request.headers.end());
  std::vector<Header> theirs;
  for (const auto& field : other) {
    theirs.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  in_groups(ours);
  in_groups(theirs);
  ASSERT_EQ(ours.size(), theirs.size()) << text;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    ASSERT_EQ(ours[i].name, theirs[i].name) << text;
    ASSERT_EQ(ours[i].value, theirs[i].value) << text;
  }
}

TEST(PlainRequestTest, WhatItReadsTheGeneralParserReadsTheSame) {
  const std::vector<std::string> texts{
      with_field("Accept: application/json, text/event-stream"),
      with_field("Connection: keep-alive\r\nMcp-Method: tools/call"),
      "GET /a/b?c=d HTTP/1.1\r\nHost: a:1\r\nX:  y  \r\n\r\n",
      "DELETE / HTTP/1.1\r\nUser-Agent: x (y; z)\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n"};
  std::mt19937 random(7);
  int plain = 0;
  constexpr int kCases = 40'000;
  for (int i = 0; i < kCases; ++i) {
    const std::string text = mutated(texts[random() % texts.size()], random);
    HttpRequest request;
    const std::size_t bytes = read(text, request);
    if (bytes == 0) continue;
    ++plain;
    ASSERT_NO_FATAL_FAILURE(expect_the_same(text, bytes, request));
  }
  EXPECT_GT(plain, kCases / 10);
  EXPECT_LT(plain, kCases * 9 / 10);
}

}  // namespace
}  // namespace state_engine::net
