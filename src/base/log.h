// The log seam: what a layer below src/app says to operators.
//
// One event is a level, a short constant message and named fields. Values, tokens and keys of
// users' data are never fields by default; mutation ids and state keys may be.

#ifndef STATE_ENGINE_BASE_LOG_H_
#define STATE_ENGINE_BASE_LOG_H_

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/json.h"

namespace state_engine {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

struct LogField {
  LogField(std::string_view field_name, std::string_view text)
      : name(field_name), value(json::Value(boost::json::string_view(text.data(), text.size()))) {}
  LogField(std::string_view field_name, const std::string& text)
      : LogField(field_name, std::string_view(text)) {}
  LogField(std::string_view field_name, const char* text)
      : LogField(field_name, std::string_view(text)) {}
  template <typename T>
    requires std::is_arithmetic_v<T>
  LogField(std::string_view field_name, T number) : name(field_name), value(number) {}
  LogField(std::string_view field_name, json::Value any)
      : name(field_name), value(std::move(any)) {}

  std::string_view name;
  json::Value value;
};

// Threads: log() may be called from any thread.
class Log {
 public:
  virtual ~Log() = default;
  virtual void write(LogLevel level, std::string_view message,
                     std::initializer_list<LogField> fields) = 0;
  virtual bool enabled(LogLevel level) const = 0;

  void debug(std::string_view message, std::initializer_list<LogField> fields = {}) {
    if (enabled(LogLevel::kDebug)) write(LogLevel::kDebug, message, fields);
  }
  void info(std::string_view message, std::initializer_list<LogField> fields = {}) {
    if (enabled(LogLevel::kInfo)) write(LogLevel::kInfo, message, fields);
  }
  void warn(std::string_view message, std::initializer_list<LogField> fields = {}) {
    if (enabled(LogLevel::kWarn)) write(LogLevel::kWarn, message, fields);
  }
  void error(std::string_view message, std::initializer_list<LogField> fields = {}) {
    if (enabled(LogLevel::kError)) write(LogLevel::kError, message, fields);
  }
};

// Drops everything; for tests and for offline commands.
class NullLog final : public Log {
 public:
  void write(LogLevel, std::string_view, std::initializer_list<LogField>) override {}
  bool enabled(LogLevel) const override { return false; }
};

}  // namespace state_engine

#endif  // STATE_ENGINE_BASE_LOG_H_
