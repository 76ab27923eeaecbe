#include "app/registration.h"

#include <fmt/format.h>

#include "base/json.h"

namespace state_engine {

BusMessage registration_message(const Registration& registration, Timestamp now) {
  json::Object payload{{"name", registration.name},
                       {"transport", "sse"},
                       {"url", registration.url},
                       {"status", "active"}};
  if (registration.with_token) {
    payload["env"] = json::Object{{"Authorization", "Bearer ${MCP_AUTH_TOKEN}"}};
  }
  json::Object external{{"id", registration.name}, {"platform", "system"}};
  json::Object event{
      {"v", "2"},
      {"correlationId", fmt::format("reg-{}-{}", registration.name, to_ms(now))},
      {"type", subjects::kRegistration},
      {"payload", std::move(payload)},
      {"ingress", json::Object{{"ingressAt", format_rfc3339(now)},
                               {"source", registration.name},
                               {"connector", "system"}}},
      {"identity", json::Object{{"external", std::move(external)}}},
      {"egress", json::Object{{"destination", "system"}, {"connector", "system"}}},
      {"routing",
       json::Object{{"stage", "meta"}, {"slip", json::Array{}}, {"history", json::Array{}}}}};
  BusMessage out;
  out.subject = subjects::kRegistration;
  out.headers = {{"source", registration.name}, {"type", std::string(subjects::kRegistration)}};
  out.body = json::write(event);
  return out;
}

}  // namespace state_engine
