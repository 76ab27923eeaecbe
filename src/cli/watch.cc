// watch: live changes. The engine's update stream is only a hint that something happened; what
// happened is read from the log after the last seq shown, so that nothing is lost or doubled
// between attaching, the first update and a broken connection.

#include <algorithm>
#include <map>
#include <ostream>

#include <fmt/format.h>

#include "base/limits.h"
#include "cli/commands.h"
#include "cli/run_command.h"

namespace state_engine::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPollInterval{15'000};  // should a hint ever get lost
constexpr milliseconds kBackoffMin{250};
constexpr milliseconds kBackoffMax{5'000};
constexpr std::size_t kSeedPagesMax = 20;

class Watch {
 public:
  Watch(CliContext& context, const WatchOptions& options)
      : context_(context), options_(options), last_seq_(options.after.value_or(0)) {}

  int run() {
    milliseconds backoff = kBackoffMin;
    bool connected_before = false;
    while (true) {
      const Status status = attach_and_follow(connected_before, backoff);
      if (status.ok()) return kExitOk;  // --count is reached
      const Error& error = status.error();
      const bool transient =
          error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kDeadlineExceeded;
      if (!transient || !connected_before) return context_.fail(error);
      // The first sentence: what follows it is advice for a first attempt.
      context_.err << fmt::format("connection lost ({}); trying again in {:.2g} s\n",
                                  error.message.substr(0, error.message.find(". ")),
                                  static_cast<double>(backoff.count()) / 1000.0);
      context_.sleep(backoff);
      backoff = std::min(backoff * 2, kBackoffMax);
    }
  }

 private:
  Status attach_and_follow(bool& connected_before, milliseconds& backoff) {
    auto link = context_.connect(options_.connection);
    if (!link.ok()) return std::move(link).error();
    const std::string& prefix = options_.key.empty() ? options_.prefix : options_.key;
    // Listen first: whatever is committed after the first read brings a hint.
    auto hints = (*link)->listen(prefix);
    if (!hints.ok()) return std::move(hints).error();
    if (!seeded_) SE_RETURN_IF_ERROR(seed(**link));
    if (connected_before) context_.err << "connected again\n";
    connected_before = true;
    backoff = kBackoffMin;
    while (true) {
      SE_RETURN_IF_ERROR(catch_up(**link));
      if (done()) return {};
      auto hint = (*hints)->wait(kPollInterval);
      if (!hint.ok()) return std::move(hint).error();
    }
  }

  bool done() const { return options_.count > 0 && shown_ >= options_.count; }

  // Learns the values and the seq from which to follow.
  Status seed(EngineLink& link) {
    std::string cursor;
    std::int64_t as_of = 0;
    for (std::size_t pages = 0; pages < kSeedPagesMax; ++pages) {
      json::Object arguments{{"prefix", options_.key.empty() ? options_.prefix : options_.key},
                             {"limit", std::int64_t{limits::kPrefixPageMax}}};
      if (!cursor.empty()) arguments["cursor"] = cursor;
      auto page = ask(link, "get_state_prefix", std::move(arguments));
      if (!page.ok()) return std::move(page).error();
      as_of = json::find_int(*page, "asOfSeq").value_or(0);
      remember(*page);
      cursor = json::find_string(*page, "nextCursor").value_or("");
      if (cursor.empty()) break;
    }
    all_values_known_ = cursor.empty() && !options_.after;
    if (!options_.after) last_seq_ = as_of;
    seeded_ = true;
    return {};
  }

  void remember(const json::Object& page) {
    const json::Value* snapshots = json::find(page, "snapshots");
    if (snapshots == nullptr || !snapshots->is_object()) return;
    for (const auto& member : snapshots->get_object()) {
      if (!member.value().is_object()) continue;
      // With --after: a value newer than that is not the one before the first change to show.
      const auto seq = json::find_int(member.value().get_object(), "seq");
      if (options_.after && seq.value_or(0) > *options_.after) continue;
      if (const json::Value* value = json::find(member.value().get_object(), "value")) {
        values_[std::string(member.key())] = json::write(*value);
      }
    }
  }

  // Shows everything in the log after last_seq_.
  Status catch_up(EngineLink& link) {
    while (true) {
      json::Object arguments{{"afterSeq", last_seq_},
                             {"order", "oldest"},
                             {"limit", std::int64_t{limits::kHistoryPageMax}}};
      if (!options_.key.empty()) {
        arguments["key"] = options_.key;
      } else if (!options_.prefix.empty()) {
        arguments["prefix"] = options_.prefix;
      }
      auto answer = ask(link, "get_history", std::move(arguments));
      if (!answer.ok()) return std::move(answer).error();
      const json::Value* entries = json::find(*answer, "entries");
      if (entries == nullptr || !entries->is_array() || entries->get_array().empty()) return {};
      for (const json::Value& entry : entries->get_array()) {
        if (!entry.is_object()) continue;
        const auto seq = json::find_int(entry.get_object(), "seq");
        if (!seq || *seq <= last_seq_) continue;
        SE_RETURN_IF_ERROR(show(entry.get_object()));
        last_seq_ = *seq;
        if (done()) return {};
      }
      const json::Value* truncated = json::find(*answer, "truncated");
      if (truncated == nullptr || !truncated->is_bool() || !truncated->get_bool()) return {};
    }
  }

  Status show(const json::Object& entry) {
    const bool accepted = cell(entry, "status") == "accepted";
    if (!accepted && !options_.rejected) return {};
    ++shown_;
    const std::string key = cell(entry, "key");
    const std::string old = old_value(key);
    std::string now = cell(entry, "code");
    if (accepted) {
      const json::Value* value = json::find(entry, "resultingValue");
      now = value_cell(value);
      if (value == nullptr) {
        values_.erase(key);
      } else {
        values_[key] = now;
      }
    }
    if (options_.json) {
      context_.out << json::write(entry) << std::endl;
    } else {
      context_.out << fmt::format("{}  {:>6}  {}  {}  {} -> {}  {}  {}",
                                  short_time(cell(entry, "committedAt")), cell(entry, "seq"),
                                  paint(context_.style, Tone::kStrong, printable(key)),
                                  accepted ? "v" + cell(entry, "resultingVersion") : "rejected",
                                  printable(old),
                                  paint(context_.style, accepted ? Tone::kGood : Tone::kBad,
                                        printable(now)),
                                  printable(cell(entry, "actor")), printable(cell(entry, "reason")))
                   << std::endl;
    }
    return options_.exec.empty() ? Status() : execute(entry, key);
  }

  std::string old_value(const std::string& key) const {
    const auto known = values_.find(key);
    if (known != values_.end()) return known->second;
    return all_values_known_ ? "-" : "?";
  }

  Status execute(const json::Object& entry, const std::string& key) {
    const CommandVariables variables = {{"STATE_KEY", key},
                                        {"STATE_SEQ", cell(entry, "seq")},
                                        {"STATE_VERSION", cell(entry, "resultingVersion")},
                                        {"STATE_OP", cell(entry, "op")},
                                        {"STATE_STATUS", cell(entry, "status")},
                                        {"STATE_ACTOR", cell(entry, "actor")}};
    auto code = run_command(options_.exec, variables, json::write(entry) + "\n");
    if (!code.ok()) return std::move(code).error();
    // A failing command is the user's; the watch goes on.
    if (*code != 0) {
      context_.err << fmt::format("seq {}: the command ended with {}\n", cell(entry, "seq"), *code);
    }
    return {};
  }

  CliContext& context_;
  const WatchOptions& options_;
  std::map<std::string, std::string> values_;  // shown text by key
  bool all_values_known_ = false;
  bool seeded_ = false;
  std::int64_t last_seq_ = 0;
  std::int64_t shown_ = 0;
};

}  // namespace

int run_watch(CliContext& context, const WatchOptions& options) {
  return Watch(context, options).run();
}

}  // namespace state_engine::cli
