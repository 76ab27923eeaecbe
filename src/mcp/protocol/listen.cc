// Messages are written as text at once: the tag is the id of the listen request exactly as the
// client wrote it.

#include "mcp/protocol/listen.h"

#include <algorithm>

namespace state_engine::mcp {
namespace {

RpcError bad_filter(std::string why) { return {rpc::kInvalidParams, std::move(why), nullptr}; }

std::string tag(std::string_view id) {
  return "\"_meta\":{\"" + std::string{kMetaSubscriptionId} + "\":" + std::string{id} + "}";
}

}  // namespace

std::variant<ListenFilter, RpcError> parse_listen(const Server& server, const Message& message) {
  const json::Value* notifications = message.params.if_contains("notifications");
  if (!notifications || !notifications->is_object()) {
    return bad_filter("subscriptions/listen needs params.notifications, an object");
  }
  ListenFilter filter;
  for (const std::string_view name :
       {"toolsListChanged", "promptsListChanged", "resourcesListChanged"}) {
    const json::Value* flag = notifications->get_object().if_contains(name);
    if (flag && !flag->is_bool()) return bad_filter(std::string{name} + " must be true or false");
  }
  const json::Value* uris = notifications->get_object().if_contains("resourceSubscriptions");
  if (!uris) return filter;
  filter.asked_for_resources = true;
  if (!uris->is_array()) return bad_filter("resourceSubscriptions must be an array of strings");
  if (uris->get_array().size() > server.options().subscriptions_max) {
    return bad_filter("resourceSubscriptions may hold at most " +
                      std::to_string(server.options().subscriptions_max) +
                      " URIs; subscribe to a collection that ends in \"/\" instead");
  }
  for (const json::Value& item : uris->get_array()) {
    if (!item.is_string()) return bad_filter("resourceSubscriptions must be an array of strings");
    std::string uri{std::string_view{item.get_string()}};
    const bool known = std::find(filter.uris.begin(), filter.uris.end(), uri) != filter.uris.end();
    if (!known && server.is_subscribable(uri)) filter.uris.push_back(std::move(uri));
  }
  return filter;
}

std::string acknowledged_text(std::string_view id, const ListenFilter& filter) {
  std::string out =
      R"({"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{)";
  out += tag(id) + ",\"notifications\":{";
  if (filter.asked_for_resources) {
    out += "\"resourceSubscriptions\":[";
    for (std::size_t i = 0; i < filter.uris.size(); ++i) {
      if (i > 0) out.push_back(',');
      json::write_string_to(out, filter.uris[i]);
    }
    out.push_back(']');
  }
  out += "}}}";
  return out;
}

std::string listen_update_text(std::string_view id, std::string_view uri) {
  std::string out =
      R"({"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":)";
  json::write_string_to(out, uri);
  out += "," + tag(id) + "}}";
  return out;
}

std::string listen_result_text(std::string_view id) {
  return result_text(id, "{\"resultType\":\"complete\"," + tag(id) + "}");
}

std::string legacy_update_text(std::string_view uri) {
  std::string out =
      R"({"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":)";
  json::write_string_to(out, uri);
  out += "}}";
  return out;
}

std::string progress_text(std::string_view token, double progress, std::optional<double> total,
                          std::string_view message) {
  std::string out =
      R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":)";
  out.append(token).append(",\"progress\":").append(json::number_to_string(progress));
  if (total) out.append(",\"total\":").append(json::number_to_string(*total));
  if (!message.empty()) {
    out += ",\"message\":";
    json::write_string_to(out, message);
  }
  out += "}}";
  return out;
}

}  // namespace state_engine::mcp
