// Keys in byte order, though some documents are named by a hash: those carry their key in
// `hashedKey`, and two ordered queries at one read time are merged. The reference's documents have
// no key field at all, which is why the first query goes by document name.

#include "store/firestore/state_reader.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "store/firestore/documents.h"
#include "store/firestore/ids.h"

namespace state_engine::firestore {
namespace {

using google::protobuf::Timestamp;

// The least text >= `text` that may stand in a filter on document names; all document ids keep
// their place relative to it. Control characters and "/" occur in no id, so a text with one of
// them gives way to the next character that does; " " is the least of those.
std::string name_bound(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte != '/' && byte != 0x7f && byte >= 0x20) continue;
    std::string bound(text.substr(0, i));
    bound += byte == '/' ? "0" : byte == 0x7f ? "\xc2\x80" : " ";
    return bound;
  }
  // Names such as "." or "__x__" are reserved; nothing lies between them and this.
  return is_plain_id(text) ? std::string(text) : std::string(text) + " ";
}

std::string revision_text(const Timestamp& time) {
  return fmt::format("{}.{}", time.seconds(), time.nanos());
}

std::optional<Timestamp> parse_revision(std::string_view text) {
  Timestamp time;
  std::int64_t seconds = 0;
  std::int32_t nanos = 0;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, seconds);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '.') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, nanos);
  if (second.ec != std::errc{} || second.ptr != end) return std::nullopt;
  time.set_seconds(seconds);
  time.set_nanos(nanos);
  return time;
}

bool has_hashed_id(const Document& document) {
  return !is_plain_id(FieldReader(document).document_id());
}

}  // namespace

struct StateReader::Range {
  std::string prefix;
  std::string after;  // exclusive; empty = from the first
  std::optional<Timestamp> read_time;

  std::string lower() const { return after.empty() || after < prefix ? prefix : after; }
  bool holds(std::string_view key) const {
    return key.starts_with(prefix) && (after.empty() || key > after);
  }
};

Result<SnapshotPtr> StateReader::note(const Document& document) {
  auto snapshot = read_snapshot(document);
  if (snapshot.ok()) known_.note((*snapshot)->key, (*snapshot)->version, document.update_time());
  return snapshot;
}

Result<std::vector<SnapshotPtr>> StateReader::read(const std::vector<std::string>& keys) {
  std::vector<std::string> names;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!json::is_utf8(keys[i]) || keys[i].empty()) continue;
    names.push_back(calls_.client().name(collections::kState, document_id(keys[i])));
    places.push_back(i);
  }
  auto documents = calls_.get(names);
  if (!documents.ok()) return std::move(documents).error();
  std::vector<SnapshotPtr> out(keys.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!(*documents)[i]) {
      known_.note_absent(keys[places[i]]);
      continue;
    }
    auto snapshot = note(*(*documents)[i]);
    if (!snapshot.ok()) return std::move(snapshot).error();
    out[places[i]] = std::move(*snapshot);
  }
  return out;
}

Result<FreshState> StateReader::refresh(const std::vector<std::string>& keys) {
  auto snapshots = read(keys);
  if (!snapshots.ok()) return std::move(snapshots).error();
  FreshState fresh{std::move(*snapshots), {}};
  for (std::size_t from = 0; from < keys.size(); from += kInMax) {
    const std::vector<std::string> some(
        keys.begin() + static_cast<std::ptrdiff_t>(from),
        keys.begin() + static_cast<std::ptrdiff_t>(std::min(keys.size(), from + kInMax)));
    Query query(collections::kRuleState);
    const auto answer = calls_.query(query.where_in("key", some).built());
    if (!answer.ok()) return answer.error();
    for (const Document& document : answer->documents) {
      auto state = read_rule_state(document);
      if (!state.ok()) return std::move(state).error();
      fresh.rule_states.push_back(std::move(*state));
    }
  }
  return fresh;
}

