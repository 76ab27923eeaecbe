// StateSnapshot and ChangeEvent in JSON.

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

void write_name(std::string& out, std::string_view name) {
  if (out.back() != '{') out += ',';
  out += '"';
  out += name;
  out += "\":";
}

void write_text(std::string& out, std::string_view name, std::string_view text) {
  write_name(out, name);
  json::write_string_to(out, text);
}

void write_time(std::string& out, std::string_view name, Timestamp time) {
  write_text(out, name, format_rfc3339(time));
}

void write_integer(std::string& out, std::string_view name, std::int64_t number) {
  write_name(out, name);
  json::write_to(out, json::Value(number));
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
  out += '{';
  write_text(out, "key", snapshot.key);
  write_name(out, "value");
  write_json(out, snapshot.value);
  write_integer(out, "version", snapshot.version);
  write_time(out, "updatedAt", snapshot.updated_at);
  write_text(out, "updatedBy", snapshot.updated_by);
  write_name(out, "ttl");
  json::write_to(out, snapshot.ttl ? encode_seconds(*snapshot.ttl) : json::Value(nullptr));
  if (snapshot.expires_at) write_time(out, "expiresAt", *snapshot.expires_at);
  write_integer(out, "seq", snapshot.seq);
  write_text(out, "mutationId", snapshot.mutation_id);
  write_text(out, "reason", snapshot.reason);
  write_name(out, "metadata");
  write_metadata(out, snapshot.metadata);
  if (snapshot.deleted) {
    write_name(out, "deleted");
    out += "true";
  }
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
