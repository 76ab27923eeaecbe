// errors: the table of rejection codes. docs/errors.md is its --markdown output.

#include <ostream>

#include <fmt/format.h>

#include "cli/commands.h"
#include "core/codes.h"

namespace state_engine::cli {
namespace {

std::string_view yes_or_no(bool value) { return value ? "yes" : "no"; }

}  // namespace

std::string errors_markdown() {
  std::string text =
      "# Rejection codes\n\n"
      "Made by `state-engine errors --markdown` from src/core/codes.cc; do not edit by hand.\n\n"
      "A rejected proposal changes nothing. Its code is stable: programs may compare it. *Logged* "
      "means that\nthe decision is in the mutation log and the id is used up; *same id* means that "
      "the very same proposal\nmay be sent again.\n\n"
      "| code | meaning | what to do | logged | same id | exit code |\n"
      "|---|---|---|---|---|---|\n";
  for (const RejectionInfo& row : rejection_table()) {
    text += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", row.name, row.meaning, row.remedy,
                        yes_or_no(row.logged), yes_or_no(row.retry_same_id), row.exit_code);
  }
  text +=
      "\n## Exit codes of the command line\n\n"
      "| exit code | meaning |\n|---|---|\n"
      "| 0 | done |\n| 1 | failure: the message says what and what to do |\n"
      "| 2 | the command line or the proposal is malformed |\n| 3 | denied by policy or "
      "credentials |\n| 4 | version conflict |\n| 5 | not found |\n| 6 | throttled: try later |\n"
      "| 7 | verification failed: stored data is damaged |\n";
  return text;
}

int run_errors(CliContext& context, const ErrorsOptions& options) {
  if (options.markdown) {
    context.out << errors_markdown();
    return kExitOk;
  }
  if (options.json) {
    json::Array rows;
    for (const RejectionInfo& row : rejection_table()) {
      rows.push_back(json::Object{{"code", row.name},
                                  {"meaning", row.meaning},
                                  {"remedy", row.remedy},
                                  {"logged", row.logged},
                                  {"retrySameId", row.retry_same_id},
                                  {"exitCode", row.exit_code}});
    }
    context.out << json::write(json::Object{{"codes", std::move(rows)}}) << "\n";
    return kExitOk;
  }
  for (const RejectionInfo& row : rejection_table()) {
    context.out << paint(context.style, Tone::kStrong, row.name)
                << fmt::format(" (exit code {})\n  {}\n  {}\n", row.exit_code, row.meaning,
                               row.remedy);
  }
  return kExitOk;
}

}  // namespace state_engine::cli
