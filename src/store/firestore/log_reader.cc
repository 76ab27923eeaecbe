// Each ordered read goes by one field that already holds the order ("keySeq" for a key, ...), so
// that the automatic indexes are enough; the remaining criteria are checked here.

#include "store/firestore/log_reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "store/firestore/documents.h"
#include "store/firestore/ids.h"

namespace state_engine::firestore {
namespace {

constexpr std::size_t kPage = 300;
constexpr std::int64_t kSeqMax = 1'000'000'000'000'000'000;

bool matches(const LogQuery& query, const LogEntry& entry) {
  const auto is = [](const std::string& wanted, const std::string& found) {
    return wanted.empty() || wanted == found;
  };
  return entry.seq > query.after_seq && (query.before_seq == 0 || entry.seq < query.before_seq) &&
         is(query.key, entry.proposal.key) && entry.proposal.key.starts_with(query.prefix) &&
         is(query.actor, entry.proposal.actor) && is(query.mutation_id, entry.proposal.id) &&
         is(query.causation_id, entry.proposal.causation_id) &&
         is(query.transaction_id, entry.transaction_id) && is(query.engine_id, entry.engine_id);
}

// The criterion that orders the read: its field and wanted text. An empty field: by seq alone.
struct Order {
  const char* field = "seq";
  std::string text;
  bool by_seq = true;
};

Order order_of(const LogQuery& query) {
  const auto by = [](const char* field, const std::string& text) {
    return Order{field, text, false};
  };
  if (!query.transaction_id.empty()) return by("transactionSeq", query.transaction_id);
  if (!query.causation_id.empty()) return by("causationSeq", query.causation_id);
  if (!query.key.empty()) return by("keySeq", query.key);
  if (!query.actor.empty()) return by("actorSeq", query.actor);
  if (!query.engine_id.empty()) return by("engineSeq", query.engine_id);
  return {};
}

bool only_prefix(const LogQuery& query) { return !query.prefix.empty() && order_of(query).by_seq; }

bool is_text(const LogQuery& query) {
  for (const std::string* text : {&query.key, &query.prefix, &query.actor, &query.mutation_id,
                                  &query.causation_id, &query.transaction_id, &query.engine_id}) {
    if (!json::is_utf8(*text)) return false;
  }
  return true;
}

Query ordered_query(const LogQuery& query, const Order& order) {
  Query out(collections::kLog);
  const std::int64_t before = query.before_seq == 0 ? kSeqMax : query.before_seq;
  if (order.by_seq) {
    out.where(order.field, Query::kGreater, query.after_seq);
    out.where(order.field, Query::kLess, before);
  } else {
    out.where(order.field, Query::kGreater, sortable(order.text, query.after_seq));
    out.where(order.field, Query::kLess, sortable(order.text, before));
  }
  out.order(order.field, query.newest_first).order(kNameField, query.newest_first);
  return out;
}

Result<std::vector<OutboxRow>> to_rows(const std::vector<Document>& documents) {
  std::vector<OutboxRow> rows;
  for (const Document& document : documents) {
    auto row = read_effect(document);
    if (!row.ok()) return std::move(row).error();
    rows.push_back(std::move(*row));
  }
  return rows;
}

}  // namespace

Result<std::vector<std::optional<LogEntry>>> LogReader::lookup(
    const std::vector<std::string>& ids) {
  std::vector<std::string> names;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!json::is_utf8(ids[i]) || ids[i].empty()) continue;
    names.push_back(calls_.client().name(collections::kLog, document_id(ids[i])));
    places.push_back(i);
  }
  auto documents = calls_.get(names);
  if (!documents.ok()) return std::move(documents).error();
  std::vector<std::optional<LogEntry>> out(ids.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!(*documents)[i]) continue;
    auto entry = read_entry(*(*documents)[i]);
    if (!entry.ok()) return std::move(entry).error();
    out[places[i]] = std::move(*entry);
  }
  return out;
}

