// propose, delete, tx: asking the engine for a change, and saying what came of it.

#include <fstream>
#include <istream>
#include <iterator>
#include <map>
#include <ostream>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/proposal_lines.h"

namespace state_engine::cli {
namespace {

constexpr std::int64_t kProgressEvery = 50;

// "with 1 derived mutation and 2 effects", or "".
std::string consequences_text(const json::Object& result) {
  std::string text;
  for (const auto& [name, noun] :
       {std::pair{"derived", "derived mutation"}, std::pair{"effects", "effect"}}) {
    const json::Value* list = json::find(result, name);
    const std::size_t count = list != nullptr && list->is_array() ? list->get_array().size() : 0;
    if (count == 0) continue;
    text += fmt::format("{} {} {}{}", text.empty() ? "; rules added" : " and", count, noun,
                        count == 1 ? "" : "s");
  }
  return text;
}

std::string accepted_text(const OutputStyle& style, const json::Object& result) {
  const bool dry_run = result.contains("dryRun") && cell(result, "dryRun") == "true";
  std::string text = paint(style, Tone::kGood, dry_run ? "would be accepted" : "accepted");
  if (cell(result, "duplicate") == "true") text += " earlier (the same id was decided before)";
  text += fmt::format(": {} is at version {} (was {})", printable(cell(result, "key")),
                      cell(result, "version"), cell(result, "previousVersion"));
  if (result.contains("seq")) text += fmt::format(", seq {}", cell(result, "seq"));
  text += fmt::format(", id {}", printable(cell(result, "mutationId")));
  return text + consequences_text(result) + "\n";
}

std::string rejected_text(const OutputStyle& style, const Outcome& outcome) {
  std::string text = paint(style, Tone::kBad, "rejected") +
                     fmt::format(" ({}): {}\n", outcome.label(), printable(outcome.error));
  const json::Value* current = json::find(outcome.result, "current");
  if (current != nullptr && current->is_object()) {
    const json::Object& snapshot = current->get_object();
    text +=
        fmt::format("  now: {} at version {}, by {} ({})\n",
                    printable(value_cell(json::find(snapshot, "value"))), cell(snapshot, "version"),
                    printable(cell(snapshot, "updatedBy")), printable(cell(snapshot, "reason")));
  }
  if (outcome.result.contains("retryAfterMs")) {
    text += fmt::format("  retry after {} ms\n", cell(outcome.result, "retryAfterMs"));
  }
  return text + fmt::format("  {}\n", info(outcome.code).remedy);
}

int print_outcome(CliContext& context, const Outcome& outcome, bool json) {
  if (json) {
    context.out << json::write(outcome.result) << "\n";
  } else if (outcome.accepted) {
    context.out << accepted_text(context.style, outcome.result);
  } else {
    context.err << rejected_text(context.style, outcome);
  }
  return outcome.exit_code();
}

Result<json::Object> mutation_arguments(const ProposeOptions& options) {
  json::Object arguments{{"key", options.key}, {"op", options.op}, {"reason", options.reason}};
  if (options.value) arguments["value"] = parse_value_argument(*options.value);
  if (options.expected_version) arguments["expectedVersion"] = *options.expected_version;
  if (options.ttl_seconds) arguments["ttl"] = *options.ttl_seconds;
  if (!options.id.empty()) arguments["id"] = options.id;
  if (!options.correlation_id.empty()) arguments["correlationId"] = options.correlation_id;
  if (options.dry_run) arguments["dryRun"] = true;
  json::Object metadata;
  for (const std::string& pair : options.metadata) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return invalid_argument(fmt::format("--meta {}: expected NAME=VALUE", pair));
    }
    metadata[pair.substr(0, equals)] = parse_value_argument(pair.substr(equals + 1));
  }
  if (!metadata.empty()) arguments["metadata"] = std::move(metadata);
  return arguments;
}

// Counts outcomes and shows how far the work is.
class JsonlSummary {
 public:
  explicit JsonlSummary(CliContext& context) : context_(context) {}

  void add(const ProposalLine& line, const Outcome& outcome, bool json) {
    ++total_;
    ++counts_[outcome.label()];
    if (!outcome.accepted && first_failure_ == kExitOk) first_failure_ = outcome.exit_code();
    if (json) {
      json::Object out = outcome.result;
      out["line"] = line.number;
      context_.out << json::write(out) << "\n";
    } else if (!outcome.accepted) {
      context_.err << fmt::format("line {}: {}: {}\n", line.number, outcome.label(),
                                  printable(outcome.error));
    }
    if (context_.progress && total_ % kProgressEvery == 0) {
      context_.err << fmt::format("\r{} proposals", total_) << std::flush;
    }
  }

  void print() const {
    if (context_.progress && total_ >= kProgressEvery) context_.err << "\r";
    TextTable table({"OUTCOME", "COUNT"});
    for (const auto& [label, count] : counts_) {
      const bool good = label == "accepted" || label == "duplicate";
      table.add({label, std::to_string(count)}, good ? Tone::kGood : Tone::kBad);
    }
    table.add({"total", std::to_string(total_)});
    context_.out << table.str(context_.style);
  }

