// Output for people: tables, colours, values and times. Programs use --json instead.

#ifndef STATE_ENGINE_CLI_OUTPUT_H_
#define STATE_ENGINE_CLI_OUTPUT_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace state_engine::cli {

// How much a terminal may show. On a pipe: no colour, nothing cut.
struct OutputStyle {
  bool color = false;
  std::size_t width = 0;  // columns; 0 = unlimited
};

enum class Tone { kPlain, kGood, kBad, kDim, kStrong };

// `text` in the colour of `tone`, or as it is if the style has none.
std::string paint(const OutputStyle& style, Tone tone, std::string_view text);

// The columns that `text` takes on a terminal: one for each character, none for combining marks.
std::size_t display_width(std::string_view text);

// `text` with control characters made visible, so that stored text cannot drive the terminal.
std::string printable(std::string_view text);

// The beginning of `text` in at most `width` columns, "..." at its end if something is missing.
std::string shorten(std::string_view text, std::size_t width);

// A table: a header and rows, columns as wide as needed. When the style has a width, the widest
// columns are shortened until each row fits.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) : header_(std::move(header)) {}

  // REQUIRES: as many cells as the header has.
  void add(std::vector<std::string> row, Tone tone = Tone::kPlain);
  bool empty() const { return rows_.empty(); }
  std::string str(const OutputStyle& style) const;

 private:
  struct Row {
    std::vector<std::string> cells;
    Tone tone = Tone::kPlain;
  };
  std::vector<std::size_t> widths(const OutputStyle& style) const;

  std::vector<std::string> header_;
  std::vector<Row> rows_;
};

// "2026-11-22T18:30:00.250Z" as "2026-11-22 18:30:00"; other text unchanged.
std::string short_time(std::string_view rfc3339);

// The value of a JSON member for a cell: strings as they are, other values as JSON, "" if absent.
std::string cell(const json::Object& object, std::string_view name);

// A value as JSON on one line, "-" if `value` is null.
std::string value_cell(const json::Value* value);

// VALUE of the command line: JSON, or else a string. `on` is "on", `1` the number, `"1"` a string.
json::Value parse_value_argument(const std::string& text);

}  // namespace state_engine::cli

#endif  // STATE_ENGINE_CLI_OUTPUT_H_