Result<std::vector<LogEntry>> LogReader::read(const LogQuery& query) {
  std::vector<LogEntry> out;
  if (query.limit == 0 || !is_text(query)) return out;
  if (!query.mutation_id.empty()) {
    auto found = lookup({query.mutation_id});
    if (!found.ok()) return std::move(found).error();
    if (found->front() && matches(query, *found->front())) {
      out.push_back(std::move(*found->front()));
    }
    return out;
  }
  return only_prefix(query) ? read_prefix(query) : read_ordered(query);
}

Result<std::vector<LogEntry>> LogReader::read_ordered(const LogQuery& query) {
  const Order order = order_of(query);
  std::vector<LogEntry> out;
  std::optional<Document> last;
  while (true) {
    Query step = ordered_query(query, order);
    const std::size_t page = std::min(kPage, std::max<std::size_t>(query.limit - out.size(), 20));
    if (last) step.start_after(*last);
    auto answer = calls_.query(step.limit(page).built());
    if (!answer.ok()) return std::move(answer).error();
    for (const Document& document : answer->documents) {
      auto entry = read_entry(document);
      if (!entry.ok()) return std::move(entry).error();
      if (matches(query, *entry)) out.push_back(std::move(*entry));
      if (out.size() == query.limit) return out;
    }
    if (answer->documents.size() < page) return out;
    last = std::move(answer->documents.back());
  }
}

Result<std::vector<std::string>> LogReader::names_under_prefix(const LogQuery& query) {
  Query step(collections::kLog);
  step.where("keySeq", Query::kAtLeast, query.prefix);
  if (const auto end = after_prefix(query.prefix)) step.where("keySeq", Query::kLess, *end);
  auto answer = calls_.query(step.order("keySeq").select("seq").built());
  if (!answer.ok()) return std::move(answer).error();
  std::vector<std::pair<std::int64_t, std::string>> found;
  for (Document& document : answer->documents) {
    const std::int64_t seq = FieldReader(document).integer("seq").value_or(0);
    if (seq <= query.after_seq || (query.before_seq != 0 && seq >= query.before_seq)) continue;
    found.emplace_back(seq, std::move(*document.mutable_name()));
  }
  std::sort(found.begin(), found.end());
  if (query.newest_first) std::reverse(found.begin(), found.end());
  std::vector<std::string> names;
  names.reserve(found.size());
  for (auto& [seq, name] : found) names.push_back(std::move(name));
  return names;
}

Result<std::vector<LogEntry>> LogReader::read_prefix(const LogQuery& query) {
  auto names = names_under_prefix(query);
  if (!names.ok()) return std::move(names).error();
  std::vector<LogEntry> out;
  for (std::size_t from = 0; from < names->size(); from += kPage) {
    const std::size_t to = std::min({names->size(), from + kPage, from + query.limit});
    const std::vector<std::string> some(names->begin() + static_cast<std::ptrdiff_t>(from),
                                        names->begin() + static_cast<std::ptrdiff_t>(to));
    auto documents = calls_.get(some);
    if (!documents.ok()) return std::move(documents).error();
    for (const auto& document : *documents) {
      if (!document) continue;
      auto entry = read_entry(*document);
      if (!entry.ok()) return std::move(entry).error();
      if (matches(query, *entry)) out.push_back(std::move(*entry));
      if (out.size() == query.limit) return out;
    }
  }
  return out;
}

Result<std::optional<LogEntry>> LogReader::last(const std::string& engine_id) {
  LogQuery query;
  query.engine_id = engine_id;
  query.limit = 1;
  query.newest_first = true;
  auto entries = read(query);
  if (!entries.ok()) return std::move(entries).error();
  if (entries->empty()) return std::optional<LogEntry>();
  return std::optional<LogEntry>(std::move(entries->front()));
}

