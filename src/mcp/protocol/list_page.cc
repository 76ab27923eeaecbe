#include "mcp/protocol/list_page.h"

#include <algorithm>
#include <charconv>

namespace state_engine::mcp {

std::optional<ListPage> page_of(std::string_view list, std::size_t size, std::size_t page_max,
                                const json::Object& params) {
  SE_ASSERT(page_max > 0);
  const std::string mark = std::string{list} + "-";
  ListPage page;
  const json::Value* cursor = params.if_contains("cursor");
  if (cursor != nullptr) {
    if (!cursor->is_string()) return std::nullopt;
    std::string_view text = cursor->get_string();
    if (!text.empty()) {
      if (!text.starts_with(mark)) return std::nullopt;
      text.remove_prefix(mark.size());
      const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), page.begin);
      const bool given_out = page.begin > 0 && page.begin < size && page.begin % page_max == 0;
      if (fault != std::errc{} || end != text.data() + text.size() || !given_out) {
        return std::nullopt;
      }
    }
  }
  page.end = std::min(size, page.begin + page_max);
  if (page.end < size) page.next_cursor = mark + std::to_string(page.end);
  return page;
}

}  // namespace state_engine::mcp
