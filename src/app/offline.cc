// verify, backup, export, replay: each opens the SQLite file read-only, so that it may run while an
// engine owns the directory. None of them writes to it.

#include "app/offline.h"

#include <cstdio>
#include <filesystem>
#include <functional>

#include <fmt/format.h>
#include <unistd.h>

#include "app/log_fold.h"
#include "store/sqlite/backup.h"
#include "store/sqlite/data_dir.h"
#include "store/sqlite/integrity.h"
#include "store/sqlite/reader.h"
#include "store/sqlite/row_codec.h"
#include "wire/json_codec.h"

namespace state_engine {
namespace {

constexpr int kFailure = 1;
constexpr int kUsage = 2;
constexpr int kVerificationFailed = 7;
constexpr std::size_t kPage = 1000;
constexpr std::int64_t kProgressEvery = 10'000;

int complain(const Error& error) {
  fmt::print(stderr, "state-engine: {}\n", error.message);
  return kFailure;
}

// A progress line on a terminal; nothing elsewhere.
class Progress {
 public:
  explicit Progress(std::string_view doing) : doing_(doing), shown_(::isatty(STDERR_FILENO) == 1) {}
  ~Progress() {
    if (shown_ && printed_) fmt::print(stderr, "\r\033[K");
  }
  void at(std::int64_t done, std::int64_t total) {
    if (!shown_) return;
    printed_ = true;
    fmt::print(stderr, "\r{} {} of {} entries\033[K", doing_, done, total);
    std::fflush(stderr);
  }

 private:
  std::string_view doing_;
  bool shown_;
  bool printed_ = false;
};

Result<std::unique_ptr<sqlite::Reader>> open_reader(const std::string& data_dir) {
  const auto file = sqlite::database_file(data_dir);
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    return Error{
        ErrorCode::kNotFound,
        fmt::format("there is no state in {}; name the directory with --data-dir", data_dir)};
  }
  auto database = sqlite::Database::open(file, sqlite::OpenMode::kSnapshot);
  if (!database.ok()) return database.error();
  return sqlite::Reader::create(std::move(*database));
}

// Calls `visit` for each entry in seq order until it returns false.
Status for_each_entry(sqlite::Reader& reader, LogQuery query, std::int64_t total,
                      Progress& progress, const std::function<bool(const LogEntry&)>& visit) {
  query.limit = kPage;
  while (true) {
    auto page = reader.read_log(query);
    if (!page.ok()) return page.error();
    for (const LogEntry& entry : *page) {
      if (!visit(entry)) return {};
    }
    if (page->size() < kPage) return {};
    query.after_seq = page->back().seq;
    progress.at(query.after_seq, total);
  }
}

json::Object report_json(const sqlite::VerifyReport& report) {
  json::Array problems;
  for (const sqlite::VerifyProblem& problem : report.problems) {
    json::Object object{{"message", problem.message}};
    if (problem.seq != 0) object["seq"] = problem.seq;
    if (!problem.key.empty()) object["key"] = problem.key;
    problems.push_back(std::move(object));
  }
  return {{"ok", report.ok()},
          {"engineId", report.engine_id},
          {"headSeq", report.head_seq},
          {"headHash", report.head_hash},
          {"entries", report.entries},
          {"keys", report.keys},
          {"effects", report.effects},
          {"problemCount", report.problem_count},
          {"problems", std::move(problems)}};
}

void print_report(const sqlite::VerifyReport& report) {
  for (const sqlite::VerifyProblem& problem : report.problems) {
    fmt::print("{}{}{}\n", problem.seq != 0 ? fmt::format("seq {}: ", problem.seq) : "",
               problem.key.empty() ? "" : problem.key + ": ", problem.message);
  }
  fmt::print("{}: {} log entries chain, {} keys equal the folded log, {} effects have a cause\n",
             report.ok() ? "ok" : fmt::format("{} PROBLEMS", report.problem_count), report.entries,
             report.keys, report.effects);
  fmt::print("head: seq {}, hash {}\n", report.head_seq, report.head_hash);
}

}  // namespace

