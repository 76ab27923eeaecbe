// Commands that read a data directory themselves, beside a running engine or without one.

#ifndef STATE_ENGINE_APP_OFFLINE_H_
#define STATE_ENGINE_APP_OFFLINE_H_

#include <cstdint>
#include <string>

namespace state_engine {

struct VerifyOptions {
  std::string data_dir;
  std::string file;  // a backup instead of a data directory
  bool json = false;
};
// Exit code 0, or 7 if something is not as it must be.
int verify_command(const VerifyOptions& options);

struct BackupOptions {
  std::string data_dir;
  std::string target;
  bool json = false;
};
int backup_command(const BackupOptions& options);

struct ExportOptions {
  std::string data_dir;
  std::string what = "log";  // or "state"
  std::string prefix;
  std::int64_t after_seq = 0;
};
// Writes JSON lines to stdout.
int export_command(const ExportOptions& options);

struct ReplayOptions {
  std::string data_dir;
  std::int64_t until_seq = 0;  // 0 = the whole log
  std::string until_time;      // RFC 3339; empty = the whole log
  std::string prefix;
  bool json = false;
};
// Folds the log into the state as it was, and prints it.
int replay_command(const ReplayOptions& options);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_OFFLINE_H_
