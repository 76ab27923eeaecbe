// A rejection is an MCP tool error, which carries text only: its first line is the result as JSON,
// the rest is for models. Refused arguments have no result, only "code: what is wrong".

#include "cli/tool_answers.h"

#include "cli/exit_codes.h"

namespace state_engine::cli {
namespace {

// "code: rest" with a known rejection code.
std::optional<RejectionCode> leading_code(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  return parse_rejection_code(text.substr(0, colon));
}

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

void read_result(Outcome& outcome, json::Object result) {
  outcome.accepted = json::find_string(result, "status") == "accepted";
  outcome.error = json::find_string(result, "error").value_or("");
  const auto code = parse_rejection_code(json::find_string(result, "code").value_or(""));
  if (!outcome.accepted) outcome.code = code.value_or(RejectionCode::kUnavailable);
  outcome.result = std::move(result);
}

}  // namespace

std::string Outcome::label() const {
  if (!accepted) return std::string(to_string(code));
  const json::Value* duplicate = json::find(result, "duplicate");
  return duplicate != nullptr && duplicate->is_bool() && duplicate->get_bool() ? "duplicate"
                                                                               : "accepted";
}

int Outcome::exit_code() const { return accepted ? kExitOk : info(code).exit_code; }

Outcome read_outcome(const ToolAnswer& answer) {
  Outcome outcome;
  if (!answer.is_error) {
    read_result(outcome, answer.structured);
    return outcome;
  }
  auto parsed = json::parse(first_line(answer.text));
  if (parsed.ok() && parsed->is_object() && parsed->get_object().contains("status")) {
    read_result(outcome, std::move(parsed->get_object()));
    return outcome;
  }
  outcome.code = leading_code(answer.text).value_or(RejectionCode::kInvalidProposal);
  std::string_view error = answer.text;
  if (leading_code(answer.text)) error.remove_prefix(error.find(':') + 1);
  if (error.starts_with(' ')) error.remove_prefix(1);
  outcome.error = std::string(error);
  outcome.result = {
      {"status", "rejected"}, {"code", to_string(outcome.code)}, {"error", outcome.error}};
  return outcome;
}

Error error_of(const ToolAnswer& answer) {
  const auto code = leading_code(answer.text);
  if (code == RejectionCode::kNotFound) return {ErrorCode::kNotFound, answer.text};
  if (code == RejectionCode::kUnavailable) return {ErrorCode::kUnavailable, answer.text};
  return {ErrorCode::kInvalidArgument, answer.text};
}

Result<json::Object> ask(EngineLink& link, std::string_view tool, json::Object arguments) {
  auto answer = link.call(tool, std::move(arguments));
  if (!answer.ok()) return std::move(answer).error();
  if (answer->is_error) return error_of(*answer);
  return std::move(answer->structured);
}

}  // namespace state_engine::cli