int verify_command(const VerifyOptions& options) {
  Progress progress("verifying");
  const auto report = [&] {
    const auto callback = [&](const sqlite::VerifyProgress& at) {
      progress.at(at.entries_done, at.entries_total);
    };
    return options.file.empty() ? sqlite::verify(options.data_dir, callback)
                                : sqlite::verify_file(options.file, callback);
  }();
  if (!report.ok()) return complain(report.error());
  if (options.json) {
    fmt::print("{}\n", json::write(report_json(*report)));
  } else {
    print_report(*report);
  }
  return report->ok() ? 0 : kVerificationFailed;
}

int backup_command(const BackupOptions& options) {
  const auto report = sqlite::backup(options.data_dir, options.target);
  if (!report.ok()) return complain(report.error());
  if (options.json) {
    json::Object out = report_json(report->verified);
    out["file"] = report->file.string();
    out["bytes"] = report->bytes;
    fmt::print("{}\n", json::write(out));
    return 0;
  }
  fmt::print("{}: {} bytes, verified up to seq {}\n", report->file.string(), report->bytes,
             report->verified.head_seq);
  fmt::print(
      "to restore: stop the engine, put the file as state.db into an empty directory, and "
      "start with that --data-dir\n");
  return 0;
}

int export_command(const ExportOptions& options) {
  auto reader = open_reader(options.data_dir);
  if (!reader.ok()) return complain(reader.error());
  if (options.what == "state") {
    std::string after;
    while (true) {
      auto page = (*reader)->scan_snapshots(after, kPage);
      if (!page.ok()) return complain(page.error());
      for (const SnapshotPtr& snapshot : *page) {
        if (snapshot->deleted || !snapshot->key.starts_with(options.prefix)) continue;
        fmt::print("{}\n", json::write(wire::encode_snapshot(*snapshot)));
      }
      if (page->size() < kPage) return 0;
      after = page->back()->key;
    }
  }
  auto head = (*reader)->head();
  if (!head.ok()) return complain(head.error());
  Progress progress("exporting");
  LogQuery query;
  query.prefix = options.prefix;
  query.after_seq = options.after_seq;
  const Status status =
      for_each_entry(**reader, query, head->seq, progress, [](const LogEntry& entry) {
        fmt::print("{}\n", json::write(wire::encode_log_entry(entry)));
        return true;
      });
  return status.ok() ? 0 : complain(status.error());
}

int replay_command(const ReplayOptions& options) {
  std::optional<Timestamp> until;
  if (!options.until_time.empty()) {
    auto time = parse_rfc3339(options.until_time);
    if (!time.ok()) {
      fmt::print(stderr, "state-engine: {}\n", time.error().message);
      return kUsage;
    }
    until = *time;
  }
  auto reader = open_reader(options.data_dir);
  if (!reader.ok()) return complain(reader.error());
  auto head = (*reader)->head();
  if (!head.ok()) return complain(head.error());
  Progress progress("replaying");
  LogFold state;
  std::int64_t last = 0;
  std::int64_t faulty = 0;
  const auto fold = [&](const sqlite::LoggedChange& entry) {
    if (options.until_seq > 0 && entry.seq > options.until_seq) return false;
    if (until) {
      const auto at = sqlite::read_time(entry.committed_at);
      if (at.ok() && *at > *until) return false;
    }
    last = entry.seq;
    if (last % kProgressEvery == 0) progress.at(last, head->seq);
    const auto op = parse_op(entry.op);
    if (!entry.accepted || (op && state.apply(*op, entry.key, entry.value, entry.version))) {
      return true;
    }
    faulty = entry.seq;
    return false;
  };
  const Status status = (*reader)->scan_changes(fold);
  if (!status.ok()) return complain(status.error());
  if (faulty != 0) {
    fmt::print(stderr, "state-engine: entry {} does not apply to the state before it\n", faulty);
    return kVerificationFailed;
  }
  json::Object out;
  for (const std::string_view key : state.keys()) {
    if (!key.starts_with(options.prefix)) continue;
    const LogFold::Value& held = state.at(key);
    if (options.json) {
      out[key] = json::Object{{"value", held.get()}, {"version", held.version}};
    } else {
      fmt::print("{}  {}  (version {})\n", key, json::write(held.get()), held.version);
    }
  }
  if (options.json) {
    fmt::print("{}\n", json::write(json::Object{{"asOfSeq", last}, {"snapshots", std::move(out)}}));
  } else {
    fmt::print(stderr, "state as of seq {}\n", last);
  }
  return 0;
}

}  // namespace state_engine
