// Credentials of the HTTP endpoint: challenges (RFC 6750), what a client needs to find its
// authorization server (RFC 9728), and scopes.

#include <utility>

#include "mcp/protocol/http_endpoint_state.h"

namespace state_engine::mcp {
namespace {

using net::HttpResponse;

std::string bearer_token(const net::HttpRequest& request, TransportKind transport) {
  constexpr std::string_view kBearer = "bearer ";
  const std::string_view value = net::trim(request.headers.get("Authorization"));
  if (value.size() > kBearer.size() &&
      net::equals_ignoring_case(value.substr(0, kBearer.size()), kBearer)) {
    return std::string{net::trim(value.substr(kBearer.size()))};
  }
  if (transport != TransportKind::kLegacySse) return {};
  const std::string_view header = net::trim(request.headers.get("x-mcp-token"));
  return header.empty() ? request.query_value("token") : std::string{header};
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out.append(out.empty() ? "" : " ").append(word);
  return out;
}

// True if `host` is safe inside a quoted string and a URL.
bool is_plain_authority(std::string_view host) {
  return !host.empty() && host.size() <= 255 &&
         host.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-:[]") ==
             std::string_view::npos;
}

}  // namespace

// Where clients reach this server: as configured, else as this client reached it.
std::string HttpEndpoint::State::public_url(const net::HttpRequest& request) const {
  if (!options_.resource.public_url.empty()) return options_.resource.public_url;
  const std::string_view host = net::trim(request.headers.get("Host"));
  return is_plain_authority(host) ? (request.is_tls ? "https://" : "http://") + std::string{host}
                                  : std::string{};
}

std::string HttpEndpoint::State::challenge(const net::HttpRequest& request, std::string_view error,
                                           std::string_view scope) const {
  std::string out = "Bearer";
  std::string_view separator = " ";
  const auto add = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out.append(separator).append(name).append("=\"").append(value).append("\"");
    separator = ", ";
  };
  const std::string url = public_url(request);
  if (!options_.resource.authorization_servers.empty() && !url.empty()) {
    add("resource_metadata", url + std::string{kMetadataPath} + options_.path);
  }
  add("error", error);
  add("scope", scope);
  return out;
}

std::optional<HttpResponse> HttpEndpoint::State::authenticate(const net::HttpRequest& request,
                                                              TransportKind transport,
                                                              Peer& peer) const {
  Credentials& credentials = peer.credentials;
  credentials.transport = transport;
  credentials.bearer_token = bearer_token(request, transport);
  credentials.is_loopback = request.is_loopback;
  credentials.remote_address = request.remote_address;
  AuthOutcome outcome = authenticator_(credentials);
  if (!outcome.failure) {
    peer.caller = std::move(outcome.caller);
    return std::nullopt;
  }
  HttpResponse response = rpc_failure(outcome.failure->http_status, {},
                                      {rpc::kInvalidRequest, outcome.failure->message, nullptr});
  const std::string_view error = credentials.bearer_token.empty() ? "" : "invalid_token";
  response.headers.add("WWW-Authenticate",
                       outcome.failure->challenge.empty()
                           ? challenge(request, error, joined(options_.resource.scopes))
                           : outcome.failure->challenge);
  return response;
}

std::optional<HttpResponse> HttpEndpoint::State::check_scope(const net::HttpRequest& request,
                                                             const HttpCall& call) const {
  const auto missing = server_.missing_scope(call.message, call.context);
  if (!missing) return std::nullopt;
  // All that the client will need at once: what it has, and what it lacks.
  std::vector<std::string> wanted = call.context.caller.scopes;
  wanted.push_back(*missing);
  HttpResponse response =
      rpc_failure(403, call.message.id, scope_error(*missing, call.message, call.context));
  response.headers.add("WWW-Authenticate",
                       challenge(request, "insufficient_scope", joined(wanted)));
  return response;
}

bool HttpEndpoint::State::still_allowed(const Caller& caller,
                                        const Credentials& credentials) const {
  const AuthOutcome outcome = authenticator_(credentials);
  return !outcome.failure && outcome.caller == caller;
}

void HttpEndpoint::State::recheck_access() {
  for (const auto& session : sessions_.all()) {
    if (still_allowed(session->caller, session->credentials)) continue;
    session->in_flight.cancel_all();
    sessions_.end(session);
  }
  access_.announce();
}

HttpResponse HttpEndpoint::State::metadata(const net::HttpRequest& request) const {
  const std::string url = public_url(request);
  if (url.empty()) return HttpResponse::text(400, "the Host header is not usable\n");
  json::Array servers;
  for (const std::string& server : options_.resource.authorization_servers) {
    servers.push_back(json::Value(server));
  }
  json::Array scopes;
  for (const std::string& scope : options_.resource.scopes) scopes.push_back(json::Value(scope));
  const json::Object document{{"resource", url + options_.path},
                              {"authorization_servers", std::move(servers)},
                              {"scopes_supported", std::move(scopes)},
                              {"bearer_methods_supported", json::Array{"header"}},
                              {"resource_name", server_.options().title}};
  return HttpResponse::json(200, json::write(json::Value(document)));
}

}  // namespace state_engine::mcp