Result<QueryAnswer> StateReader::read_plain(const Range& range, std::size_t limit) {
  QueryAnswer out;
  const auto bound = [&](std::string_view text) {
    return reference_value(calls_.client().name(collections::kState, name_bound(text)));
  };
  std::optional<Document> last;
  // One more than asked for says that there is more.
  while (out.documents.size() <= limit) {
    Query query(collections::kState);
    if (!range.lower().empty()) query.where(kNameField, Query::kAtLeast, bound(range.lower()));
    if (const auto end = after_prefix(range.prefix); !range.prefix.empty() && end) {
      query.where(kNameField, Query::kLess, bound(*end));
    }
    query.order(kNameField).limit(limit + 1);
    if (last) query.start_after(*last);
    auto answer = calls_.query(query.built(), last ? out.read_time : range.read_time);
    if (!answer.ok()) return answer;
    out.read_time = answer->read_time;
    const std::size_t seen = answer->documents.size();
    if (seen > 0) last = answer->documents.back();
    for (Document& document : answer->documents) {
      if (has_hashed_id(document) || !range.holds(FieldReader(document).document_id())) continue;
      out.documents.push_back(std::move(document));
    }
    if (seen <= limit) break;
  }
  return out;
}

Result<QueryAnswer> StateReader::read_hashed(const Range& range, std::size_t limit) {
  Query query(collections::kState);
  query.where("hashedKey",
              range.after.empty() || range.after < range.prefix ? Query::kAtLeast : Query::kGreater,
              range.lower());
  if (const auto end = after_prefix(range.prefix); !range.prefix.empty() && end) {
    query.where("hashedKey", Query::kLess, *end);
  }
  return calls_.query(query.order("hashedKey").limit(limit + 1).built(), range.read_time);
}

Result<PrefixPage> StateReader::read_prefix(const PrefixQuery& query) {
  PrefixPage page;
  Range range{std::string(query.prefix), std::string(query.after_key), std::nullopt};
  if (!query.revision.empty()) {
    range.read_time = parse_revision(query.revision);
    if (!range.read_time) return invalid_argument("the revision is none that a page gave");
  }
  if (!json::is_utf8(range.prefix) || !json::is_utf8(range.after)) return page;
  auto plain = read_plain(range, query.limit);
  if (!plain.ok()) return std::move(plain).error();
  if (!range.read_time) range.read_time = plain->read_time;
  auto hashed = read_hashed(range, query.limit);
  if (!hashed.ok()) return std::move(hashed).error();
  for (QueryAnswer* answer : {&*plain, &*hashed}) {
    for (const Document& document : answer->documents) {
      auto snapshot = note(document);
      if (!snapshot.ok()) return std::move(snapshot).error();
      page.snapshots.push_back(std::move(*snapshot));
    }
  }
  std::sort(page.snapshots.begin(), page.snapshots.end(),
            [](const SnapshotPtr& a, const SnapshotPtr& b) { return a->key < b->key; });
  page.more = page.snapshots.size() > query.limit;
  if (page.more) page.snapshots.resize(query.limit);
  page.revision = revision_text(*range.read_time);
  return page;
}

Result<std::vector<std::string>> StateReader::overdue(state_engine::Timestamp now,
                                                      std::size_t limit) {
  Query query(collections::kState);
  query.where("expiresAtMs", Query::kLess, to_ms(now)).order("expiresAtMs").limit(limit);
  const auto answer = calls_.query(query.built());
  if (!answer.ok()) return answer.error();
  std::vector<std::string> keys;
  for (const Document& document : answer->documents) {
    auto snapshot = note(document);
    if (!snapshot.ok()) return std::move(snapshot).error();
    keys.push_back((*snapshot)->key);
  }
  return keys;
}

Result<std::vector<RuleState>> StateReader::rule_states() {
  Query query(collections::kRuleState);
  const auto answer = calls_.query(query.built());
  if (!answer.ok()) return answer.error();
  std::vector<RuleState> out;
  for (const Document& document : answer->documents) {
    auto state = read_rule_state(document);
    if (!state.ok()) return std::move(state).error();
    out.push_back(std::move(*state));
  }
  return out;
}

}  // namespace state_engine::firestore
