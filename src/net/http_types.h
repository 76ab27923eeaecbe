// HTTP messages as plain values, for server and client alike.

#ifndef STATE_ENGINE_NET_HTTP_TYPES_H_
#define STATE_ENGINE_NET_HTTP_TYPES_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace state_engine::net {

struct Header {
  std::string name;
  std::string value;
};

// Header fields in their order; names compare without case.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<Header> fields) : fields_(fields) {}

  // The value of the first field of that name, or nullptr.
  const std::string* find(std::string_view name) const;
  // The same, empty when absent.
  std::string_view get(std::string_view name) const;
  // How many fields have that name.
  std::size_t count(std::string_view name) const;

  void add(std::string name, std::string value) {
    fields_.push_back({std::move(name), std::move(value)});
  }
  void reserve(std::size_t count) { fields_.reserve(count); }

  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  std::vector<Header> fields_;
};

struct HttpRequest {
  std::string method;  // upper case as sent: "GET"
  std::string target;  // as sent: "/mcp?x=1"
  std::string path;    // "/mcp", not decoded
  std::string query;   // "x=1", not decoded
  Headers headers;
  std::string body;
  std::string remote_address;  // "127.0.0.1"
  bool is_loopback = false;    // the peer is on this machine (by address)
  bool is_tls = false;         // it came through TLS

  // The decoded value of a query parameter, empty when absent.
  std::string query_value(std::string_view name) const;
};

// "OK" for 200, and so on; "Unknown" for a status without a name.
std::string_view reason_phrase(int status);

// Equality of ASCII texts of one length, not 0, regardless of case.
bool same_ignoring_case(std::string_view a, std::string_view b);

// Equality of ASCII text regardless of case. Most texts differ in length, seen without a call.
inline bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && (a.empty() || same_ignoring_case(a, b));
}

// `text` without white space at its ends.
std::string_view trim(std::string_view text);

// Decodes %XX (and "+" as a space when `plus_is_space`); a malformed escape is kept as it is.
std::string percent_decode(std::string_view text, bool plus_is_space = false);

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_HTTP_TYPES_H_
