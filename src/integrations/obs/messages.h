// The messages of obs-websocket 5 (RPC version 1), as text and as values.
//
// Every message is {"op": number, "d": object}. Fields that newer versions add are passed over.
//
// Threads: pure functions.

#ifndef STATE_ENGINE_INTEGRATIONS_OBS_MESSAGES_H_
#define STATE_ENGINE_INTEGRATIONS_OBS_MESSAGES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace state_engine::obs {

inline constexpr std::string_view kSubprotocol = "obswebsocket.json";
inline constexpr int kRpcVersion = 1;

// What is subscribed to: general, config, scenes, outputs and user interface events.
inline constexpr std::uint32_t kEventSubscriptions = 1 + 2 + 4 + 64 + 1024;

// The codes of RequestStatus that are told apart.
namespace codes {
inline constexpr int kSuccess = 100;
inline constexpr int kOutputRunning = 500;
inline constexpr int kOutputNotRunning = 501;
inline constexpr int kNotFound = 600;
}  // namespace codes

// How the server ends a connection.
namespace close_codes {
inline constexpr std::uint16_t kNotIdentified = 4007;
inline constexpr std::uint16_t kAuthenticationFailed = 4009;
inline constexpr std::uint16_t kUnsupportedRpcVersion = 4010;
inline constexpr std::uint16_t kSessionInvalidated = 4011;
}  // namespace close_codes

struct Hello {
  std::string version;  // of obs-websocket
  int rpc_version = 0;
  bool wants_password = false;
  std::string challenge;  // new for each connection
  std::string salt;       // the same for one run of OBS
};

struct Identified {};

struct Event {
  std::string type;
  json::Object data;
};

// The answer to one request. `code` is codes::kSuccess or says what was wrong.
struct Reply {
  int code = 0;
  std::string comment;
  json::Object data;

  bool ok() const { return code == codes::kSuccess; }
};

struct Response {
  std::string id;
  std::vector<Reply> replies;  // one, or those of a batch that were carried out
};

struct Unknown {
  int op = 0;
};

using Incoming = std::variant<Hello, Identified, Event, Response, Unknown>;

// Reads one message of the server. Errors: kInvalidArgument.
Result<Incoming> decode(std::string_view text);

struct Request {
  std::string type;
  json::Object data;
};

// Identify; `password` is used only if the server asks for one.
std::string encode_identify(const Hello& hello, std::string_view password);

// One request as it is; several as a batch that stops at the first failure. REQUIRES: not empty.
std::string encode_requests(std::string_view id, const std::vector<Request>& requests);

// The proof that we know the password, without telling it.
std::string authentication(std::string_view password, std::string_view salt,
                           std::string_view challenge);

}  // namespace state_engine::obs

#endif  // STATE_ENGINE_INTEGRATIONS_OBS_MESSAGES_H_
