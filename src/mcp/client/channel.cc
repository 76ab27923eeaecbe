// Two channels: lines on the engine's Unix socket, and POST requests of Streamable HTTP. Blocking
// sockets with deadlines, since the CLI has nothing else to do while it waits.

#include "mcp/client/channel.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "base/json.h"
#include "mcp/client/http_reader.h"

namespace state_engine::mcp {
namespace {

constexpr std::string_view kStartHint =
    ". Is the engine running? Start it with 'state-engine serve', or name it with --url or "
    "--data-dir";

Error not_running(const Error& error) {
  return {error.code, error.message + std::string{kStartHint}};
}

// ---- The engine's Unix socket: one JSON text per line -----------------------------------------

class SocketChannel final : public Channel {
 public:
  explicit SocketChannel(net::BlockingSocket socket) : socket_(std::move(socket)) {}

  Status send(std::string_view text, std::string_view, std::string_view,
              Deadline deadline) override {
    return socket_.write_all(std::string{text} + "\n", deadline);
  }

  Result<std::string> receive(Deadline deadline) override {
    while (true) {
      const auto end = pending_.find('\n', scanned_);
      if (end != std::string::npos) {
        std::string line = pending_.substr(0, end);
        pending_.erase(0, end + 1);
        scanned_ = 0;
        return line;
      }
      scanned_ = pending_.size();
      auto bytes = socket_.read_some(deadline);
      if (!bytes.ok()) return bytes;
      if (bytes->empty()) {
        return Error{ErrorCode::kUnavailable, "the engine closed the connection"};
      }
      pending_ += *bytes;
    }
  }

 private:
  net::BlockingSocket socket_;
  std::string pending_;
  std::size_t scanned_ = 0;
};

Result<std::unique_ptr<Channel>> open_socket_channel(const ClientOptions& options) {
  auto socket = net::BlockingSocket::connect_unix(options.socket_path);
  if (!socket.ok()) return not_running(socket.error());
  auto channel = std::make_unique<SocketChannel>(std::move(*socket));
  json::Object hello;
  hello["client"] = options.hello_client;
  if (!options.token.empty()) hello["token"] = options.token;
  json::Object line;
  line["stateEngineHello"] = std::move(hello);
  const auto deadline = std::chrono::steady_clock::now() + options.call_timeout;
  if (auto sent = channel->send(json::write(json::Value(line)), {}, {}, deadline); !sent.ok()) {
    return sent.error();
  }
  return std::unique_ptr<Channel>{std::move(channel)};
}

// ---- Streamable HTTP --------------------------------------------------------------------------

struct Url {
  bool tls = false;
  std::string host;
  std::string port;
  std::string authority;
  std::string path;
};

Result<Url> parse_url(std::string_view text) {
  constexpr std::string_view kPlain = "http://";
  constexpr std::string_view kTls = "https://";
  Url url;
  url.tls = text.starts_with(kTls);
  if (!url.tls && !text.starts_with(kPlain)) {
    return invalid_argument(
        "the URL must begin with http:// or https://, for example http://127.0.0.1:4270/mcp");
  }
  text.remove_prefix(url.tls ? kTls.size() : kPlain.size());
  const auto slash = text.find('/');
  url.authority = std::string{text.substr(0, slash)};
  url.path = slash == std::string_view::npos ? "/mcp" : std::string{text.substr(slash)};
  const auto bracket = url.authority.find(']');
  const auto colon = url.authority.find(':', bracket == std::string::npos ? 0 : bracket);
  url.host = url.authority.substr(0, colon);
  url.port =
      colon == std::string::npos ? (url.tls ? "443" : "80") : url.authority.substr(colon + 1);
  if (url.host.starts_with('[') && url.host.ends_with(']')) {
    url.host = url.host.substr(1, url.host.size() - 2);
  }
  if (url.host.empty() || url.authority.find_first_of(" \r\n@") != std::string::npos) {
    return invalid_argument("the URL has no usable host");
  }
  return url;
}

bool is_header_safe(std::string_view value) {
  if (value.empty() || value.front() == ' ' || value.back() == ' ') return false;
  for (const char c : value) {
    if (c < 0x20 || c > 0x7e) return false;
  }
  return !value.starts_with("=?base64?");
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      bits = (bits << 8) | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out.push_back(i + j > bytes.size() ? '=' : kDigits[(bits >> (18 - 6 * j)) & 63U]);
    }
  }
  return out;
}

