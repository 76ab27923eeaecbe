// Lines are written by base/json, so that no field can break out of its line; spdlog only
// delivers.

#include "app/json_log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace state_engine {
namespace {

// A longer text field is cut: logs are for people, and hostile input must not flood them.
constexpr std::size_t kFieldBytesMax = 2048;

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  SE_UNREACHABLE();
}

void add_text(std::string& line, std::string_view name, std::string_view text) {
  line += line.size() == 1 ? "" : ",";
  json::write_string_to(line, name);
  line += ':';
  if (!json::is_utf8(text)) {
    line += "\"(not UTF-8)\"";
    return;
  }
  if (text.size() > kFieldBytesMax) {
    std::size_t end = kFieldBytesMax;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text = text.substr(0, end);
  }
  json::write_string_to(line, text);
}

}  // namespace

std::optional<LogLevel> parse_log_level(std::string_view text) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (name_of(level) == text) return level;
  }
  return std::nullopt;
}

JsonLog::JsonLog(std::string service, LogLevel level, const Clock& clock)
    : service_(std::move(service)), level_(level), clock_(clock) {
  logger_ =
      std::make_shared<spdlog::logger>("json", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger_->set_pattern("%v");
  logger_->set_level(spdlog::level::trace);
  logger_->flush_on(spdlog::level::trace);
}

void JsonLog::write(LogLevel level, std::string_view message,
                    std::initializer_list<LogField> fields) {
  std::string line = "{";
  add_text(line, "ts", format_rfc3339(clock_.wall_now()));
  add_text(line, "level", name_of(level));
  add_text(line, "service", service_);
  add_text(line, "msg", message);
  for (const LogField& field : fields) {
    if (field.value.is_string()) {
      const auto& text = field.value.get_string();
      add_text(line, field.name, std::string_view(text.data(), text.size()));
      continue;
    }
    line += ',';
    json::write_string_to(line, field.name);
    line += ':';
    json::write_to(line, field.value);
  }
  line += '}';
  const auto to = level == LogLevel::kError  ? spdlog::level::err
                  : level == LogLevel::kWarn ? spdlog::level::warn
                                             : spdlog::level::info;
  logger_->log(to, "{}", line);
}

}  // namespace state_engine
