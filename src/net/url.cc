// Boost.URL parses (RFC 3986); this file decides which of those addresses make sense here.

#include "net/url.h"

#include <charconv>

#include <boost/url/parse.hpp>

namespace state_engine::net {
namespace {

std::uint16_t default_port(std::string_view scheme) {
  return scheme == "https" || scheme == "wss" ? 443 : 80;
}

std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

std::string lower_case(std::string_view text) {
  std::string out{text};
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

}  // namespace

std::string Url::authority() const {
  std::string out = bracketed(host);
  if (port != default_port(scheme)) out += ":" + std::to_string(port);
  return out;
}

std::string Url::display() const {
  return scheme + "://" + authority() + target.substr(0, target.find('?'));
}

Result<Url> parse_url(std::string_view text) {
  constexpr std::string_view kExample = "; use for example ws://127.0.0.1:4455";
  const auto parsed = boost::urls::parse_uri({text.data(), text.size()});
  if (!parsed) return invalid_argument("not an absolute URL" + std::string{kExample});
  Url url;
  const auto scheme = parsed->scheme();
  url.scheme = lower_case({scheme.data(), scheme.size()});
  if (url.scheme != "http" && url.scheme != "https" && !url.is_websocket()) {
    return invalid_argument("a URL of scheme '" + url.scheme +
                            "' cannot be used here: http, https, ws or wss" +
                            std::string{kExample});
  }
  if (parsed->has_userinfo()) {
    return invalid_argument(
        "the URL holds a user name or password; give secrets by their own "
        "settings, where they are kept out of logs");
  }
  const auto host = parsed->host_address();
  url.host.assign(host.data(), host.size());
  if (url.host.empty()) return invalid_argument("the URL names no host" + std::string{kExample});
  // Not port_number(): it wraps around beyond 65535.
  const auto port = parsed->port();
  const auto [end, fault] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  if (!port.empty() && (fault != std::errc{} || url.port == 0)) {
    return invalid_argument("the URL's port is not between 1 and 65535" + std::string{kExample});
  }
  if (url.port == 0) url.port = default_port(url.scheme);
  const auto path = parsed->encoded_path();
  url.target.assign(path.data(), path.size());
  if (url.target.empty()) url.target = "/";
  if (parsed->has_query()) {
    const auto query = parsed->encoded_query();
    url.target.append("?").append(query.data(), query.size());
  }
  return url;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(kDigits[byte >> 4U]);
      out.push_back(kDigits[byte & 15U]);
    }
  }
  return out;
}

}  // namespace state_engine::net
