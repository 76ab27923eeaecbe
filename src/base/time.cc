// RFC 3339, read and written by hand: std::chrono has no parser in libstdc++ 12, and strptime knows
// neither offsets nor fractions.

#include "base/time.h"

#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace state_engine {
namespace {

using std::chrono::milliseconds;

// Writes `number` as `count` digits at `text[at]`.
template <typename Integer>
void put_digits(std::string& text, std::size_t at, std::size_t count, Integer number) {
  for (std::size_t i = at + count; i-- > at; number /= 10) {
    text[i] = static_cast<char>('0' + number % 10);
  }
}

// Reads exactly `count` digits at `text[at]` and moves past them.
bool read_digits(std::string_view text, std::size_t& at, std::size_t count, int& out) {
  if (at + count > text.size()) return false;
  int value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const char c = text[at + i];
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  at += count;
  out = value;
  return true;
}

bool read_char(std::string_view text, std::size_t& at, char expected) {
  if (at >= text.size() || text[at] != expected) return false;
  ++at;
  return true;
}

// Reads ".123456" as milliseconds; an absent fraction is 0.
bool read_fraction(std::string_view text, std::size_t& at, int& ms) {
  ms = 0;
  if (at >= text.size() || text[at] != '.') return true;
  ++at;
  const std::size_t start = at;
  int scale = 100;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    ms += (text[at] - '0') * scale;
    scale /= 10;
    ++at;
  }
  return at > start;
}

// Reads "Z" or "+hh:mm" as minutes east of UTC.
bool read_offset(std::string_view text, std::size_t& at, int& minutes) {
  if (at >= text.size()) return false;
  const char sign = text[at++];
  if (sign == 'Z' || sign == 'z') {
    minutes = 0;
    return true;
  }
  int hour = 0;
  int minute = 0;
  if ((sign != '+' && sign != '-') || !read_digits(text, at, 2, hour) ||
      !read_char(text, at, ':') || !read_digits(text, at, 2, minute) || hour > 23 || minute > 59) {
    return false;
  }
  minutes = (hour * 60 + minute) * (sign == '-' ? -1 : 1);
  return true;
}

bool read_timestamp(std::string_view text, Timestamp& out) {
  std::size_t at = 0;
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0, offset = 0;
  if (!read_digits(text, at, 4, year) || !read_char(text, at, '-') ||
      !read_digits(text, at, 2, month) || !read_char(text, at, '-') ||
      !read_digits(text, at, 2, day)) {
    return false;
  }
  if (at >= text.size() || (text[at] != 'T' && text[at] != 't' && text[at] != ' ')) return false;
  ++at;
  if (!read_digits(text, at, 2, hour) || !read_char(text, at, ':') ||
      !read_digits(text, at, 2, minute) || !read_char(text, at, ':') ||
      !read_digits(text, at, 2, second) || !read_fraction(text, at, ms) ||
      !read_offset(text, at, offset) || at != text.size()) {
    return false;
  }
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  // 60 is a leap second: it counts as the first of the next minute.
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return false;
  out = Timestamp{std::chrono::sys_days{date}} + std::chrono::hours{hour} +
        std::chrono::minutes{minute - offset} + std::chrono::seconds{second} + milliseconds{ms};
  return true;
}

// The largest first.
struct Unit {
  std::string_view name;
  milliseconds length;
};
constexpr std::array<Unit, 4> kUnits = {{{"h", std::chrono::hours{1}},
                                         {"m", std::chrono::minutes{1}},
                                         {"s", std::chrono::seconds{1}},
                                         {"ms", milliseconds{1}}}};

}  // namespace

std::string format_rfc3339(Timestamp time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  const int year = static_cast<int>(date.year());
  if (year < 0 || year > 9999) {
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", year,
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
  }
  std::string text = "0000-00-00T00:00:00.000Z";
  put_digits(text, 0, 4, year);
  put_digits(text, 5, 2, static_cast<unsigned>(date.month()));
  put_digits(text, 8, 2, static_cast<unsigned>(date.day()));
  put_digits(text, 11, 2, clock.hours().count());
  put_digits(text, 14, 2, clock.minutes().count());
  put_digits(text, 17, 2, clock.seconds().count());
  put_digits(text, 20, 3, clock.subseconds().count());
  return text;
}

Result<Timestamp> parse_rfc3339(std::string_view text) {
  Timestamp out;
  if (!read_timestamp(text, out)) {
    return invalid_argument(
        fmt::format("'{}' is not a timestamp; expected RFC 3339 such as 2026-11-22T18:30:00.000Z",
                    text.substr(0, 64)));
  }
  return out;
}

Result<milliseconds> parse_duration(std::string_view text) {
  constexpr double kMost = 366.0 * 24 * 3600 * 1000;
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, fault] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  double scale = 0;
  for (const Unit& known : kUnits) {
    if (unit == known.name || (unit.empty() && known.name == "s")) {
      scale = static_cast<double>(known.length.count());
    }
  }
  const double length = std::round(number * scale);
  if (fault != std::errc{} || !(length >= 1 && length <= kMost)) {
    return invalid_argument(
        fmt::format("'{}' is no duration; expected a number of seconds or \"500ms\", \"30s\", "
                    "\"5m\", \"2h\", up to 366 days",
                    text.substr(0, 64)));
  }
  return milliseconds{static_cast<std::int64_t>(length)};
}

std::string format_duration(milliseconds duration) {
  for (const Unit& unit : kUnits) {
    if (duration % unit.length == milliseconds{0}) {
      return fmt::format("{}{}", duration / unit.length, unit.name);
    }
  }
  return fmt::format("{}ms", duration.count());
}

Timestamp SystemClock::wall_now() const {
  return std::chrono::floor<milliseconds>(std::chrono::system_clock::now());
}

std::chrono::nanoseconds SystemClock::monotonic_now() const {
  return std::chrono::steady_clock::now().time_since_epoch();
}

}  // namespace state_engine
