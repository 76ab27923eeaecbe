// A read that lost its answer is repeated for a short while only: whoever asked can ask again.

#include "store/firestore/calls.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

namespace state_engine::firestore {
namespace {

namespace fs = google::firestore::v1;

constexpr std::chrono::milliseconds kFirstPause{10};
constexpr std::chrono::milliseconds kLongestPause{1000};
constexpr std::size_t kDocumentsPerCall = 300;

}  // namespace

bool Pauses::wait(int attempt) {
  const auto whole = std::min(kLongestPause, kFirstPause * (1 << std::min(attempt, 10)));
  std::array<std::uint8_t, 2> bytes{};
  random_.fill(bytes);
  const double share = 0.5 + (bytes[0] * 256 + bytes[1]) / 131'072.0;  // 0.5 to 1
  const auto pause = std::chrono::duration_cast<std::chrono::microseconds>(whole * share);
  std::unique_lock lock(mutex_);
  return !stopping_.wait_for(lock, pause, [this] { return stopped_; });
}

void Pauses::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
  }
  stopping_.notify_all();
}

template <typename T, typename Call>
Result<T> Calls::patiently(const Call& call) {
  const auto end = std::chrono::steady_clock::now() + times_.read_patience;
  for (int attempt = 0;; ++attempt) {
    Reply<T> reply = call(std::chrono::system_clock::now() + times_.attempt);
    if (auto* value = std::get_if<T>(&reply)) return std::move(*value);
    const Fault& fault = std::get<Fault>(reply);
    const bool again = fault.kind == FaultKind::kUnknown || fault.kind == FaultKind::kContended;
    if (!again || std::chrono::steady_clock::now() >= end || !pauses_.wait(attempt)) {
      return fault.to_error();
    }
  }
}

Result<std::vector<std::optional<Document>>> Calls::get(const std::vector<std::string>& names) {
  using Documents = std::vector<std::optional<Document>>;
  Documents out;
  out.reserve(names.size());
  for (std::size_t from = 0; from < names.size(); from += kDocumentsPerCall) {
    const std::size_t to = std::min(names.size(), from + kDocumentsPerCall);
    const std::vector<std::string> some(names.begin() + static_cast<std::ptrdiff_t>(from),
                                        names.begin() + static_cast<std::ptrdiff_t>(to));
    auto found = patiently<Documents>(
        [&](Client::Deadline deadline) { return client_.get(some, deadline); });
    if (!found.ok()) return found;
    for (auto& document : *found) out.push_back(std::move(document));
  }
  return out;
}

Result<QueryAnswer> Calls::query(const fs::StructuredQuery& query,
                                 const std::optional<google::protobuf::Timestamp>& read_time) {
  return patiently<QueryAnswer>(
      [&](Client::Deadline deadline) { return client_.query(query, read_time, deadline); });
}

Query::Query(std::string_view collection) {
  query_.add_from()->set_collection_id(std::string(collection));
}

Query& Query::where(const std::string& field, Op op, fs::Value value) {
  auto& filter = *filters_.emplace_back().mutable_field_filter();
  filter.mutable_field()->set_field_path(field);
  filter.set_op(op);
  *filter.mutable_value() = std::move(value);
  return *this;
}

Query& Query::where(const std::string& field, Op op, const std::string& text) {
  fs::Value value;
  value.set_string_value(text);
  return where(field, op, std::move(value));
}

Query& Query::where(const std::string& field, Op op, std::int64_t number) {
  fs::Value value;
  value.set_integer_value(number);
  return where(field, op, std::move(value));
}

Query& Query::where_in(const std::string& field, const std::vector<std::string>& texts) {
  fs::Value value;
  for (const std::string& text : texts) {
    value.mutable_array_value()->add_values()->set_string_value(text);
  }
  return where(field, kIn, std::move(value));
}

Query& Query::order(const std::string& field, bool descending) {
  auto& order = *query_.add_order_by();
  order.mutable_field()->set_field_path(field);
  order.set_direction(descending ? fs::StructuredQuery::DESCENDING
                                 : fs::StructuredQuery::ASCENDING);
  return *this;
}

Query& Query::limit(std::size_t most) {
  constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max();
  query_.mutable_limit()->set_value(static_cast<std::int32_t>(std::min(most, kMost)));
  return *this;
}

Query& Query::select(const std::string& field) {
  query_.mutable_select()->add_fields()->set_field_path(field);
  return *this;
}

Query& Query::start_after(const Document& document) {
  auto& cursor = *query_.mutable_start_at();
  cursor.set_before(false);
  for (const auto& order : query_.order_by()) {
    const std::string& field = order.field().field_path();
    *cursor.add_values() =
        field == kNameField ? reference_value(document.name()) : document.fields().at(field);
  }
  return *this;
}

const fs::StructuredQuery& Query::built() {
  query_.clear_where();
  if (filters_.size() == 1) {
    *query_.mutable_where() = filters_.front();
  } else if (!filters_.empty()) {
    auto& all = *query_.mutable_where()->mutable_composite_filter();
    all.set_op(fs::StructuredQuery::CompositeFilter::AND);
    for (const auto& filter : filters_) *all.add_filters() = filter;
  }
  return query_;
}

fs::Value reference_value(const std::string& name) {
  fs::Value value;
  value.set_reference_value(name);
  return value;
}

}  // namespace state_engine::firestore