class HttpChannel final : public Channel {
 public:
  HttpChannel(Url url, const ClientOptions& options)
      : url_(std::move(url)), token_(options.token), ca_file_(options.ca_file) {}

  Status send(std::string_view text, std::string_view method, std::string_view name,
              Deadline deadline) override {
    // A connection that the server closed while it was idle shows only now: open a new one then,
    // before anything was sent on it.
    if (!socket_ || (reader_ && !reader_->done()) || is_stale()) {
      auto socket = net::BlockingSocket::connect_tcp(url_.host, url_.port, deadline);
      if (!socket.ok()) return not_running(socket.error());
      if (url_.tls) SE_RETURN_IF_ERROR(socket->start_tls(url_.host, ca_file_, deadline));
      socket_ = std::move(*socket);
    }
    reader_.emplace();
    events_ = {};
    return socket_->write_all(head(text.size(), method, name) + std::string{text}, deadline);
  }

  Result<std::string> receive(Deadline deadline) override {
    std::string body;
    while (true) {
      if (reader_->is_event_stream()) {
        events_.feed(reader_->take_body());
        if (auto event = events_.next()) return std::move(*event);
      } else {
        body += reader_->take_body();
      }
      if (reader_->done()) {
        if (reader_->is_event_stream()) {
          return Error{ErrorCode::kUnavailable, "the server ended the stream"};
        }
        return finish(std::move(body));
      }
      auto bytes = socket_->read_some(deadline);
      if (!bytes.ok()) return bytes;
      const Status fed = bytes->empty() ? reader_->feed_end() : reader_->feed(*bytes);
      if (!fed.ok()) return fed.error();
    }
  }

 private:
  Result<std::string> finish(std::string body) {
    if (net::equals_ignoring_case(reader_->headers().get("Connection"), "close")) socket_.reset();
    const int status = reader_->status();
    // A missing scope is told with the name of the scope, better than here.
    const bool names_scope = status == 403 && body.find("\"requiredScope\"") != std::string::npos;
    if (status == 401 || (status == 403 && !names_scope)) {
      return Error{ErrorCode::kPermissionDenied,
                   "the server refused the credentials (HTTP " + std::to_string(status) +
                       "); give a valid token with --token or STATE_ENGINE_TOKEN"};
    }
    if (body.empty() || body.front() != '{') {
      return Error{ErrorCode::kUnavailable, "HTTP " + std::to_string(status) + " from " +
                                                url_.authority + url_.path +
                                                ": is this the MCP address of a state-engine?"};
    }
    return body;
  }

  bool is_stale() {
    auto probe = socket_->read_some(std::chrono::steady_clock::now());
    return probe.ok() || probe.error().code != ErrorCode::kDeadlineExceeded;
  }

  std::string head(std::size_t length, std::string_view method, std::string_view name) const {
    std::string out = "POST " + url_.path + " HTTP/1.1\r\nHost: " + url_.authority;
    out += "\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream";
    out += "\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: ";
    out += method;
    if (!name.empty()) {
      out += "\r\nMcp-Name: ";
      out += is_header_safe(name) ? std::string{name} : "=?base64?" + base64(name) + "?=";
    }
    if (!token_.empty()) out += "\r\nAuthorization: Bearer " + token_;
    return out + "\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
  }

  const Url url_;
  const std::string token_;
  const std::string ca_file_;
  std::optional<net::BlockingSocket> socket_;
  std::optional<HttpReader> reader_;
  EventReader events_;
};

}  // namespace

Result<std::unique_ptr<Channel>> open_channel(const ClientOptions& options) {
  if (options.url.empty()) return open_socket_channel(options);
  auto url = parse_url(options.url);
  if (!url.ok()) return url.error();
  if (options.token.find_first_of("\r\n") != std::string::npos) {
    return invalid_argument("the token must be one line");
  }
  return std::unique_ptr<Channel>{std::make_unique<HttpChannel>(std::move(*url), options)};
}

}  // namespace state_engine::mcp
