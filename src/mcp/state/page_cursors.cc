// A cursor is "<seq>.<hex of the last key>": the revision and where in it the next page begins.

#include "mcp/state/page_cursors.h"

#include <algorithm>
#include <charconv>
#include <span>

#include <fmt/format.h>

#include "base/hex.h"
#include "base/limits.h"

namespace state_engine::mcp {
namespace {

std::optional<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    unsigned byte = 0;
    const auto [end, fault] = std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    if (fault != std::errc{} || end != hex.data() + i + 2) return std::nullopt;
    out.push_back(static_cast<char>(byte));
  }
  return out;
}

}  // namespace

std::string PageCursors::pin(const SnapshotView& view, std::string_view last_key) {
  {
    const std::lock_guard lock(mutex_);
    const auto same = std::find_if(pinned_.begin(), pinned_.end(), [&](const SnapshotView& item) {
      return item.seq() == view.seq();
    });
    if (same != pinned_.end()) pinned_.erase(same);
    pinned_.push_front(view);
    if (pinned_.size() > limits::kCursorsPinnedMax) pinned_.pop_back();
  }
  const auto bytes =
      std::span(reinterpret_cast<const std::uint8_t*>(last_key.data()), last_key.size());
  return fmt::format("{}.{}", view.seq(), to_hex(bytes));
}

std::optional<PageCursors::Position> PageCursors::resume(std::string_view cursor) {
  const std::size_t dot = cursor.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  std::int64_t seq = 0;
  const auto [end, fault] = std::from_chars(cursor.data(), cursor.data() + dot, seq);
  if (fault != std::errc{} || end != cursor.data() + dot) return std::nullopt;
  auto after = from_hex(cursor.substr(dot + 1));
  if (!after) return std::nullopt;
  const std::lock_guard lock(mutex_);
  for (auto item = pinned_.begin(); item != pinned_.end(); ++item) {
    if (item->seq() != seq) continue;
    pinned_.splice(pinned_.begin(), pinned_, item);
    return Position{*item, std::move(*after)};
  }
  return std::nullopt;
}

}  // namespace state_engine::mcp
