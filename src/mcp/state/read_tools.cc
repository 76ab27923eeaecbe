// get_state and get_state_prefix: reads of one consistent revision, written straight to text.

#include <algorithm>
#include <vector>

#include "base/limits.h"
#include "mcp/protocol/arguments.h"
#include "mcp/state/state_service.h"
#include "wire/json_codec.h"
#include "wire/snapshot_text.h"

namespace state_engine::mcp {
namespace {

// A page ends early once it holds this much text: a reply must stay readable.
constexpr std::size_t kPageBytesMax = 1024 * 1024;
constexpr std::size_t kSimilarMax = 5;
constexpr std::size_t kSimilarLooked = 500;

// Levenshtein distance, cut off at lengths that cannot be similar.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

// Existing keys that a reader may have meant by `key`: the same first segment, few edits away or
// with `key` as a part.
std::vector<std::string> similar_keys(const SnapshotView& view, std::string_view key,
                                      Timestamp now) {
  const std::string_view segment = key.substr(0, key.find('.'));
  std::vector<std::pair<std::size_t, std::string>> found;
  std::size_t looked = 0;
  view.scan(segment.substr(0, 1), [&](SnapshotRef item) {
    const std::string_view there = item.key();
    if (++looked > kSimilarLooked || !there.starts_with(segment.substr(0, 1))) return false;
    if (!item.visible_at(now) || there.size() > 128) return true;
    const std::size_t edits = distance(key, there);
    const bool same_segment =
        there.starts_with(segment) && there.size() > segment.size() && there[segment.size()] == '.';
    if (edits <= std::max<std::size_t>(2, key.size() / 4) || same_segment) {
      found.emplace_back(edits, there);
    }
    return true;
  });
  std::sort(found.begin(), found.end());
  std::vector<std::string> keys;
  for (auto& [edits, name] : found) {
    if (keys.size() == kSimilarMax) break;
    keys.push_back(std::move(name));
  }
  return keys;
}

// Snapshots by key are written where they stay, behind the name of their member.
constexpr std::string_view kMapName = R"({"snapshots":)";
constexpr std::size_t kMapRoom = 1024;

std::string begun_map() {
  std::string out;
  out.reserve(kMapRoom);
  out.append(kMapName).push_back('{');
  return out;
}

// The map alone, which ends at `end` of the result's text.
std::string map_of(const ToolResult& result, std::size_t end) {
  return result.structured_text.substr(kMapName.size(), end - kMapName.size());
}

void add_name(std::string& out, std::string_view key) {
  if (out.back() != '{') out += ',';
  json::write_string_to(out, key);
  out += ':';
}

void add_member(std::string& out, std::string_view key, const SnapshotPtr& snapshot) {
  add_name(out, key);
  if (snapshot != nullptr) {
    wire::write_snapshot_to(out, *snapshot);
  } else {
    out += "null";
  }
}

void add_member(std::string& out, std::string_view key, SnapshotRef snapshot) {
  add_name(out, key);
  if (snapshot) {
    wire::write_snapshot_to(out, snapshot);
  } else {
    out += "null";
  }
}

std::string similar_text(const std::vector<std::pair<std::string, std::vector<std::string>>>& all) {
  json::Object object;
  for (const auto& [key, names] : all) {
    json::Array array;
    for (const std::string& name : names) array.emplace_back(name);
    object[key] = std::move(array);
  }
  return json::write(object);
}

ToolResult expired_cursor() {
  return ToolResult::error(
      "cursor_expired: this cursor is unknown or too old. Call get_state_prefix again without "
      "cursor; the listing starts over on the newest revision.");
}

// A page of get_state_prefix, as it grows.
class Listing {
 public:
  explicit Listing(bool keys_only) : keys_only_(keys_only) {}

  // `item`: SnapshotPtr or SnapshotRef.
  template <typename Item>
  void add(std::string_view key, const Item& item) {
    if (keys_only_) {
      names_.emplace_back(key);
    } else {
      add_member(map_, key, item);
    }
    ++count_;
  }

  std::size_t count() const { return count_; }
  bool is_long() const { return map_.size() > kPageBytesMax; }

  // `next` is the cursor of the page that follows; empty = this is the last.
  ToolResult reply(std::int64_t as_of, const std::string& next, RequestContext& context) && {
    std::string text = std::move(map_);
    text += '}';
    const std::size_t map_end = text.size();
    if (keys_only_) text += R"(,"keys":)" + json::write(names_);
    text += R"(,"asOfSeq":)" + std::to_string(as_of);
    text += R"(,"count":)" + std::to_string(count_);
    text += next.empty() ? R"(,"truncated":false)" : R"(,"truncated":true,"nextCursor":)";
    if (!next.empty()) json::write_string_to(text, next);
    text += '}';
    ToolResult result = ToolResult::object_text(std::move(text));
    // The reference answers with the bare map, and gateways on this transport expect it.
    if (context.transport == TransportKind::kLegacySse) result.text = map_of(result, map_end);
    return result;
  }

