// JsonLog: structured logs, one JSON object a line on stderr, through spdlog.
//
//   {"ts":"2026-11-22T18:30:00.250Z","level":"info","service":"state-engine","msg":"...", ...}
//
// Threads: any.

#ifndef STATE_ENGINE_APP_JSON_LOG_H_
#define STATE_ENGINE_APP_JSON_LOG_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/time.h"

namespace spdlog {
class logger;
}

namespace state_engine {

// "debug", "info", "warn", "error", as LOG_LEVEL has them.
std::optional<LogLevel> parse_log_level(std::string_view text);

class JsonLog final : public Log {
 public:
  JsonLog(std::string service, LogLevel level, const Clock& clock);

  void write(LogLevel level, std::string_view message,
             std::initializer_list<LogField> fields) override;
  bool enabled(LogLevel level) const override { return level >= level_; }

 private:
  std::string service_;
  LogLevel level_;
  const Clock& clock_;
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_JSON_LOG_H_