Result<std::vector<OutboxRow>> LogReader::pending(const std::string& engine_id,
                                                  std::int64_t after_position, std::size_t limit) {
  Query query(collections::kOutbox);
  query.where("queue", Query::kGreater, sortable(engine_id, after_position));
  query.where("queue", Query::kLess, sortable(engine_id, kSeqMax));
  const auto answer = calls_.query(query.order("queue").limit(limit).built());
  if (!answer.ok()) return answer.error();
  return to_rows(answer->documents);
}

Result<std::vector<OutboxRow>> LogReader::effects_of(const std::vector<std::string>& mutation_ids) {
  std::vector<std::string> ids;
  for (const std::string& id : mutation_ids) {
    if (json::is_utf8(id)) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::vector<OutboxRow> out;
  for (std::size_t from = 0; from < ids.size(); from += kInMax) {
    const std::vector<std::string> some(
        ids.begin() + static_cast<std::ptrdiff_t>(from),
        ids.begin() + static_cast<std::ptrdiff_t>(std::min(ids.size(), from + kInMax)));
    Query query(collections::kOutbox);
    const auto answer = calls_.query(query.where_in("causeId", some).built());
    if (!answer.ok()) return answer.error();
    auto rows = to_rows(answer->documents);
    if (!rows.ok()) return rows;
    for (OutboxRow& row : *rows) out.push_back(std::move(row));
  }
  std::sort(out.begin(), out.end(),
            [](const OutboxRow& a, const OutboxRow& b) { return a.position < b.position; });
  return out;
}

Result<SourceRevision> LogReader::source(const std::string& kind, const std::string& revision) {
  const auto name = [&](std::size_t part) {
    return calls_.client().name(collections::kSources, source_id(kind, revision, part));
  };
  auto first = calls_.get({name(0)});
  if (!first.ok()) return std::move(first).error();
  if (!first->front()) {
    return Error{ErrorCode::kNotFound, fmt::format("no {} source {}", kind, revision)};
  }
  const FieldReader head(*first->front());
  SourceRevision source{kind, revision, head.text("text")};
  std::vector<std::string> rest;
  for (std::int64_t part = 1; part < head.integer("parts").value_or(1); ++part) {
    rest.push_back(name(static_cast<std::size_t>(part)));
  }
  auto documents = calls_.get(rest);
  if (!documents.ok()) return std::move(documents).error();
  for (const auto& document : *documents) {
    if (!document) return head.damaged("a part of it is missing");
    source.text += FieldReader(*document).text("text");
  }
  return source;
}

Result<std::int64_t> LogReader::cursor(const std::string& engine_id, const std::string& name) {
  const auto found =
      calls_.get({calls_.client().name(collections::kCursors, cursor_id(engine_id, name))});
  if (!found.ok()) return found.error();
  if (!found->front()) return std::int64_t{0};
  return FieldReader(*found->front()).integer("seq").value_or(0);
}

Result<std::vector<PublishCursor>> LogReader::left_cursors(const std::string& own,
                                                           const std::string& name,
                                                           Timestamp before) {
  Query query(collections::kCursors);
  query.where("name", Query::kEqual, name);
  const auto answer = calls_.query(query.built());
  if (!answer.ok()) return answer.error();
  std::vector<PublishCursor> out;
  for (const Document& document : answer->documents) {
    const FieldReader fields(document);
    std::string engine_id = fields.text("engineId");
    const auto saved = fields.time("savedAt");
    if (engine_id.empty() || engine_id == own || (saved && *saved >= before)) continue;
    out.push_back({std::move(engine_id), fields.integer("seq").value_or(0)});
  }
  return out;
}

std::string cursor_id(std::string_view engine_id, std::string_view name) {
  return document_id(fmt::format("{}-{}", engine_id, name));
}

std::string source_id(std::string_view kind, std::string_view revision, std::size_t part) {
  std::string id = fmt::format("{}-{}", kind, revision);
  if (part > 0) id += fmt::format("-{}", part);
  return document_id(id);
}

}  // namespace state_engine::firestore
