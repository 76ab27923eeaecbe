// HttpReader: the client's side of one HTTP/1.1 answer, fed with bytes, without sockets.

#ifndef STATE_ENGINE_MCP_CLIENT_HTTP_READER_H_
#define STATE_ENGINE_MCP_CLIENT_HTTP_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http_types.h"

namespace state_engine::mcp {

class HttpReader {
 public:
  // Errors: kUnavailable for bytes that are no HTTP answer.
  Status feed(std::string_view bytes);
  // Tells that the connection was closed. Errors: kUnavailable if the answer was not complete.
  Status feed_end();

  bool head_done() const { return state_ != State::kHead; }
  bool done() const { return state_ == State::kDone; }
  int status() const { return status_; }
  const net::Headers& headers() const { return headers_; }
  bool is_event_stream() const;

  // The body bytes that came since the last call.
  std::string take_body();

 private:
  enum class State { kHead, kLength, kUntilClose, kChunkSize, kChunk, kChunkEnd, kTrailer, kDone };

  Status parse_head(std::string_view head);
  Status step(bool& progressed);
  Status take_chunk_size(bool& progressed);

  State state_ = State::kHead;
  std::string pending_;
  std::string body_;
  std::uint64_t left_ = 0;
  int status_ = 0;
  net::Headers headers_;
};

// Cuts an event stream into the data of its events; comments and other fields are dropped.
class EventReader {
 public:
  void feed(std::string_view bytes) { pending_.append(bytes); }
  std::optional<std::string> next();

 private:
  std::string pending_;
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_CLIENT_HTTP_READER_H_
