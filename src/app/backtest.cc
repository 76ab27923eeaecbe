// The log is read once, in pages; the rules of each revision on the way are loaded from the store.

#include "app/backtest.h"

#include <filesystem>
#include <map>
#include <memory>
#include <ostream>

#include <fmt/format.h>

#include "cli/exit_codes.h"
#include "config/config.h"
#include "engine/backtest.h"
#include "store/sqlite/data_dir.h"
#include "store/sqlite/database.h"
#include "store/sqlite/reader.h"

namespace state_engine {
namespace {

constexpr std::size_t kPage = 1000;
constexpr std::size_t kTextShown = 200;

using Kind = BacktestDifference::Kind;

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::kAdded:
      return "added";
    case Kind::kRemoved:
      return "removed";
    case Kind::kChanged:
      return "changed";
  }
  SE_UNREACHABLE();
}

Result<std::unique_ptr<sqlite::Reader>> open_log(const std::string& data_dir) {
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

// The rule sets of the log, by revision.
class Revisions {
 public:
  explicit Revisions(sqlite::Reader& reader) : reader_(reader) {}

  Result<RuleSetPtr> at(const std::string& revision) {
    if (const auto known = sets_.find(revision); known != sets_.end()) return known->second;
    auto source = reader_.source("rules", revision);
    if (!source.ok()) return source.error();
    auto parsed = json::parse(source->text, json::trusted_limits());
    if (!parsed.ok()) return parsed.error();
    const RuleSetLoad load = RuleSet::load(*parsed);
    if (!load.ok()) {
      return Error{ErrorCode::kDataLoss, fmt::format("the rules of revision {} do not load: {}",
                                                     revision, load.problems.front().message)};
    }
    return sets_.emplace(revision, load.rules).first->second;
  }

 private:
  sqlite::Reader& reader_;
  std::map<std::string, RuleSetPtr> sets_;
};

Status feed_log(sqlite::Reader& reader, std::int64_t to, Backtest& backtest) {
  Revisions revisions(reader);
  LogQuery query;
  query.limit = kPage;
  while (true) {
    auto page = reader.read_log(query);
    if (!page.ok()) return page.error();
    const std::size_t size = page->size();
    for (LogEntry& entry : *page) {
      query.after_seq = entry.seq;
      auto rules = revisions.at(entry.rule_revision);
      if (!rules.ok()) return rules.error();
      // What a change of the range derived comes behind it: such entries are still to be applied.
      const bool derived = entry.proposal.actor.starts_with("rule:");
      if (to > 0 && entry.seq > to && !derived) return {};
      backtest.feed(std::move(entry), *rules);
    }
    if (size < kPage) return {};
  }
}

json::Object counts_json(const BacktestCounts& counts) {
  return {{"added", counts.added}, {"removed", counts.removed}, {"changed", counts.changed}};
}

json::Object difference_json(const BacktestDifference& difference) {
  json::Object out{{"what", name_of(difference.kind)},
                   {"action", difference.effect ? "effect" : "mutation"},
                   {"seq", difference.seq},
                   {"mutationId", difference.mutation_id},
                   {"key", difference.key}};
  if (difference.kind != Kind::kAdded) out["before"] = difference.before;
  if (difference.kind != Kind::kRemoved) out["after"] = difference.after;
  return out;
}

json::Object report_json(const BacktestReport& report) {
  json::Array rules;
  for (const auto& [id, rule] : report.rules) {
    json::Array examples;
    for (const BacktestDifference& example : rule.examples) {
      examples.push_back(difference_json(example));
    }
    rules.push_back(json::Object{{"rule", id},
                                 {"effects", counts_json(rule.effects)},
                                 {"mutations", counts_json(rule.mutations)},
                                 {"examples", std::move(examples)}});
  }
  return {{"differs", !report.rules.empty()},
          {"changes", report.changes},
          {"same", report.same},
          {"unreproduced", report.unreproduced},
          {"rules", std::move(rules)}};
}

std::string counts_text(const BacktestCounts& counts, std::string_view what) {
  if (counts.added + counts.removed + counts.changed == 0) return "";
  return fmt::format("  {}: {} added, {} removed, {} changed\n", what, counts.added, counts.removed,
                     counts.changed);
}

std::string report_text(const BacktestReport& report) {
  std::string text;
  for (const auto& [id, rule] : report.rules) {
    text += fmt::format("rule {}\n", id);
    text += counts_text(rule.effects, "effects") + counts_text(rule.mutations, "derived mutations");
    for (const BacktestDifference& example : rule.examples) {
      text += fmt::format("  {} at seq {} ({})\n", name_of(example.kind), example.seq, example.key);
      if (!example.before.empty()) {
        text +=
            fmt::format("    was {}\n", cli::shorten(cli::printable(example.before), kTextShown));
      }
      if (!example.after.empty()) {
        text +=
            fmt::format("    now {}\n", cli::shorten(cli::printable(example.after), kTextShown));
      }
    }
  }
  text += fmt::format("{} changes: {} actions the same, {} rules differ\n", report.changes,
                      report.same, report.rules.size());
  return text;
}

}  // namespace

int backtest_command(cli::CliContext& context, const cli::RulesTestOptions& options) {
  const config::ConfigCompilation compiled =
      config::compile_config(config::load_config(options.file));
  if (!compiled.ok()) {
    context.err << config::to_text(compiled.problems);
    return cli::kExitFailure;
  }
  auto reader = open_log(options.data_dir);
  if (!reader.ok()) return context.fail(reader.error());
  Backtest backtest(compiled.config->rules, options.from, options.to);
  const Status fed = feed_log(**reader, options.to, backtest);
  if (!fed.ok()) return context.fail(fed.error());
  const BacktestReport report = backtest.finish();
  if (options.json) {
    context.out << json::write(report_json(report)) << "\n";
    return cli::kExitOk;
  }
  context.out << report_text(report);
  if (report.unreproduced > 0) {
    context.err << fmt::format(
        "note: for {} changes the rules of then, run again, do not come to what the log says; "
        "what is said about those is uncertain\n",
        report.unreproduced);
  }
  return cli::kExitOk;
}

}  // namespace state_engine
