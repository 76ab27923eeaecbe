// Widths count characters rather than bytes and know combining marks, no more: wide East Asian
// characters and emoji sequences may shift a column by one. Stored text is made printable before it
// reaches a terminal, since any proposer chooses it.

#include "cli/output.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.h"

namespace state_engine::cli {
namespace {

constexpr std::string_view kGap = "  ";
constexpr std::size_t kColumnMin = 8;

// The bytes of the UTF-8 character that begins at `text[at]`.
std::size_t character_bytes(std::string_view text, std::size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  const std::size_t bytes = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
  return std::min(bytes, text.size() - at);
}

// U+0300..U+036F stand on the character before them.
bool is_combining(std::string_view character) {
  if (character.size() != 2) return false;
  const auto first = static_cast<unsigned char>(character[0]);
  const auto second = static_cast<unsigned char>(character[1]);
  return first == 0xcc || (first == 0xcd && second < 0xb0);
}

std::string_view escape_of(Tone tone) {
  switch (tone) {
    case Tone::kPlain:
      return "";
    case Tone::kGood:
      return "\x1b[32m";
    case Tone::kBad:
      return "\x1b[31m";
    case Tone::kDim:
      return "\x1b[2m";
    case Tone::kStrong:
      return "\x1b[1m";
  }
  return "";
}

}  // namespace

std::string paint(const OutputStyle& style, Tone tone, std::string_view text) {
  if (!style.color || tone == Tone::kPlain) return std::string(text);
  return fmt::format("{}{}\x1b[0m", escape_of(tone), text);
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = character_bytes(text, at);
    if (!is_combining(text.substr(at, bytes))) ++width;
    at += bytes;
  }
  return width;
}

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else if (byte == 0xc2 && i + 1 < text.size() &&
               static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      // C1 controls, U+0080..U+009F: some terminals obey them.
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[++i]));
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string shorten(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  constexpr std::string_view kMore = "...";
  if (width <= kMore.size()) return std::string(kMore.substr(0, width));
  std::size_t taken = 0;
  std::size_t at = 0;
  while (at < text.size() && taken < width - kMore.size()) {
    at += character_bytes(text, at);
    ++taken;
  }
  return std::string(text.substr(0, at)) + std::string(kMore);
}

void TextTable::add(std::vector<std::string> row, Tone tone) {
  SE_ASSERT(row.size() == header_.size());
  for (std::string& cell : row) cell = printable(cell);
  rows_.push_back({std::move(row), tone});
}

std::vector<std::size_t> TextTable::widths(const OutputStyle& style) const {
  std::vector<std::size_t> widths;
  widths.reserve(header_.size());
  for (const std::string& name : header_) widths.push_back(display_width(name));
  for (const Row& row : rows_) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(row.cells[i]));
    }
  }
  if (style.width == 0) return widths;
  const auto total = [&] {
    std::size_t sum = kGap.size() * (widths.size() - 1);
    for (const std::size_t width : widths) sum += width;
    return sum;
  };
  while (total() > style.width) {
    auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= kColumnMin) break;
    const std::size_t excess = total() - style.width;
    *widest = std::max(kColumnMin, *widest - std::min(excess, *widest / 8 + 1));
  }
  return widths;
}

std::string TextTable::str(const OutputStyle& style) const {
  const std::vector<std::size_t> columns = widths(style);
  const auto line = [&](const std::vector<std::string>& cells, Tone tone) {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string shown = shorten(cells[i], columns[i]);
      text += shown;
      if (i + 1 < cells.size()) {
        text.append(columns[i] - display_width(shown), ' ');
        text += kGap;
      }
    }
    while (text.ends_with(' ')) text.pop_back();
    return paint(style, tone, text) + "\n";
  };
  std::string out = line(header_, Tone::kStrong);
  for (const Row& row : rows_) out += line(row.cells, row.tone);
  return out;
}

std::string short_time(std::string_view rfc3339) {
  constexpr std::size_t kSecondsEnd = 19;
  if (rfc3339.size() < kSecondsEnd || rfc3339[10] != 'T') return std::string(rfc3339);
  std::string text(rfc3339.substr(0, kSecondsEnd));
  text[10] = ' ';
  return text;
}

std::string cell(const json::Object& object, std::string_view name) {
  const json::Value* value = json::find(object, name);
  if (value == nullptr || value->is_null()) return "";
  if (value->is_string()) return std::string(value->get_string());
  return json::write(*value);
}

std::string value_cell(const json::Value* value) {
  return value == nullptr || value->is_null() ? "-" : json::write(*value);
}

json::Value parse_value_argument(const std::string& text) {
  auto value = json::parse(text);
  if (value.ok()) return std::move(value).value();
  return json::Value(text);
}

}  // namespace state_engine::cli
