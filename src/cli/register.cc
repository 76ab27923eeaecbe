// The verbs on the command line: their options, help and examples. The only file here that includes
// CLI11.

#include <sys/ioctl.h>
#include <thread>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/completion.h"

namespace state_engine::cli {
namespace {

void add_connection(CLI::App& verb, ConnectionOptions& connection) {
  auto* dir = verb.add_option("--data-dir", connection.data_dir,
                              "The engine's data directory; its socket is used "
                              "(STATE_ENGINE_DATA_DIR)");
  verb.add_option("--url", connection.url, "The engine's MCP URL (STATE_ENGINE_URL)")
      ->excludes(dir);
  verb.add_option("--ca", connection.ca_file,
                  "PEM file of the certificates to trust for an https URL (STATE_ENGINE_CA)");
  verb.add_option("--token", connection.token, "Bearer token (STATE_ENGINE_TOKEN)");
}

// Makes a verb whose options live as long as the app.
template <typename Options>
CLI::App* add_verb(CLI::App& app, CliContext& context, const std::string& name,
                   const std::string& description, const std::string& examples,
                   std::shared_ptr<Options> options, int (*run)(CliContext&, const Options&)) {
  CLI::App* verb = app.add_subcommand(name, description);
  verb->footer("Examples:\n" + examples);
  verb->callback([&context, options = std::move(options), run] {
    const int code = run(context, *options);
    if (context.exit_code != nullptr) *context.exit_code = code;
  });
  return verb;
}

void add_get(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<GetOptions>();
  CLI::App* verb = add_verb(app, context, "get", "Show the current value of keys",
                            "  state-engine get stream.state stream.title\n"
                            "  [ \"$(state-engine get --value stream.state)\" = on ] && echo live\n"
                            "\nExit code 5 if a key has no value.",
                            options, run_get);
  verb->add_option("KEY", options->keys, "Keys, up to 100")->required();
  verb->add_flag("--value", options->value_only, "Print only the value; strings without quotes");
  verb->add_flag("--json", options->json, "One line: {\"snapshots\": {KEY: ...}, \"asOfSeq\": N}");
  add_connection(*verb, options->connection);
}

void add_ls(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<LsOptions>();
  CLI::App* verb = add_verb(app, context, "ls", "List keys, all of one revision",
                            "  state-engine ls\n"
                            "  state-engine ls user.fact.\n"
                            "  state-engine ls --keys-only | wc -l",
                            options, run_ls);
  verb->add_option("PREFIX", options->prefix, "Only keys that begin with this");
  verb->add_flag("--keys-only", options->keys_only, "One key a line, without values");
  verb->add_flag("--json", options->json, "One line: {\"snapshots\": ..., \"asOfSeq\": N}");
  add_connection(*verb, options->connection);
}

void add_propose_common(CLI::App& verb, ProposeOptions& options) {
  verb.add_option("--reason", options.reason, "Why; kept in the log");
  verb.add_option("--expect", options.expected_version,
                  "The version that you read; 0 = the key must be absent");
  verb.add_option("--id", options.id, "Idempotency key; made for you if absent");
  verb.add_option("--correlation-id", options.correlation_id, "Ties mutations together");
  verb.add_option("--meta", options.metadata, "NAME=VALUE kept with the mutation; repeatable")
      ->allow_extra_args(false);
  verb.add_flag("--dry-run", options.dry_run, "Say what would happen, change nothing");
  verb.add_flag("--json", options.json, "Print the result as one JSON line");
  add_connection(verb, options.connection);
}

void add_propose(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<ProposeOptions>();
  auto value = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("propose", "Propose a change and wait for the outcome");
  verb->footer(
      "VALUE is JSON; what is not JSON is a string: `on` is \"on\", '\"1\"' the string 1.\n"
      "\nExamples:\n"
      "  state-engine propose stream.state on --reason \"going live\"\n"
      "  state-engine propose chat.messages 1 --op increment --reason \"one more\"\n"
      "  state-engine propose stream.title \"Pixel art\" --expect 3 --reason \"new title\"\n"
      "  state-engine propose --jsonl examples/evening.jsonl\n"
      "\nExit codes: 0 accepted, 2 malformed, 3 denied, 4 conflict, 5 not found, 6 throttled.\n"
      "With --jsonl a rejected line does not stop the others, and the exit code is 0 unless the\n"
      "stream itself failed; --strict makes it that of the first rejection.");
  verb->add_option("KEY", options->key, "The key to change");
  CLI::Option* given = verb->add_option("VALUE", *value, "JSON, or else a string");
  verb->add_option("--op", options->op, "set, increment, push, merge or delete")
      ->check(CLI::IsMember({"set", "increment", "push", "merge", "delete"}))
      ->capture_default_str();
  verb->add_option("--ttl", options->ttl_seconds, "Seconds until the value expires");
  CLI::Option* jsonl = verb->add_option("--jsonl", options->jsonl_file,
                                        "A file of proposals, one a line (- = standard input)");
  verb->add_flag("--strict", options->strict, "With --jsonl: fail if a line was rejected")
      ->needs(jsonl);
  add_propose_common(*verb, *options);
  verb->callback([&context, options, value, given] {
    const bool lines = !options->jsonl_file.empty();
    if (given->count() > 0) options->value = *value;
    if (lines && !options->key.empty()) {
      throw CLI::ValidationError("--jsonl", "takes its proposals from the file; drop KEY");
    }
    if (!lines && options->key.empty()) throw CLI::RequiredError("KEY (or --jsonl FILE)");
    if (!lines && !options->value && options->op != "delete") throw CLI::RequiredError("VALUE");
    if (!lines && options->reason.empty()) throw CLI::RequiredError("--reason");
    const int code = run_propose(context, *options);
    if (context.exit_code != nullptr) *context.exit_code = code;
  });
}

void add_delete(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<ProposeOptions>();
  options->op = "delete";
  CLI::App* verb = add_verb(app, context, "delete", "Propose to remove a key",
                            "  state-engine delete giveaway.winner --reason \"next round\"\n"
                            "  state-engine delete stream.title --expect 3 --reason \"cleared\"",
                            options, run_propose);
  verb->add_option("KEY", options->key, "The key to remove")->required();
  add_propose_common(*verb, *options);
  verb->get_option("--reason")->required();
}

void add_transaction(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<TransactionOptions>();
  CLI::App* verb = add_verb(
      app, context, "tx", "Propose several changes, all or nothing",
      "  state-engine tx swap.json\n"
      "  echo '[{\"key\":\"giveaway.state\",\"value\":\"closed\"},\n"
      "         {\"key\":\"giveaway.winner\",\"value\":\"ada\"}]' | state-engine tx - --reason "
      "drawn",
      options, run_transaction);
  verb->add_option("FILE", options->file,
                   "{\"mutations\": [...], \"reason\": ...} or the list alone; - = standard input")
      ->required();
  verb->add_option("--reason", options->reason, "Why; wins over the file's");
  verb->add_option("--id", options->id, "Idempotency key of the whole; wins over the file's");
  verb->add_flag("--dry-run", options->dry_run, "Say what would happen, change nothing");
  verb->add_flag("--json", options->json, "Print the result as one JSON line");
  add_connection(*verb, options->connection);
}

void add_history(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<HistoryOptions>();
  CLI::App* verb = add_verb(app, context, "history", "Who changed what, when and why",
                            "  state-engine history stream.state\n"
                            "  state-engine history --prefix user.fact. --limit 100\n"
                            "  state-engine history --follow",
                            options, run_history);
  CLI::Option* key = verb->add_option("KEY", options->key, "Only this key");
  verb->add_option("--prefix", options->prefix, "Only keys that begin with this")->excludes(key);
  verb->add_option("--after", options->after, "Only after this seq, oldest first");
  CLI::Option* before = verb->add_option("--before", options->before, "Only before this seq");
  verb->add_option("--limit", options->limit, "At most so many")
      ->check(CLI::Range(1, 500))
      ->capture_default_str();
  verb->add_flag("--follow", options->follow, "Go on with what comes next, rejections included")
      ->excludes(before);
  verb->add_flag("--json", options->json, "One line; with --follow one entry a line");
  add_connection(*verb, options->connection);
}

void add_watch(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<WatchOptions>();
  CLI::App* verb = add_verb(
      app, context, "watch", "Show changes as they are committed",
      "  state-engine watch stream.\n"
      "  state-engine watch --json | jq -r .key\n"
      "  state-engine watch stream.state --exec 'notify-send \"$STATE_KEY by $STATE_ACTOR\"'\n"
      "\nThe command of --exec gets the log entry as JSON on standard input, and STATE_KEY,\n"
      "STATE_SEQ, STATE_VERSION, STATE_OP, STATE_STATUS and STATE_ACTOR. Reconnects by itself and\n"
      "then shows what it missed.",
      options, run_watch);
  verb->add_option("PREFIX", options->prefix, "Only keys that begin with this");
  verb->add_option("--after", options->after, "Begin after this seq instead of now");
  verb->add_flag("--rejected", options->rejected, "Show rejected proposals too");
  verb->add_option("--exec", options->exec, "Run this shell command for each change");
  verb->add_option("--count", options->count, "Stop after so many")->check(CLI::PositiveNumber);
  verb->add_flag("--json", options->json, "One log entry a line");
  add_connection(*verb, options->connection);
}

void add_explain(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* verb =
      add_verb(app, context, "explain", "Why a key is as it is: who, why, which policy and rules",
               "  state-engine explain stream.state\n"
               "  state-engine explain --id twitch:5f0c7a1e-online\n"
               "  state-engine explain stream.state --rule stream-online",
               options, run_explain);
  CLI::Option* key = verb->add_option("KEY", options->key, "Its last change");
  CLI::Option* id = verb->add_option("--id", options->id, "A mutation, by its id");
  id->excludes(key);
  verb->add_option("--rule", options->rule, "Show why this rule did or did not match it");
  verb->add_flag("--json", options->json, "Print the chain as one JSON line");
  add_connection(*verb, options->connection);
  verb->callback([&context, options] {
    if (options->key.empty() && options->id.empty()) throw CLI::RequiredError("KEY or --id");
    const int code = run_explain(context, *options);
    if (context.exit_code != nullptr) *context.exit_code = code;
  });
}

void add_rules_check(CLI::App& rules, CliContext& context) {
  auto check = std::make_shared<RulesCheckOptions>();
  CLI::App* verb =
      add_verb(rules, context, "check", "Report every mistake of a configuration",
               "  state-engine rules check examples/stream.yaml", check, run_rules_check);
  verb->add_option("FILE", check->file, "A configuration file")->required();
  verb->add_flag("--json", check->json, "One line: {\"ok\": ..., \"problems\": [...]}");
}

void add_rules_eval(CLI::App& rules, CliContext& context) {
  auto eval = std::make_shared<RulesEvalOptions>();
  CLI::App* verb = add_verb(rules, context, "eval", "Evaluate a JsonLogic rule over data",
                            "  state-engine rules eval '{\"==\": [{\"var\": \"value\"}, \"on\"]}' "
                            "'{\"value\": \"on\"}'\n"
                            "  state-engine rules eval @rule.json @data.json --explain\n"
                            "  state-engine rules eval --jsonl < cases.jsonl",
                            eval, run_rules_eval);
  verb->add_option("RULE", eval->rule, "JSON or @FILE; with --jsonl the file (- = standard input)");
  verb->add_option("DATA", eval->data, "JSON or @FILE; null if absent");
  CLI::Option* lines = verb->add_flag("--jsonl", eval->jsonl,
                                      "Read {\"rule\", \"data\"} lines, print a result for each");
  verb->add_flag("--explain", eval->explain, "Show the value of every node")->excludes(lines);
  verb->add_flag("--json", eval->json, "Print {\"result\", \"truthy\"} or {\"error\"}");
}

void add_rules_test(CLI::App& rules, CliContext& context) {
  auto test = std::make_shared<RulesTestOptions>();
  CLI::App* verb =
      add_verb(rules, context, "test", "Run the tests that a configuration holds for its rules",
               "  state-engine rules test examples/stream.yaml\n"
               "  state-engine rules test --against-log --from 100 changed.yaml\n"
               "\n--against-log changes nothing and may run beside the engine.",
               test, run_rules_test);
  verb->add_option("FILE", test->file, "A configuration file")->required();
  verb->add_flag("--json", test->json, "One line: {\"ok\": ..., \"tests\": [...]}");
  test->data_dir = default_data_dir(context.environment);
  CLI::Option* against =
      verb->add_flag("--against-log", test->against_log,
                     "Instead: which effects and derived mutations of the log would differ");
  verb->add_option("--from", test->from, "The first seq to report on")
      ->check(CLI::PositiveNumber)
      ->needs(against);
  verb->add_option("--to", test->to, "The last seq to report on")
      ->check(CLI::PositiveNumber)
      ->needs(against);
  verb->add_option("--data-dir", test->data_dir, "Where the log is (STATE_ENGINE_DATA_DIR)")
      ->needs(against)
      ->capture_default_str();
}

void add_rules_graph(CLI::App& rules, CliContext& context) {
  auto graph = std::make_shared<RulesGraphOptions>();
  CLI::App* verb =
      add_verb(rules, context, "graph", "Which keys trigger which rules, and what they do",
               "  state-engine rules graph examples/stream.yaml\n"
               "  state-engine rules graph examples/stream.yaml --format dot | dot -Tsvg > g.svg",
               graph, run_rules_graph);
  verb->add_option("FILE", graph->file, "A configuration file")->required();
  verb->add_option("--format", graph->format, "text, json, dot or mermaid")
      ->check(CLI::IsMember({"text", "json", "dot", "mermaid"}))
      ->capture_default_str();
  CLI::Option* affected = verb->add_option("--affected-by", graph->affected_by,
                                           "A key: what can change because of it, and how");
  verb->add_option("--readers-of", graph->readers_of, "A key: the rules that look at it")
      ->excludes(affected);
}

void add_rules_recent(CLI::App& rules, CliContext& context) {
  auto recent = std::make_shared<RulesRecentOptions>();
  CLI::App* verb =
      add_verb(rules, context, "recent", "What rules did lately in a running engine, and why",
               "  state-engine rules recent\n"
               "  state-engine rules recent --rule going-live --limit 5 --json",
               recent, run_rules_recent);
  verb->add_option("--rule", recent->rule, "Only this rule");
  verb->add_option("--limit", recent->limit, "How many")
      ->check(CLI::Range(1, 512))
      ->capture_default_str();
  verb->add_flag("--json", recent->json, "One line: {\"recent\": [...]}");
  add_connection(*verb, recent->connection);
}

void add_rules(CLI::App& app, CliContext& context) {
  CLI::App* rules = app.add_subcommand("rules", "Check, try and draw rules; watch them at work");
  rules->require_subcommand(1);
  add_rules_check(*rules, context);
  add_rules_eval(*rules, context);
  add_rules_test(*rules, context);
  add_rules_graph(*rules, context);
  add_rules_recent(*rules, context);
}

void add_errors(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<ErrorsOptions>();
  CLI::App* verb = add_verb(app, context, "errors", "The rejection codes and what to do about them",
                            "  state-engine errors\n"
                            "  state-engine errors --markdown > docs/errors.md",
                            options, run_errors);
  CLI::Option* markdown = verb->add_flag("--markdown", options->markdown, "As docs/errors.md");
  verb->add_flag("--json", options->json, "One line: {\"codes\": [...]}")->excludes(markdown);
}

CompletionVerb describe(const CLI::App& verb, const std::string& name) {
  CompletionVerb out{name, verb.get_description(), {}, false, false};
  for (const CLI::Option* option : verb.get_options()) {
    if (option->get_positional()) {
      const std::string positional = option->get_name(true);
      out.takes_keys = out.takes_keys || positional == "KEY" || positional == "PREFIX";
      out.takes_files = out.takes_files || positional == "FILE" || positional == "target";
    }
    for (const std::string& long_name : option->get_lnames()) {
      if (long_name == "help") continue;
      out.options.push_back(
          {"--" + long_name, option->get_description(), option->get_items_expected_max() > 0});
    }
  }
  return out;
}

CompletionModel completion_model(const CLI::App& app) {
  CompletionModel model;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    const auto below = verb->get_subcommands([](const CLI::App*) { return true; });
    for (const CLI::App* inner : below) {
      model.push_back(describe(*inner, verb->get_name() + " " + inner->get_name()));
    }
    if (below.empty()) model.push_back(describe(*verb, verb->get_name()));
  }
  return model;
}

void add_completion(CLI::App& app, CliContext& context) {
  auto shell = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("completion", "Print a shell completion script");
  verb->footer(
      "Examples:\n"
      "  source <(state-engine completion bash)\n"
      "  state-engine completion zsh > \"${fpath[1]}/_state-engine\"\n"
      "  state-engine completion fish > ~/.config/fish/completions/state-engine.fish");
  verb->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  verb->callback([&app, &context, shell] {
    const CompletionModel model = completion_model(app);
    context.out << (*shell == "bash"  ? bash_completion(model)
                    : *shell == "zsh" ? zsh_completion(model)
                                      : fish_completion(model));
    if (context.exit_code != nullptr) *context.exit_code = kExitOk;
  });
}

// Colour and width only where a person looks at it; NO_COLOR and TERM=dumb are respected.
void adapt_to_terminal(CliContext& context) {
  context.progress = isatty(STDERR_FILENO) == 1;
  if (isatty(STDOUT_FILENO) != 1) return;
  context.style.color =
      !context.environment("NO_COLOR") && context.environment("TERM").value_or("dumb") != "dumb";
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) context.style.width = size.ws_col;
}

}  // namespace

void add_cli_commands(CLI::App& app, CliContext& context) {
  if (!context.environment) context.environment = process_environment();
  if (!context.connector) context.connector = connect_over_mcp;
  if (!context.sleep) {
    context.sleep = [](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); };
  }
  if (&context.out == &std::cout) adapt_to_terminal(context);
  add_get(app, context);
  add_ls(app, context);
  add_propose(app, context);
  add_delete(app, context);
  add_transaction(app, context);
  add_history(app, context);
  add_watch(app, context);
  add_explain(app, context);
  add_rules(app, context);
  add_errors(app, context);
  add_completion(app, context);
}

}  // namespace state_engine::cli
