// InternalEventV2 as the platform's consumers read it: `egress.connector` decides who delivers,
// chat services send the best candidate's text, others act on `payload`. A missing egress block
// would make the gateway take the event for its own and dead-letter it, so there always is one.

#include "wire/egress.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "wire/fields.h"

namespace state_engine::wire {
namespace {

constexpr std::string_view kService = "state-engine";
constexpr std::string_view kSystem = "system";
constexpr int kCandidatePriority = 10;

constexpr std::array<std::string_view, 6> kEnvelopeMembers = {
    "type", "egress", "message", "candidates", "annotations", "payload"};

// The string under `name`, or `fallback`.
std::string text_or(const json::Object& object, std::string_view name, std::string_view fallback) {
  return json::find_string(object, name).value_or(std::string{fallback});
}

const json::Object* object_at(const json::Object& object, std::string_view name) {
  const json::Value* const value = json::find(object, name);
  return value == nullptr ? nullptr : value->if_object();
}

const json::Array* array_at(const json::Object& object, std::string_view name) {
  const json::Value* const value = json::find(object, name);
  return value == nullptr ? nullptr : value->if_array();
}

json::Object egress_of(const json::Object& source) {
  static const json::Object kNone;
  const json::Object* const given = object_at(source, "egress");
  const json::Object& egress = given != nullptr ? *given : kNone;
  const std::string connector = text_or(egress, "connector", kSystem);
  json::Object out;
  put(out, "destination", text_or(egress, "destination", connector));
  put(out, "connector", connector);
  put_optional(out, "channel", text_or(egress, "channel", ""));
  return out;
}

// The rule's message: its text, or "".
std::string message_text(const json::Object& source) {
  if (const json::Object* const message = object_at(source, "message")) {
    return text_or(*message, "text", "");
  }
  return text_or(source, "message", "");
}

json::Object message_of(const Effect& effect, const json::Object& source, const std::string& text) {
  static const json::Object kNone;
  const json::Object* const given = object_at(source, "message");
  const json::Object& message = given != nullptr ? *given : kNone;
  json::Object out;
  put(out, "id", text_or(message, "id", effect.id));
  put(out, "role", text_or(message, "role", "assistant"));
  put(out, "text", text);
  return out;
}

json::Object candidate_of(const Effect& effect, const json::Object& source, std::size_t index) {
  json::Object out;
  put(out, "id", text_or(source, "id", fmt::format("{}:{}", effect.id, index)));
  put(out, "kind", text_or(source, "kind", "text"));
  put(out, "source", text_or(source, "source", kService));
  put(out, "createdAt", effect.created_at);
  put(out, "status", text_or(source, "status", "proposed"));
  put(out, "priority", json::find_int(source, "priority").value_or(kCandidatePriority));
  put(out, "text", text_or(source, "text", ""));
  return out;
}

json::Array candidates_of(const Effect& effect, const json::Object& source,
                          const std::string& text) {
  json::Array out;
  if (const json::Array* const given = array_at(source, "candidates")) {
    for (const json::Value& candidate : *given) {
      if (const json::Object* const object = candidate.if_object()) {
        out.emplace_back(candidate_of(effect, *object, out.size()));
      }
    }
  } else if (!text.empty()) {
    json::Object plain;
    put(plain, "text", text);
    out.emplace_back(candidate_of(effect, plain, 0));
  }
  return out;
}

json::Object annotation_of(const Effect& effect, const json::Object& source, std::size_t index) {
  json::Object out;
  put(out, "id", text_or(source, "id", fmt::format("{}:a{}", effect.id, index)));
  put(out, "kind", text_or(source, "kind", "custom"));
  put_optional(out, "label", text_or(source, "label", ""));
  put(out, "source", text_or(source, "source", kService));
  const auto created_at = parse_rfc3339(text_or(source, "createdAt", ""));
  put(out, "createdAt", created_at.ok() ? *created_at : effect.created_at);
  if (const json::Value* const value = json::find(source, "value")) put(out, "value", *value);
  return out;
}

json::Array annotations_of(const Effect& effect, const json::Object& source) {
  json::Array out;
  const json::Array* const given = array_at(source, "annotations");
  if (given == nullptr) return out;
  for (const json::Value& annotation : *given) {
    if (const json::Object* const object = annotation.if_object()) {
      out.emplace_back(annotation_of(effect, *object, out.size()));
    }
  }
  return out;
}

// What the envelope has no place for.
json::Object payload_of(const json::Object& source) {
  json::Object out;
  if (const json::Value* const given = json::find(source, "payload")) {
    if (const json::Object* const object = given->if_object()) {
      out = *object;
    } else {
      put(out, "value", *given);
    }
  }
  for (const auto& member : source) {
    const std::string_view name = member.key();
    if (std::find(kEnvelopeMembers.begin(), kEnvelopeMembers.end(), name) ==
        kEnvelopeMembers.end()) {
      out.emplace(name, member.value());
    }
  }
  return out;
}

json::Object ingress_of(const Effect& effect) {
  json::Object out;
  put(out, "ingressAt", effect.created_at);
  put(out, "source", kService);
  put(out, "connector", kSystem);
  return out;
}

json::Object identity_of() {
  json::Object external;
  put(external, "id", kService);
  put(external, "platform", kSystem);
  json::Object out;
  put(out, "external", std::move(external));
  return out;
}

json::Object cause_of(const Effect& effect) {
  json::Object out;
  put(out, "effectId", effect.id);
  put(out, "ruleId", effect.rule_id);
  put(out, "mutationId", effect.cause_id);
  put(out, "seq", effect.cause_seq);
  return out;
}

// The rule's payload as an object; one that is none becomes {"payload": it}.
json::Object source_of(const Effect& effect) {
  auto parsed = json::parse(effect.payload, json::trusted_limits());
  json::Value value =
      parsed.ok() ? std::move(parsed).value() : json::Value(boost::json::string(effect.payload));
  if (json::Object* const object = value.if_object()) return std::move(*object);
  json::Object out;
  put(out, "payload", std::move(value));
  return out;
}

}  // namespace

json::Object encode_egress_event(const Effect& effect) {
  const json::Object source = source_of(effect);
  const std::string text = message_text(source);
  json::Object routing;
  put(routing, "stage", "response");
  put(routing, "slip", json::Array{});
  put(routing, "history", json::Array{});
  json::Object out;
  put(out, "v", "2");
  put(out, "correlationId",
      effect.correlation_id.empty() ? effect.cause_id : effect.correlation_id);
  put(out, "type", effect.type);
  put(out, "ingress", ingress_of(effect));
  put(out, "identity", identity_of());
  put(out, "egress", egress_of(source));
  if (!text.empty()) put(out, "message", message_of(effect, source, text));
  put(out, "candidates", candidates_of(effect, source, text));
  put(out, "payload", payload_of(source));
  put(out, "annotations", annotations_of(effect, source));
  put(out, "routing", std::move(routing));
  put(out, "cause", cause_of(effect));
  return out;
}

std::string egress_body(const Effect& effect, EgressShape shape) {
  if (shape == EgressShape::kRaw) return effect.payload;
  return json::write(encode_egress_event(effect));
}

}  // namespace state_engine::wire
