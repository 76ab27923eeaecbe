// An incremental reader of HTTP/1.1 answers (RFC 9112) and event streams. Written by hand, because
// an event stream has to be read chunk by chunk while it is open.

#include "mcp/client/http_reader.h"

#include <algorithm>
#include <charconv>

namespace state_engine::mcp {
namespace {

constexpr std::size_t kHeadBytesMax = 64 * 1024;
constexpr std::uint64_t kBodyBytesMax = 256ULL * 1024 * 1024;

Error malformed(std::string_view what) {
  return {ErrorCode::kUnavailable, "the server sent a malformed HTTP answer: " + std::string{what}};
}

template <typename Number>
bool read_number(std::string_view text, Number& number, int base) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

Status HttpReader::parse_head(std::string_view head) {
  auto line_end = head.find("\r\n");
  const std::string_view first = head.substr(0, line_end);
  if (!first.starts_with("HTTP/1.") || first.size() < 12 ||
      !read_number(first.substr(9, 3), status_, 10)) {
    return malformed("the status line");
  }
  while (line_end != std::string_view::npos && line_end + 2 < head.size()) {
    head.remove_prefix(line_end + 2);
    line_end = head.find("\r\n");
    const std::string_view line = head.substr(0, line_end);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return malformed("a header line");
    headers_.add(std::string{line.substr(0, colon)},
                 std::string{net::trim(line.substr(colon + 1))});
  }
  if (status_ == 100) {
    headers_ = {};
    return {};  // The real head follows.
  }
  if (status_ == 204 || status_ == 304) {
    state_ = State::kDone;
  } else if (net::equals_ignoring_case(headers_.get("Transfer-Encoding"), "chunked")) {
    state_ = State::kChunkSize;
  } else if (const std::string* length = headers_.find("Content-Length")) {
    if (!read_number(std::string_view{*length}, left_, 10) || left_ > kBodyBytesMax) {
      return malformed("Content-Length");
    }
    state_ = left_ == 0 ? State::kDone : State::kLength;
  } else {
    state_ = State::kUntilClose;
  }
  return {};
}

Status HttpReader::take_chunk_size(bool& progressed) {
  const auto end = pending_.find("\r\n");
  if (end == std::string::npos) {
    return pending_.size() > kHeadBytesMax ? Status{malformed("a chunk size")} : Status{};
  }
  const std::string_view line{pending_.data(), end};
  if (!read_number(net::trim(line.substr(0, line.find(';'))), left_, 16) || left_ > kBodyBytesMax) {
    return malformed("a chunk size");
  }
  pending_.erase(0, end + 2);
  state_ = left_ == 0 ? State::kTrailer : State::kChunk;
  progressed = true;
  return {};
}

Status HttpReader::step(bool& progressed) {
  progressed = false;
  if (state_ == State::kHead || state_ == State::kTrailer) {
    const std::string_view mark = state_ == State::kHead ? "\r\n\r\n" : "\r\n";
    const auto end = pending_.find(mark);
    if (end == std::string::npos) {
      return pending_.size() > kHeadBytesMax ? Status{malformed("the head is too large")}
                                             : Status{};
    }
    const std::string head = pending_.substr(0, end);
    pending_.erase(0, end + mark.size());
    progressed = true;
    if (state_ == State::kHead) return parse_head(head);
    if (head.empty()) state_ = State::kDone;
    return {};
  }
  if (state_ == State::kChunkSize) return take_chunk_size(progressed);
  if (state_ == State::kChunkEnd) {
    if (pending_.size() < 2) return {};
    if (!pending_.starts_with("\r\n")) return malformed("a chunk end");
    pending_.erase(0, 2);
    state_ = State::kChunkSize;
    progressed = true;
    return {};
  }
  if (pending_.empty() || state_ == State::kDone) return {};
  const auto count =
      state_ == State::kUntilClose
          ? pending_.size()
          : static_cast<std::size_t>(std::min<std::uint64_t>(left_, pending_.size()));
  body_.append(pending_, 0, count);
  pending_.erase(0, count);
  progressed = true;
  if (state_ == State::kUntilClose) return {};
  left_ -= count;
  if (left_ == 0) state_ = state_ == State::kChunk ? State::kChunkEnd : State::kDone;
  return {};
}

Status HttpReader::feed(std::string_view bytes) {
  pending_.append(bytes);
  bool progressed = true;
  while (progressed && state_ != State::kDone) SE_RETURN_IF_ERROR(step(progressed));
  return {};
}

Status HttpReader::feed_end() {
  if (state_ == State::kUntilClose) state_ = State::kDone;
  if (state_ == State::kDone) return {};
  return Error{ErrorCode::kUnavailable, "the server closed the connection before it answered"};
}

bool HttpReader::is_event_stream() const {
  const std::string_view type = headers_.get("Content-Type");
  return net::equals_ignoring_case(net::trim(type.substr(0, type.find(';'))), "text/event-stream");
}

std::string HttpReader::take_body() { return std::exchange(body_, {}); }

std::optional<std::string> EventReader::next() {
  while (true) {
    const auto end = pending_.find("\n\n");
    if (end == std::string::npos) return std::nullopt;
    const std::string event = pending_.substr(0, end);
    pending_.erase(0, end + 2);
    std::string data;
    bool has_data = false;
    std::string_view rest = event;
    while (!rest.empty()) {
      const auto line_end = rest.find('\n');
      std::string_view line = rest.substr(0, line_end);
      if (line.starts_with("data:")) {
        line.remove_prefix(5);
        if (line.starts_with(' ')) line.remove_prefix(1);
        if (std::exchange(has_data, true)) data.push_back('\n');
        data.append(line);
      }
      if (line_end == std::string_view::npos) break;
      rest.remove_prefix(line_end + 1);
    }
    if (has_data) return data;
  }
}

}  // namespace state_engine::mcp
