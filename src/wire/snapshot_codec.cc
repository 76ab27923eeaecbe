// StateSnapshot and ChangeEvent in JSON.

#include <array>
#include <charconv>

#include <fmt/format.h>

#include "wire/fields.h"
#include "wire/json_codec.h"
#include "wire/snapshot_text.h"

namespace state_engine::wire {
namespace {

// The object under `name`, or an empty one.
json::Object read_object(FieldReader& fields, std::string_view name) {
  auto value = read_value(fields, name);
  if (!value || value->is_null()) return {};
  if (value->is_object()) return std::move(value->get_object());
  fields.add_fault(fmt::format("{} is {}; expected an object", name, describe(*value)));
  return {};
}

// `before`: the member's name with all that stands before its value.
void write_text(std::string& out, std::string_view before, std::string_view text) {
  out += before;
  json::write_string_to(out, text);
}

void write_time(std::string& out, std::string_view before, Timestamp time) {
  out += before;
  out += '"';
  out += format_rfc3339(time);
  out += '"';
}

void write_integer(std::string& out, std::string_view before, std::int64_t number) {
  std::array<char, 24> digits;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out += before;
  out.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

void write_json(std::string& out, const json::Value& value) { json::write_to(out, value); }
void write_json(std::string& out, std::string_view text) { out += text; }

void write_metadata(std::string& out, const json::Object& metadata) {
  json::write_to(out, json::Value(metadata));
}
void write_metadata(std::string& out, std::string_view text) {
  out += text.empty() ? std::string_view("{}") : text;
}

// `snapshot`: a Snapshot or a PackedSnapshot.
template <typename AnySnapshot>
void write_members(std::string& out, const AnySnapshot& snapshot) {
  write_text(out, R"({"key":)", snapshot.key);
  out += R"(,"value":)";
  write_json(out, snapshot.value);
  write_integer(out, R"(,"version":)", snapshot.version);
  write_time(out, R"(,"updatedAt":)", snapshot.updated_at);
  write_text(out, R"(,"updatedBy":)", snapshot.updated_by);
  out += R"(,"ttl":)";
  if (snapshot.ttl) {
    json::write_to(out, encode_seconds(*snapshot.ttl));
  } else {
    out += "null";
  }
  if (snapshot.expires_at) write_time(out, R"(,"expiresAt":)", *snapshot.expires_at);
  write_integer(out, R"(,"seq":)", snapshot.seq);
  write_text(out, R"(,"mutationId":)", snapshot.mutation_id);
  write_text(out, R"(,"reason":)", snapshot.reason);
  out += R"(,"metadata":)";
  write_metadata(out, snapshot.metadata);
  if (snapshot.deleted) out += R"(,"deleted":true)";
  out += '}';
}

}  // namespace

json::Object encode_snapshot(const Snapshot& snapshot) {
  json::Object out;
  out.reserve(12);
  put(out, "key", snapshot.key);
  put(out, "value", snapshot.value);
  put(out, "version", snapshot.version);
  put(out, "updatedAt", snapshot.updated_at);
  put(out, "updatedBy", snapshot.updated_by);
  put(out, "ttl", snapshot.ttl ? encode_seconds(*snapshot.ttl) : json::Value(nullptr));
  put_optional(out, "expiresAt", snapshot.expires_at);
  put(out, "seq", snapshot.seq);
  put(out, "mutationId", snapshot.mutation_id);
  put(out, "reason", snapshot.reason);
  put(out, "metadata", snapshot.metadata);
  if (snapshot.deleted) put(out, "deleted", true);
  return out;
}

void write_snapshot_to(std::string& out, const Snapshot& snapshot) { write_members(out, snapshot); }

void write_snapshot_to(std::string& out, SnapshotRef snapshot) {
  if (snapshot.whole() != nullptr) {
    write_members(out, *snapshot.whole());
  } else {
    write_members(out, snapshot.packed());
  }
}

Result<Snapshot> decode_snapshot(const json::Value& value) {
  const auto object = as_object(value, "the snapshot");
  if (!object.ok()) return object.error();
  FieldReader fields(**object);
  Snapshot out;
  out.key = fields.required_text("key");
  out.value = read_value(fields, "value").value_or(nullptr);
  out.version = fields.required_integer("version");
  out.updated_at = fields.required_time("updatedAt");
  out.updated_by = fields.text("updatedBy").value_or("");
  out.ttl = fields.seconds("ttl");
  out.expires_at = fields.time("expiresAt");
  out.seq = fields.integer("seq").value_or(0);
  out.mutation_id = fields.text("mutationId").value_or("");
  out.reason = fields.text("reason").value_or("");
  out.metadata = read_object(fields, "metadata");
  out.deleted = fields.flag("deleted").value_or(false);
  SE_RETURN_IF_ERROR(fields.status("the snapshot"));
  return out;
}

json::Object encode_change(const ChangeEvent& change) {
  json::Object out;
  out.reserve(13);
  put(out, "seq", change.seq);
  put(out, "engineId", change.engine_id);
  put(out, "key", change.key);
  put(out, "op", to_string(change.op));
  put(out, "version", change.version);
  put(out, "value", change.value);
  put(out, "prev", change.prev);
  put(out, "actor", change.actor);
  put(out, "reason", change.reason);
  put(out, "mutationId", change.mutation_id);
  put_optional(out, "causationId", change.causation_id);
  put_optional(out, "correlationId", change.correlation_id);
  put(out, "committedAt", change.committed_at);
  return out;
}

Result<ChangeEvent> decode_change(const json::Value& value) {
  const auto object = as_object(value, "the change");
  if (!object.ok()) return object.error();
  FieldReader fields(**object);
  ChangeEvent out;
  out.seq = fields.required_integer("seq");
  out.engine_id = fields.required_text("engineId");
  out.key = fields.required_text("key");
  if (fields.any("op") == nullptr) fields.add_fault("op is missing");
  out.op = read_op(fields, true).value_or(Op::kSet);
  out.version = fields.required_integer("version");
  out.value = read_value(fields, "value").value_or(nullptr);
  out.prev = read_value(fields, "prev").value_or(nullptr);
  out.actor = fields.text("actor").value_or("");
  out.reason = fields.text("reason").value_or("");
  out.mutation_id = fields.required_text("mutationId");
  out.causation_id = fields.text("causationId").value_or("");
  out.correlation_id = fields.text("correlationId").value_or("");
  out.committed_at = fields.required_time("committedAt");
  SE_RETURN_IF_ERROR(fields.status("the change"));
  return out;
}

}  // namespace state_engine::wire
