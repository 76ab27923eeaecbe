// The verbs, without the parsing of their options. Each returns its exit code.

#ifndef STATE_ENGINE_CLI_COMMANDS_H_
#define STATE_ENGINE_CLI_COMMANDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/tool_answers.h"

namespace state_engine::cli {

struct GetOptions {
  ConnectionOptions connection;
  std::vector<std::string> keys;
  bool value_only = false;
  bool json = false;
};
int run_get(CliContext& context, const GetOptions& options);

struct LsOptions {
  ConnectionOptions connection;
  std::string prefix;
  bool keys_only = false;
  bool json = false;
};
int run_ls(CliContext& context, const LsOptions& options);

struct ProposeOptions {
  ConnectionOptions connection;
  std::string key;
  std::optional<std::string> value;  // absent for delete
  std::string op = "set";
  std::string reason;
  std::string id;
  std::string correlation_id;
  std::optional<std::int64_t> expected_version;
  std::optional<double> ttl_seconds;
  std::vector<std::string> metadata;  // "name=value"
  bool dry_run = false;
  bool json = false;
  std::string jsonl_file;  // then only the connection, dry_run, json and strict count
  bool strict = false;
};
int run_propose(CliContext& context, const ProposeOptions& options);
int run_propose_jsonl(CliContext& context, const ProposeOptions& options);

struct TransactionOptions {
  ConnectionOptions connection;
  std::string file;
  std::string reason;
  std::string id;
  bool dry_run = false;
  bool json = false;
};
int run_transaction(CliContext& context, const TransactionOptions& options);

struct HistoryOptions {
  ConnectionOptions connection;
  std::string key;
  std::string prefix;
  std::optional<std::int64_t> after;
  std::optional<std::int64_t> before;
  std::int64_t limit = 20;
  bool follow = false;
  bool json = false;
};
int run_history(CliContext& context, const HistoryOptions& options);

struct WatchOptions {
  ConnectionOptions connection;
  std::string key;  // history --follow KEY: only this key
  std::string prefix;
  std::optional<std::int64_t> after;  // begin after this seq instead of now
  bool rejected = false;              // show rejected proposals too
  std::string exec;
  std::int64_t count = 0;  // stop after so many; 0 = never
  bool json = false;
};
int run_watch(CliContext& context, const WatchOptions& options);

struct ExplainOptions {
  ConnectionOptions connection;
  std::string key;
  std::string id;
  bool json = false;
  std::string rule = {};  // why this one did or did not match; empty = only the story
};
int run_explain(CliContext& context, const ExplainOptions& options);

struct RulesCheckOptions {
  std::string file;
  bool json = false;
};
int run_rules_check(CliContext& context, const RulesCheckOptions& options);

struct RulesEvalOptions {
  std::string rule;  // with jsonl: the file, "-" or empty for standard input
  std::string data;
  bool jsonl = false;
  bool explain = false;
  bool json = false;
};
int run_rules_eval(CliContext& context, const RulesEvalOptions& options);

struct RulesTestOptions {
  std::string file;
  bool json = false;
  bool against_log = false;  // then the rest counts
  std::string data_dir = {};
  std::int64_t from = 1;  // seq
  std::int64_t to = 0;    // seq; 0 = the end of the log
};
// Runs the `tests:` of a configuration; kExitFailure if one fails or the file is faulty. Against a
// log: CliContext::backtest.
int run_rules_test(CliContext& context, const RulesTestOptions& options);

struct RulesGraphOptions {
  std::string file;
  std::string format = "text";
  std::string affected_by = {};  // a key: only what can change because of it
  std::string readers_of = {};   // a key: only the rules that look at it
};
int run_rules_graph(CliContext& context, const RulesGraphOptions& options);

struct RulesRecentOptions {
  ConnectionOptions connection;
  std::string rule = {};
  std::int64_t limit = 20;
  bool json = false;
};
// What rules did lately in a running engine, and why.
int run_rules_recent(CliContext& context, const RulesRecentOptions& options);

struct ErrorsOptions {
  bool markdown = false;
  bool json = false;
};
int run_errors(CliContext& context, const ErrorsOptions& options);

// docs/errors.md, whole.
std::string errors_markdown();

// The text of FILE, "-" being standard input.
Result<std::string> read_input(const CliContext& context, const std::string& file);

}  // namespace state_engine::cli

#endif  // STATE_ENGINE_CLI_COMMANDS_H_
