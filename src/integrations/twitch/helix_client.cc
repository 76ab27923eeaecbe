// One way through for every call: token, send, on 401 renew and send again, then a status becomes a
// code by what the caller can do about it. Twitch's message texts are shown, never parsed, with one
// exception: 400 for a dead session looks like 400 for a wrong body but for its message.

#include "integrations/twitch/helix_client.h"

#include <algorithm>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "net/url.h"

namespace state_engine::twitch {
namespace {

constexpr std::chrono::seconds kTimeout{10};
constexpr std::size_t kPagesMax = 20;

// The message of an error body, cut, or the status alone.
std::string message_of(const net::HttpClientResponse& response) {
  const auto parsed = json::parse(response.body);
  const json::Object* body = parsed.ok() ? parsed->if_object() : nullptr;
  const auto message = body == nullptr ? std::nullopt : json::find_string(*body, "message");
  std::string text = std::to_string(response.status);
  if (message && !message->empty()) text += " " + message->substr(0, 200);
  return text;
}

const json::Array* data_of(const json::Object& answer) {
  const json::Value* data = json::find(answer, "data");
  return data == nullptr ? nullptr : data->if_array();
}

std::string text_of(const json::Object& object, std::string_view name) {
  return json::find_string(object, name).value_or("");
}

ListedSubscription to_listed(const json::Object& item) {
  ListedSubscription out{
      text_of(item, "id"), text_of(item, "status"), text_of(item, "type"), "", "", {}};
  const json::Value* transport = json::find(item, "transport");
  if (transport != nullptr && transport->is_object()) {
    out.callback = text_of(transport->get_object(), "callback");
    out.session_id = text_of(transport->get_object(), "session_id");
  }
  const json::Value* condition = json::find(item, "condition");
  if (condition != nullptr && condition->is_object()) out.condition = condition->get_object();
  return out;
}

// Outside the coroutines: g++ 12 cannot build nested initializer lists inside one.
void log_unwritten(Log& log, const std::string& error) {
  log.error("the renewed Twitch tokens are in use but not on disk; make the file writable",
            {{"error", error}});
}

Error bad_answer(std::string_view what) {
  return {ErrorCode::kUnavailable,
          "Twitch answered " + std::string(what) + " in a form that is not known"};
}

}  // namespace

HelixClient::HelixClient(Endpoints endpoints, TokenFile tokens, TokenKind kind, net::TlsContext tls,
                         const Clock& clock, Log& log)
    : endpoints_(std::move(endpoints)),
      tokens_(std::move(tokens)),
      kind_(kind),
      http_(std::move(tls)),
      clock_(clock),
      log_(log) {}

// ---- Tokens -----------------------------------------------------------------------------------

// One refresh at a time: Twitch may make a refresh token worthless by its first use.
boost::asio::awaitable<Status> HelixClient::refresh() {
  if (refreshing_) {
    boost::asio::steady_timer pause(co_await boost::asio::this_coro::executor);
    while (refreshing_) {
      pause.expires_after(std::chrono::milliseconds{20});
      co_await pause.async_wait(boost::asio::use_awaitable);
    }
    co_return last_refresh_;
  }
  refreshing_ = true;
  last_refresh_ = co_await refresh_alone();
  refreshing_ = false;
  co_return last_refresh_;
}

boost::asio::awaitable<Status> HelixClient::refresh_alone() {
  // Somebody may have put new tokens there.
  const std::string before = tokens_.tokens().access_token;
  auto reloaded = TokenFile::load(tokens_.path());
  if (reloaded.ok()) tokens_ = std::move(*reloaded);
  const Tokens& tokens = tokens_.tokens();
  if (kind_ == TokenKind::kUser && tokens.access_token != before &&
      !tokens_.stale(clock_.wall_now())) {
    co_return Status();
  }
  const bool app = kind_ == TokenKind::kApp;
  if (tokens.client_secret.empty() || (!app && tokens.refresh_token.empty())) {
    co_return Error{ErrorCode::kPermissionDenied,
                    "the access token in " + tokens_.path() +
                        " is no longer good and cannot be renewed: the file lacks " +
                        (tokens.client_secret.empty() ? "clientSecret" : "refreshToken")};
  }
  net::HttpClientRequest request;
  request.method = "POST";
  request.url = endpoints_.auth + "/token";
  request.headers.add("Content-Type", "application/x-www-form-urlencoded");
  request.body = app ? app_token_form(tokens) : refresh_form(tokens);
  request.timeout = kTimeout;
  const auto response = co_await http_.request(std::move(request));
  if (!response.ok()) co_return response.error();
  if (response->status >= 500 || response->status == 429) {
    co_return Error{ErrorCode::kUnavailable,
                    "the token endpoint answered " + message_of(*response)};
  }
  if (response->status != 200) {
    co_return Error{ErrorCode::kPermissionDenied,
                    "Twitch refused to renew the tokens in " + tokens_.path() + " (" +
                        message_of(*response) +
                        "): authorise the app again and replace the file (docs/twitch.md)"};
  }
  const auto parsed = json::parse(response->body);
  const json::Object* answer = parsed.ok() ? parsed->if_object() : nullptr;
  if (answer == nullptr) co_return bad_answer("the token request");
  refreshes_ += 1;
  if (app) {
    app_token_ = text_of(*answer, "access_token");
    if (app_token_.empty()) co_return bad_answer("the token request");
    co_return Status();
  }
  const Status stored = tokens_.store_refreshed(*answer, clock_.wall_now());
  if (!stored.ok() && stored.error().code != ErrorCode::kUnavailable) co_return stored;
  if (!stored.ok()) {
    log_unwritten(log_, stored.error().message);
  }
  co_return Status();
}

boost::asio::awaitable<Status> HelixClient::ensure_token() {
  const bool missing =
      kind_ == TokenKind::kApp ? app_token_.empty() : tokens_.stale(clock_.wall_now());
  if (!missing) co_return Status();
  co_return co_await refresh();
}

// ---- Calls ------------------------------------------------------------------------------------

boost::asio::awaitable<Result<net::HttpClientResponse>> HelixClient::send(Call call) {
  net::HttpClientRequest request;
  request.method = std::move(call.method);
  request.url = std::move(call.url);
  request.body = std::move(call.body);
  request.timeout = kTimeout;
  const std::string& token = kind_ == TokenKind::kApp ? app_token_ : tokens_.tokens().access_token;
  request.headers.add("Authorization", "Bearer " + token);
  request.headers.add("Client-Id", tokens_.tokens().client_id);
  if (!request.body.empty()) request.headers.add("Content-Type", "application/json");
  co_return co_await http_.request(std::move(request));
}

Error HelixClient::refusal(const Call& call, const net::HttpClientResponse& response) const {
  const std::string what = call.method + " " + call.url.substr(0, call.url.find('?')) +
                           " was answered " + message_of(response);
  switch (response.status) {
    case 401:
      return {ErrorCode::kPermissionDenied,
              what + ": the tokens in " + tokens_.path() +
                  " are not accepted; authorise the app again (docs/twitch.md)"};
    case 403:
      return {ErrorCode::kPermissionDenied, what};
    case 404:
      return {ErrorCode::kNotFound, what};
    case 409:
      return {ErrorCode::kConflict, what};
    case 429:
      return {ErrorCode::kUnavailable, what};
    case 400:
      // Twitch has one status for a dead session and for a wrong body.
      return {response.body.find("session") != std::string::npos ? ErrorCode::kFailedPrecondition
                                                                 : ErrorCode::kInvalidArgument,
              what};
    default:
      return {response.status >= 500 ? ErrorCode::kUnavailable : ErrorCode::kInvalidArgument, what};
  }
}

boost::asio::awaitable<Result<json::Object>> HelixClient::call(Call call) {
  const Status ready = co_await ensure_token();
  if (!ready.ok()) co_return ready.error();
  const int before = refreshes_;
  auto response = co_await send(call);
  if (response.ok() && response->status == 401) {
    if (refreshes_ == before) {
      const Status renewed = co_await refresh();
      if (!renewed.ok()) co_return renewed.error();
    }
    response = co_await send(call);
  }
  if (!response.ok()) {
    // The outcome of a call that timed out is unknown, and all our calls may be sent again.
    const ErrorCode code = response.error().code == ErrorCode::kDeadlineExceeded
                               ? ErrorCode::kUnavailable
                               : response.error().code;
    co_return Error{code, response.error().message};
  }
  if (response->status < 200 || response->status > 299) co_return refusal(call, *response);
  if (response->status == 204 || response->body.empty()) co_return json::Object{};
  auto parsed = json::parse(response->body);
  if (!parsed.ok() || !parsed->is_object()) co_return bad_answer(call.url);
  co_return std::move(parsed->get_object());
}

boost::asio::awaitable<Result<std::map<std::string, std::string>>> HelixClient::user_ids(
    std::vector<std::string> logins) {
  std::map<std::string, std::string> out;
  Call request;
  request.url = endpoints_.helix + "/users";
  for (const std::string& login : logins) {
    request.url += (request.url.find('?') == std::string::npos ? "?login=" : "&login=") +
                   net::percent_encode(login);
  }
  const auto answer = co_await call(std::move(request));
  if (!answer.ok()) co_return answer.error();
  const json::Array* data = data_of(*answer);
  if (data == nullptr) co_return bad_answer("/users");
  for (const json::Value& item : *data) {
    if (item.is_object())
      out[text_of(item.get_object(), "login")] = text_of(item.get_object(), "id");
  }
  co_return out;
}

boost::asio::awaitable<Result<std::string>> HelixClient::own_user_id() {
  if (!tokens_.tokens().user_id.empty()) co_return tokens_.tokens().user_id;
  Call request;
  request.url = endpoints_.helix + "/users";
  const auto answer = co_await call(std::move(request));
  if (!answer.ok()) co_return answer.error();
  const json::Array* data = data_of(*answer);
  if (data == nullptr || data->empty() || !data->front().is_object())
    co_return bad_answer("/users");
  co_return text_of(data->front().get_object(), "id");
}

boost::asio::awaitable<Result<ChannelTruth>> HelixClient::truth(std::string broadcaster_id) {
  ChannelTruth out;
  Call streams;
  streams.url = endpoints_.helix + "/streams?user_id=" + net::percent_encode(broadcaster_id);
  const auto live = co_await call(std::move(streams));
  if (!live.ok()) co_return live.error();
  const json::Array* data = data_of(*live);
  if (data == nullptr) co_return bad_answer("/streams");
  if (!data->empty() && data->front().is_object()) {
    const json::Object& stream = data->front().get_object();
    if (text_of(stream, "type") == "live") {
      out.stream =
          ChannelTruth::Stream{text_of(stream, "id"), "live", text_of(stream, "started_at")};
    }
  }
  Call channels;
  channels.url =
      endpoints_.helix + "/channels?broadcaster_id=" + net::percent_encode(broadcaster_id);
  const auto channel = co_await call(std::move(channels));
  if (!channel.ok()) co_return channel.error();
  data = data_of(*channel);
  if (data == nullptr) co_return bad_answer("/channels");
  if (!data->empty() && data->front().is_object()) {
    const json::Object& found = data->front().get_object();
    out.update = json::Object{{"title", text_of(found, "title")},
                              {"language", text_of(found, "broadcaster_language")},
                              {"category_id", text_of(found, "game_id")},
                              {"category_name", text_of(found, "game_name")}};
  }
  co_return out;
}

boost::asio::awaitable<Status> HelixClient::subscribe(json::Object body) {
  Call request;
  request.method = "POST";
  request.url = endpoints_.subscriptions;
  request.body = json::write(body);
  const auto answer = co_await call(std::move(request));
  if (!answer.ok()) co_return answer.error();
  co_return Status();
}

boost::asio::awaitable<Result<std::vector<ListedSubscription>>> HelixClient::subscriptions() {
  std::vector<ListedSubscription> out;
  std::string after;
  for (std::size_t page = 0; page < kPagesMax; ++page) {
    Call request;
    request.url = endpoints_.subscriptions;
    if (!after.empty()) request.url += "?after=" + net::percent_encode(after);
    const auto answer = co_await call(std::move(request));
    if (!answer.ok()) co_return answer.error();
    const json::Array* data = data_of(*answer);
    if (data == nullptr) co_return bad_answer("/eventsub/subscriptions");
    for (const json::Value& item : *data) {
      if (item.is_object()) out.push_back(to_listed(item.get_object()));
    }
    const json::Value* pagination = json::find(*answer, "pagination");
    after = pagination != nullptr && pagination->is_object()
                ? text_of(pagination->get_object(), "cursor")
                : "";
    if (after.empty()) break;
  }
  co_return out;
}

boost::asio::awaitable<Status> HelixClient::unsubscribe(std::string id) {
  Call request;
  request.method = "DELETE";
  request.url = endpoints_.subscriptions + "?id=" + net::percent_encode(id);
  const auto answer = co_await call(std::move(request));
  if (answer.ok() || answer.error().code == ErrorCode::kNotFound) co_return Status();
  co_return answer.error();
}

}  // namespace state_engine::twitch
