// Hello -> Identify -> Identified, then requests and events in any order (obs-websocket 5).

#include "integrations/obs/session.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.h"

namespace state_engine::obs {

void Session::begin(MonotonicTime now) {
  end();
  state_ = State::kWaitingForHello;
  oldest_ = now;
}

void Session::end() {
  state_ = State::kClosed;
  open_.clear();
  oldest_.reset();
}

Status Session::on_text(std::string_view text, MonotonicTime now) {
  auto incoming = decode(text);
  if (!incoming.ok()) return incoming.error();
  if (const auto* hello = std::get_if<Hello>(&*incoming)) return on_hello(*hello);
  if (std::holds_alternative<Identified>(*incoming)) {
    if (state_ == State::kWaitingForIdentified) {
      state_ = State::kIdentified;
      find_oldest();
      host_.on_identified(hello_);
    }
    return {};
  }
  if (state_ != State::kIdentified) {
    return invalid_argument("the server did not begin with Hello: is this obs-websocket 5?");
  }
  if (const auto* event = std::get_if<Event>(&*incoming)) host_.on_event(*event);
  if (auto* response = std::get_if<Response>(&*incoming)) on_response(std::move(*response), now);
  return {};
}

Status Session::on_hello(const Hello& hello) {
  if (state_ != State::kWaitingForHello) return {};
  if (hello.rpc_version < kRpcVersion) {
    return Error{ErrorCode::kFailedPrecondition,
                 fmt::format("OBS speaks version {} of the protocol, we speak {}: update OBS to 28 "
                             "or newer",
                             hello.rpc_version, kRpcVersion)};
  }
  if (hello.wants_password && password_.empty()) {
    return Error{ErrorCode::kFailedPrecondition,
                 "OBS asks for a password and none is configured: set OBS_WEBSOCKET_PASSWORD, or "
                 "passwordFile in the obs section, to the one that OBS shows under Tools, "
                 "WebSocket Server Settings"};
  }
  hello_ = hello;
  state_ = State::kWaitingForIdentified;
  host_.send(encode_identify(hello, password_));
  return {};
}

void Session::ask(std::vector<Request> requests, Continuation then, MonotonicTime now) {
  SE_ASSERT(identified());
  std::string id = fmt::format("se-{}", next_id_++);
  std::string text = encode_requests(id, requests);
  open_.emplace(std::move(id), Open{requests.front().type, now, std::move(then)});
  find_oldest();
  host_.send(std::move(text));
}

void Session::on_response(Response response, MonotonicTime now) {
  const auto found = open_.find(response.id);
  if (found == open_.end()) return;  // A late answer to what nobody asks any more.
  const Open done = std::move(found->second);
  open_.erase(found);
  find_oldest();
  const bool ok = !response.replies.empty() && response.replies.back().ok();
  host_.on_answered(done.type, now - done.asked, ok);
  done.then(std::move(response.replies));
}

void Session::find_oldest() {
  oldest_.reset();
  for (const auto& [id, open] : open_) {
    if (!oldest_ || open.asked < *oldest_) oldest_ = open.asked;
  }
}

}  // namespace state_engine::obs
