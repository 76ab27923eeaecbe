// Writes are first applied to a copy of what they touch; the copy replaces it if all went well.

#include "tests/support/fake_documents.h"

#include <algorithm>
#include <compare>
#include <string_view>

#include <fmt/format.h>

namespace state_engine::test {
namespace {

namespace fs = google::firestore::v1;
using fs::StructuredQuery;

constexpr std::size_t kDocumentBytesMax = 1024 * 1024;
constexpr std::size_t kRequestBytesMax = 10 * 1024 * 1024;
constexpr int kDepthMax = 20;

grpc::Status invalid(std::string message) {
  return {grpc::StatusCode::INVALID_ARGUMENT, std::move(message)};
}

std::string_view id_of(std::string_view name) { return name.substr(name.rfind('/') + 1); }

bool is_reserved(std::string_view text) {
  return text.size() >= 4 && text.starts_with("__") && text.ends_with("__");
}

// projects/P/databases/D/documents/COLLECTION/ID
grpc::Status check_name(std::string_view name) {
  if (std::count(name.begin(), name.end(), '/') != 6) {
    return invalid(fmt::format("document name \"{}\" lacks a collection or an id", name));
  }
  const std::string_view id = id_of(name);
  if (id.empty() || id.size() > 1500 || id == "." || id == ".." || is_reserved(id)) {
    return invalid(fmt::format("document id \"{}\" is not allowed", id));
  }
  return grpc::Status::OK;
}

grpc::Status check_value(const fs::Value& value, int depth) {
  if (depth > kDepthMax) return invalid("nested more than 20 deep");
  if (value.has_array_value()) {
    for (const fs::Value& item : value.array_value().values()) {
      if (item.has_array_value()) return invalid("an array cannot hold an array");
      if (auto status = check_value(item, depth + 1); !status.ok()) return status;
    }
  }
  for (const auto& [name, item] : value.map_value().fields()) {
    if (name.empty() || name.size() > 1500 || is_reserved(name)) {
      return invalid(fmt::format("field name \"{}\" is not allowed", name));
    }
    if (auto status = check_value(item, depth + 1); !status.ok()) return status;
  }
  return grpc::Status::OK;
}

grpc::Status check_document(const fs::Document& document) {
  if (auto status = check_name(document.name()); !status.ok()) return status;
  if (document.ByteSizeLong() > kDocumentBytesMax) {
    return invalid(fmt::format("document {} is larger than 1 MiB", document.name()));
  }
  for (const auto& [name, value] : document.fields()) {
    if (name.empty() || is_reserved(name)) return invalid("a field name is not allowed");
    if (auto status = check_value(value, 1); !status.ok()) return status;
  }
  return grpc::Status::OK;
}

grpc::Status check_precondition(const fs::Write& write, const std::string& name,
                                const fs::Document* document) {
  const fs::Precondition& wanted = write.current_document();
  if (wanted.has_exists() && !wanted.exists() && document != nullptr) {
    return {grpc::StatusCode::ALREADY_EXISTS, "Document already exists: " + name};
  }
  const bool needs_document = (wanted.has_exists() && wanted.exists()) || wanted.has_update_time();
  if (needs_document && document == nullptr) {
    return {grpc::StatusCode::NOT_FOUND, "No document to update: " + name};
  }
  if (wanted.has_update_time() &&
      to_micros(wanted.update_time()) != to_micros(document->update_time())) {
    return {grpc::StatusCode::FAILED_PRECONDITION,
            "the stored version does not match the required base version: " + name};
  }
  return grpc::Status::OK;
}

// Order within a kind; values of different kinds do not occur in one field of ours.
std::strong_ordering compare(const fs::Value& a, const fs::Value& b) {
  if (a.has_integer_value() && b.has_integer_value())
    return a.integer_value() <=> b.integer_value();
  if (a.has_reference_value()) return a.reference_value().compare(b.reference_value()) <=> 0;
  return a.string_value().compare(b.string_value()) <=> 0;
}

bool same_kind(const fs::Value& a, const fs::Value& b) {
  return a.value_type_case() == b.value_type_case();
}

std::optional<fs::Value> field_of(const fs::Document& document, const std::string& path) {
  if (path == "__name__") {
    fs::Value name;
    name.set_reference_value(document.name());
    return name;
  }
  const auto field = document.fields().find(path);
  return field != document.fields().end() ? std::optional(field->second) : std::nullopt;
}

bool holds(const StructuredQuery::FieldFilter& filter, const fs::Document& document) {
  const auto found = field_of(document, filter.field().field_path());
  if (!found) return false;
  if (filter.op() == StructuredQuery::FieldFilter::IN) {
    const auto& wanted = filter.value().array_value().values();
    return std::any_of(wanted.begin(), wanted.end(), [&](const fs::Value& item) {
      return same_kind(item, *found) && compare(item, *found) == 0;
    });
  }
  if (!same_kind(*found, filter.value())) return false;
  const auto order = compare(*found, filter.value());
  switch (filter.op()) {
    case StructuredQuery::FieldFilter::EQUAL:
      return order == 0;
    case StructuredQuery::FieldFilter::LESS_THAN:
      return order < 0;
    case StructuredQuery::FieldFilter::GREATER_THAN:
      return order > 0;
    case StructuredQuery::FieldFilter::GREATER_THAN_OR_EQUAL:
      return order >= 0;
    default:
      return false;
  }
}

bool holds(const StructuredQuery::Filter& filter, const fs::Document& document) {
  if (filter.has_field_filter()) return holds(filter.field_filter(), document);
  const auto& all = filter.composite_filter().filters();
  return std::all_of(all.begin(), all.end(),
                     [&](const StructuredQuery::Filter& one) { return holds(one, document); });
}

// The order of two documents by the query's fields.
std::strong_ordering by_order(const StructuredQuery& query, const fs::Document& a,
                              const fs::Document& b) {
  for (const auto& order : query.order_by()) {
    const auto result =
        compare(*field_of(a, order.field().field_path()), *field_of(b, order.field().field_path()));
    if (result == 0) continue;
    return order.direction() == StructuredQuery::DESCENDING ? 0 <=> result : result;
  }
  return a.name().compare(b.name()) <=> 0;
}

bool after_cursor(const StructuredQuery& query, const fs::Document& document) {
  if (!query.has_start_at()) return true;
  for (int i = 0; i < query.start_at().values_size(); ++i) {
    const auto& order = query.order_by(i);
    auto result =
        compare(*field_of(document, order.field().field_path()), query.start_at().values(i));
    if (order.direction() == StructuredQuery::DESCENDING) result = 0 <=> result;
    if (result != 0) return result > 0;
  }
  return query.start_at().before();
}

bool has_order_fields(const StructuredQuery& query, const fs::Document& document) {
  return std::all_of(query.order_by().begin(), query.order_by().end(), [&](const auto& order) {
    return field_of(document, order.field().field_path()).has_value();
  });
}

void project(const StructuredQuery& query, fs::Document& document) {
  if (!query.has_select()) return;
  fs::Document out;
  out.set_name(document.name());
  *out.mutable_update_time() = document.update_time();
  for (const auto& field : query.select().fields()) {
    const auto item = document.fields().find(field.field_path());
    if (item != document.fields().end()) (*out.mutable_fields())[item->first] = item->second;
  }
  document = std::move(out);
}

}  // namespace

google::protobuf::Timestamp to_proto_time(FakeDocuments::Micros micros) {
  google::protobuf::Timestamp time;
  time.set_seconds(micros / 1'000'000);
  time.set_nanos(static_cast<std::int32_t>(micros % 1'000'000) * 1000);
  return time;
}

FakeDocuments::Micros to_micros(const google::protobuf::Timestamp& time) {
  return time.seconds() * 1'000'000 + time.nanos() / 1000;
}

const fs::Document* FakeDocuments::current(const std::string& name, const Changes& changes) const {
  if (const auto changed = changes.find(name); changed != changes.end()) {
    return changed->second ? &*changed->second : nullptr;
  }
  const auto stored = documents_.find(name);
  if (stored == documents_.end() || !stored->second.back().second) return nullptr;
  return &*stored->second.back().second;
}

grpc::Status FakeDocuments::apply(const fs::Write& write, Changes& changes) const {
  const std::string& name = write.has_update() ? write.update().name() : write.delete_();
  if (auto status = check_name(name); !status.ok()) return status;
  const fs::Document* before = current(name, changes);
  if (auto status = check_precondition(write, name, before); !status.ok()) return status;
  if (!write.has_update()) {
    changes[name] = std::nullopt;
    return grpc::Status::OK;
  }
  fs::Document after = write.update();
  if (write.has_update_mask()) {
    fs::Document merged;
    if (before != nullptr) merged = *before;
    merged.set_name(name);
    for (const std::string& path : write.update_mask().field_paths()) {
      const auto item = after.fields().find(path);
      if (item != after.fields().end()) {
        (*merged.mutable_fields())[path] = item->second;
      } else {
        merged.mutable_fields()->erase(path);
      }
    }
    after = std::move(merged);
  }
  if (auto status = check_document(after); !status.ok()) return status;
  changes[name] = std::move(after);
  return grpc::Status::OK;
}

grpc::Status FakeDocuments::commit(const fs::CommitRequest& request, fs::CommitResponse& response) {
  if (request.ByteSizeLong() > kRequestBytesMax) return invalid("the request is over 10 MiB");
  Changes changes;
  for (const fs::Write& write : request.writes()) {
    if (auto status = apply(write, changes); !status.ok()) return status;
  }
  ++now_;
  for (auto& [name, document] : changes) {
    if (document) *document->mutable_update_time() = to_proto_time(now_);
    documents_[name].emplace_back(now_, std::move(document));
  }
  *response.mutable_commit_time() = to_proto_time(now_);
  for (int i = 0; i < request.writes_size(); ++i) {
    *response.add_write_results()->mutable_update_time() = to_proto_time(now_);
  }
  return grpc::Status::OK;
}

std::optional<fs::Document> FakeDocuments::find(const std::string& name, Micros at) const {
  const auto stored = documents_.find(name);
  if (stored == documents_.end()) return std::nullopt;
  std::optional<fs::Document> out;
  for (const auto& [time, document] : stored->second) {
    if (time <= at) out = document;
  }
  return out;
}

grpc::Status FakeDocuments::query(const std::string& parent, const StructuredQuery& query,
                                  Micros at, std::vector<Document>& out) const {
  if (query.from_size() != 1 || query.has_end_at() || query.offset() != 0) {
    return {grpc::StatusCode::UNIMPLEMENTED, "the fake does not know this kind of query"};
  }
  const std::string prefix = parent + "/" + query.from(0).collection_id() + "/";
  for (auto item = documents_.lower_bound(prefix);
       item != documents_.end() && item->first.starts_with(prefix); ++item) {
    auto document = find(item->first, at);
    if (!document || (query.has_where() && !holds(query.where(), *document))) continue;
    if (!has_order_fields(query, *document) || !after_cursor(query, *document)) continue;
    out.push_back(std::move(*document));
  }
  std::sort(out.begin(), out.end(),
            [&](const Document& a, const Document& b) { return by_order(query, a, b) < 0; });
  const auto limit = static_cast<std::size_t>(query.limit().value());
  if (query.has_limit() && out.size() > limit) out.resize(limit);
  for (Document& document : out) project(query, document);
  return grpc::Status::OK;
}

}  // namespace state_engine::test