 private:
  bool keys_only_;
  std::string map_ = begun_map();
  json::Array names_;
  std::size_t count_ = 0;
};

}  // namespace

StateService::Reply StateService::get_state(const json::Object& arguments,
                                            RequestContext& context) {
  ArgumentReader reader(arguments, "get_state");
  const std::vector<std::string> keys =
      reader.required_string_list("keys", {.items_min = 0, .items_max = limits::kReadKeysMax});
  if (auto fault = reader.finish()) co_return ToolResult::error(*fault);

  const SnapshotView view = engine_.view();
  std::vector<SnapshotPtr> fetched;  // only of a shared store; else `view` has them
  if (engine_.is_shared()) {
    auto present = co_await engine_.read(keys);
    if (!present.ok()) co_return present.error();
    fetched = std::move(*present);
  }
  const Timestamp now = engine_.now();
  std::string map = begun_map();
  std::vector<std::pair<std::string, std::vector<std::string>>> similar;
  json::Array omitted;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::string& key = keys[i];
    if (map.size() > kPageBytesMax) {
      omitted.emplace_back(key);
      continue;
    }
    bool visible = false;
    if (engine_.is_shared()) {
      visible = fetched[i] != nullptr && fetched[i]->visible_at(now);
      add_member(map, key, visible ? fetched[i] : nullptr);
    } else {
      const SnapshotRef there = view.look(key);
      visible = there && there.visible_at(now);
      add_member(map, key, visible ? there : SnapshotRef{});
    }
    if (!visible && key.size() <= 128) {
      auto names = similar_keys(view, key, now);
      if (!names.empty()) similar.emplace_back(key, std::move(names));
    }
  }
  std::string text = std::move(map);
  text += '}';
  const std::size_t map_end = text.size();
  text += R"(,"asOfSeq":)" + std::to_string(view.seq());
  if (!similar.empty()) text += R"(,"similarKeys":)" + similar_text(similar);
  if (!omitted.empty()) text += R"(,"omittedKeys":)" + json::write(omitted);
  text += '}';
  ToolResult result = ToolResult::object_text(std::move(text));
  // The reference answers with the bare map, and gateways on this transport expect it.
  if (context.transport == TransportKind::kLegacySse) result.text = map_of(result, map_end);
  co_return result;
}

StateService::Reply StateService::get_state_prefix(const json::Object& arguments,
                                                   RequestContext& context) {
  ArgumentReader reader(arguments, "get_state_prefix");
  const std::string prefix = reader.required_string("prefix", {.bytes_max = limits::kKeyBytesMax});
  const auto limit = static_cast<std::size_t>(
      reader.optional_int("limit", 1, limits::kPrefixPageMax)
          .value_or(static_cast<std::int64_t>(limits::kPrefixPageDefault)));
  const auto cursor = reader.optional_string("cursor", {.bytes_max = 2048});
  const bool keys_only = reader.optional_bool("keysOnly").value_or(false);
  if (auto fault = reader.finish()) co_return ToolResult::error(*fault);

  if (engine_.is_shared()) {
    co_return co_await get_shared_prefix(prefix, cursor.value_or(""), limit, keys_only, context);
  }
  PageCursors::Position position{engine_.view(), ""};
  if (cursor && !cursor->empty()) {
    auto resumed = cursors_.resume(*cursor);
    if (!resumed) {
      co_return expired_cursor();
    }
    position = std::move(*resumed);
  }
  const Timestamp now = engine_.now();
  Listing listing(keys_only);
  std::string last;
  bool truncated = false;
  const std::string from = position.after_key.empty() ? prefix : position.after_key;
  position.view.scan(from, [&](SnapshotRef item) {
    if (!item.key().starts_with(prefix)) return false;
    if (item.key() == position.after_key || !item.visible_at(now)) return true;
    truncated = listing.count() == limit || listing.is_long();
    if (truncated) return false;
    listing.add(item.key(), item);
    last = item.key();
    return true;
  });
  std::string next;
  if (truncated) next = cursors_.pin(position.view, last);
  co_return std::move(listing).reply(position.view.seq(), next, context);
}

// All pages of one listing show the store as it was at one time, which the cursor carries.
StateService::Reply StateService::get_shared_prefix(std::string prefix, std::string cursor,
                                                    std::size_t limit, bool keys_only,
                                                    RequestContext& context) {
  const std::int64_t as_of = engine_.view().seq();
  const Timestamp now = engine_.now();
  PrefixQuery query{prefix, "", limit, ""};
  if (!cursor.empty()) {
    const std::size_t space = cursor.find(' ');
    query.revision = cursor.substr(0, space);
    query.after_key = space == std::string::npos ? "" : cursor.substr(space + 1);
    if (!query.after_key.starts_with(prefix)) query.revision = "none";
  }
  Listing listing(keys_only);
  bool more = true;
  while (more && listing.count() < limit && !listing.is_long()) {
    auto page = co_await engine_.read_prefix(query);
    if (!page.ok()) {
      if (cursor.empty() || page.error().code == ErrorCode::kUnavailable) co_return page.error();
      co_return expired_cursor();
    }
    more = page->more;
    for (const SnapshotPtr& item : page->snapshots) {
      if (listing.count() == limit || listing.is_long()) {
        more = true;
        break;
      }
      query.after_key = item->key;
      if (item->visible_at(now)) listing.add(item->key, item);
    }
    query.revision = page->revision;
  }
  std::string next;
  if (more) next = query.revision + " " + query.after_key;
  co_return std::move(listing).reply(as_of, next, context);
}

}  // namespace state_engine::mcp
