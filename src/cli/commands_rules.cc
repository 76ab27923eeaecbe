// rules check, rules eval, rules graph: rules without an engine.

#include <fstream>
#include <istream>
#include <ostream>

#include <fmt/format.h>

#include "cli/commands.h"
#include "config/config.h"
#include "rules/explain.h"
#include "rules/graph.h"
#include "rules/json_logic.h"

namespace state_engine::cli {
namespace {

json::Object problem_json(const config::ConfigProblem& problem) {
  return {{"file", problem.file},
          {"line", problem.position.line},
          {"column", problem.position.column},
          {"path", problem.path},
          {"message", problem.message}};
}

json::Object check_json(const std::string& file, const config::ConfigCompilation& compiled) {
  json::Array problems;
  for (const auto& problem : compiled.problems) problems.push_back(problem_json(problem));
  json::Object out{{"ok", compiled.ok()}, {"file", file}, {"problems", std::move(problems)}};
  if (!compiled.ok()) return out;
  out["rules"] = compiled.config->rules->rules().size();
  out["policyRevision"] = compiled.config->policy->revision();
  out["ruleRevision"] = compiled.config->rules->revision();
  json::Array warnings;
  for (const std::string& warning : compiled.config->warnings) warnings.emplace_back(warning);
  out["warnings"] = std::move(warnings);
  return out;
}

// {"result":...,"truthy":...,"special":...} or {"error":...}. The result is text already, since it
// may hold what a JSON value of ours cannot (an unpaired surrogate).
std::string report_json(const logic::EvalReport& report) {
  if (report.error) {
    return fmt::format(R"({{"error":"{}"}})", logic::to_string(report.error->kind));
  }
  std::string out = fmt::format(R"({{"result":{},"truthy":{})", report.result, report.truthy);
  if (!report.special.empty()) out += fmt::format(R"(,"special":"{}")", report.special);
  return out + "}";
}

// An argument as JSON; "@FILE" is the file's content.
Result<json::Value> json_argument(const CliContext& context, std::string_view name,
                                  const std::string& text) {
  std::string content = text;
  if (text.starts_with('@')) {
    auto file = read_input(context, text.substr(1));
    if (!file.ok()) return std::move(file).error();
    content = std::move(file).value();
  }
  auto value = json::parse(content, json::trusted_limits());
  if (!value.ok()) {
    return invalid_argument(fmt::format("{} is not JSON: {}", name, value.error().message));
  }
  return value;
}

// One {"rule","data"} line: the line to print.
std::string eval_line(const std::string& line, bool& invalid) {
  const auto parsed = json::parse(line, json::trusted_limits());
  const json::Object* object = parsed.ok() ? parsed->if_object() : nullptr;
  const json::Value* rule = object != nullptr ? json::find(*object, "rule") : nullptr;
  if (rule == nullptr) {
    invalid = true;
    const std::string why =
        parsed.ok() ? R"(expected {"rule": ..., "data": ...})" : parsed.error().message;
    return json::write(json::Object{{"error", "invalid_input"}, {"message", why}});
  }
  const json::Value* data = json::find(*object, "data");
  return report_json(logic::eval_once(*rule, data != nullptr ? *data : json::Value()));
}

int eval_lines(CliContext& context, const std::string& file_name) {
  std::ifstream file;
  const bool standard = file_name.empty() || file_name == "-";
  if (!standard) {
    file.open(file_name, std::ios::binary);
    if (!file) return context.fail(invalid_argument("cannot read " + file_name));
  }
  std::istream& in = standard ? context.in : file;
  bool invalid = false;
  for (std::string line; std::getline(in, line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    context.out << eval_line(line, invalid) << "\n";
  }
  if (in.bad()) return context.fail({ErrorCode::kInternal, "reading the lines failed"});
  return invalid ? kExitFailure : kExitOk;
}

}  // namespace

int run_rules_check(CliContext& context, const RulesCheckOptions& options) {
  const config::ConfigCompilation compiled =
      config::compile_config(config::load_config(options.file));
  if (options.json) {
    context.out << json::write(check_json(options.file, compiled)) << "\n";
    return compiled.ok() ? kExitOk : kExitFailure;
  }
  if (!compiled.ok()) {
    context.err << config::to_text(compiled.problems)
                << fmt::format("{} problem{}\n", compiled.problems.size(),
                               compiled.problems.size() == 1 ? "" : "s");
    return kExitFailure;
  }
  for (const std::string& warning : compiled.config->warnings) {
    context.err << "warning: " << warning << "\n";
  }
  context.out << paint(context.style, Tone::kGood, "ok")
              << fmt::format(": {} rules, policy {}, rules {}\n",
                             compiled.config->rules->rules().size(),
                             compiled.config->policy->revision(),
                             compiled.config->rules->revision().substr(0, 16));
  return kExitOk;
}

int run_rules_eval(CliContext& context, const RulesEvalOptions& options) {
  if (options.jsonl) return eval_lines(context, options.rule);
  if (options.rule.empty()) {
    return context.fail(invalid_argument("RULE is missing; give a JsonLogic rule, or --jsonl"));
  }
  auto rule = json_argument(context, "RULE", options.rule);
  if (!rule.ok()) return context.fail(rule.error());
  auto data = json_argument(context, "DATA", options.data.empty() ? "null" : options.data);
  if (!data.ok()) return context.fail(data.error());
  if (options.explain) {
    auto program = logic::Program::compile(*rule);
    if (!program.ok()) return context.fail(program.error());
    const logic::Explanation explanation = logic::explain(*program, logic::JsValue::of(*data));
    if (options.json) {
      context.out << json::write(logic::to_json(explanation)) << "\n";
    } else {
      context.out << logic::to_text(explanation);
    }
    return explanation.error.empty() ? kExitOk : kExitFailure;
  }
  const logic::EvalReport report = logic::eval_once(*rule, *data);
  if (options.json) {
    context.out << report_json(report) << "\n";
  } else if (report.error) {
    context.err << report.error->message << "\n";
  } else {
    context.out << (report.special.empty() ? report.result : report.special) << "\n";
  }
  return report.error ? kExitFailure : kExitOk;
}

int run_rules_graph(CliContext& context, const RulesGraphOptions& options) {
  const config::ConfigCompilation compiled =
      config::compile_config(config::load_config(options.file));
  if (!compiled.ok()) {
    context.err << config::to_text(compiled.problems);
    return kExitFailure;
  }
  RuleGraph graph = RuleGraph::build(compiled.config->rules->rules());
  if (!options.readers_of.empty()) graph = graph.readers_of(options.readers_of);
  if (!options.affected_by.empty()) graph = graph.affected_by(options.affected_by);
  std::string text;
  if (options.format == "json") {
    text = json::write(graph.to_json());
  } else if (options.format == "dot") {
    text = graph.to_dot();
  } else if (options.format == "mermaid") {
    text = graph.to_mermaid();
  } else {
    text = graph.to_text();
    if (text.empty()) text = "no rule\n";
  }
  context.out << text << (text.ends_with('\n') ? "" : "\n");
  return kExitOk;
}

}  // namespace state_engine::cli