  int first_failure() const { return first_failure_; }

 private:
  CliContext& context_;
  std::map<std::string, std::int64_t> counts_;
  std::int64_t total_ = 0;
  int first_failure_ = kExitOk;
};

Outcome invalid_outcome(const std::string& why) {
  Outcome outcome;
  outcome.code = RejectionCode::kInvalidProposal;
  outcome.error = why;
  outcome.result = {{"status", "rejected"}, {"code", "invalid_proposal"}, {"error", why}};
  return outcome;
}

Result<Outcome> propose_line(EngineLink& link, const ProposalLine& line, bool dry_run) {
  auto arguments = proposal_arguments(line.text);
  if (!arguments.ok()) return invalid_outcome(arguments.error().message);
  if (dry_run) (*arguments)["dryRun"] = true;
  auto answer = link.call("propose_mutation", std::move(arguments).value());
  if (answer.ok()) return read_outcome(*answer);
  if (answer.error().code == ErrorCode::kInvalidArgument) {
    return invalid_outcome(answer.error().message);
  }
  return std::move(answer).error();
}

}  // namespace

Result<std::string> read_input(const CliContext& context, const std::string& file) {
  if (file == "-") return std::string(std::istreambuf_iterator<char>(context.in), {});
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return invalid_argument(fmt::format("cannot read {}", file));
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

int run_propose(CliContext& context, const ProposeOptions& options) {
  if (!options.jsonl_file.empty()) return run_propose_jsonl(context, options);
  auto arguments = mutation_arguments(options);
  if (!arguments.ok()) return context.fail(arguments.error());
  auto link = context.connect(options.connection);
  if (!link.ok()) return context.fail(link.error());
  auto answer = (*link)->call("propose_mutation", std::move(arguments).value());
  if (!answer.ok()) return context.fail(answer.error());
  return print_outcome(context, read_outcome(*answer), options.json);
}

int run_propose_jsonl(CliContext& context, const ProposeOptions& options) {
  std::ifstream file;
  if (options.jsonl_file != "-") {
    file.open(options.jsonl_file, std::ios::binary);
    if (!file) return context.fail(invalid_argument("cannot read " + options.jsonl_file));
  }
  auto link = context.connect(options.connection);
  if (!link.ok()) return context.fail(link.error());
  ProposalReader reader(options.jsonl_file == "-" ? context.in : file);
  JsonlSummary summary(context);
  while (auto line = reader.next()) {
    auto outcome = propose_line(**link, *line, options.dry_run);
    if (!outcome.ok()) {
      context.err << fmt::format(
          "line {}: not answered; send this line and the rest again (ids "
          "make that safe)\n",
          line->number);
      return context.fail(outcome.error());
    }
    summary.add(*line, *outcome, options.json);
  }
  if (reader.failed()) {
    return context.fail({ErrorCode::kInternal, "reading " + options.jsonl_file + " failed"});
  }
  if (!options.json) summary.print();
  return options.strict ? summary.first_failure() : kExitOk;
}

int run_transaction(CliContext& context, const TransactionOptions& options) {
  auto text = read_input(context, options.file);
  if (!text.ok()) return context.fail(text.error());
  auto parsed = json::parse(*text);
  if (!parsed.ok()) return context.fail(parsed.error());
  json::Object arguments;
  if (parsed->is_object()) {
    arguments = std::move(parsed->get_object());
  } else if (parsed->is_array()) {
    arguments["mutations"] = std::move(*parsed);
  } else {
    return context.fail(invalid_argument(
        R"(expected {"mutations": [...], "reason": "..."} or the list of mutations)"));
  }
  if (!options.reason.empty()) arguments["reason"] = options.reason;
  if (!options.id.empty()) arguments["id"] = options.id;
  if (options.dry_run) arguments["dryRun"] = true;
  auto link = context.connect(options.connection);
  if (!link.ok()) return context.fail(link.error());
  auto answer = (*link)->call("propose_transaction", std::move(arguments));
  if (!answer.ok()) return context.fail(answer.error());
  const Outcome outcome = read_outcome(*answer);
  if (options.json || !outcome.accepted) {
    if (!options.json && outcome.result.contains("failedIndex")) {
      context.err << fmt::format("mutation {} of the transaction failed, nothing was applied\n",
                                 cell(outcome.result, "failedIndex"));
    }
    return print_outcome(context, outcome, options.json);
  }
  context.out << paint(context.style, Tone::kGood, "accepted")
              << fmt::format(": transaction {}{}\n",
                             printable(cell(outcome.result, "transactionId")),
                             consequences_text(outcome.result));
  TextTable table({"KEY", "OP", "VERSION", "SEQ"});
  const json::Value* members = json::find(outcome.result, "members");
  for (const json::Value& member :
       members != nullptr && members->is_array() ? members->get_array() : json::Array()) {
    const json::Object* result = member.if_object();
    if (result == nullptr) continue;
    table.add({cell(*result, "key"), cell(*result, "op"), cell(*result, "version"),
               cell(*result, "seq")});
  }
  context.out << table.str(context.style);
  return kExitOk;
}

}  // namespace state_engine::cli
