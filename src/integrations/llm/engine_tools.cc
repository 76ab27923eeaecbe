// A rejection is an MCP tool error, which carries text only: its first line is the result as JSON.
// Refused arguments have no result, only "code: what is wrong".

#include "integrations/llm/engine_tools.h"

namespace state_engine::llm {
namespace {

using Kind = WriteOutcome::Kind;

Kind kind_of(std::string_view code) {
  if (code == "version_conflict" || code == "precondition_failed") return Kind::kMovedOn;
  if (code == "rate_limited" || code == "unavailable") return Kind::kLater;
  if (code == "id_reused") return Kind::kIdReused;
  return Kind::kRefused;
}

// The seq of the result, or of a transaction's last member.
std::optional<std::int64_t> seq_of(const json::Object& result) {
  if (const auto seq = json::find_int(result, "seq")) return seq;
  const json::Value* const members = json::find(result, "members");
  if (members == nullptr || !members->is_array() || members->get_array().empty()) return {};
  const json::Object* const last = members->get_array().back().if_object();
  return last != nullptr ? json::find_int(*last, "seq") : std::nullopt;
}

void read_result(const json::Object& result, WriteOutcome& out) {
  out.code = json::find_string(result, "code").value_or("");
  out.error = json::find_string(result, "error").value_or(out.code);
  out.seq = seq_of(result);
  const json::Value* const duplicate = json::find(result, "duplicate");
  out.duplicate = duplicate != nullptr && duplicate->is_bool() && duplicate->get_bool();
  out.retry_after = std::chrono::milliseconds(json::find_int(result, "retryAfterMs").value_or(0));
  const bool accepted = json::find_string(result, "status") == "accepted";
  out.kind = accepted ? Kind::kAccepted : kind_of(out.code);
}

}  // namespace

Result<Reading> read_keys(EngineTools& engine, const std::vector<std::string>& keys) {
  json::Array names;
  for (const std::string& key : keys) names.push_back(json::Value(key));
  const auto answer = engine.call("get_state", json::Object{{"keys", std::move(names)}});
  if (!answer.ok()) return answer.error();
  if (answer->is_error) return Error{ErrorCode::kUnavailable, cut_text(answer->text, 300)};
  return read_snapshots(answer->structured);
}

WriteOutcome read_write_answer(const Result<ToolAnswer>& answer) {
  WriteOutcome out;
  if (!answer.ok()) {
    out.error = answer.error().message;
    const ErrorCode code = answer.error().code;
    if (code == ErrorCode::kPermissionDenied || code == ErrorCode::kInvalidArgument) {
      out.kind = Kind::kRefused;
    }
    return out;
  }
  if (!answer->is_error) {
    read_result(answer->structured, out);
    return out;
  }
  const std::string_view text = answer->text;
  const auto parsed = json::parse(text.substr(0, text.find('\n')));
  if (parsed.ok() && parsed->is_object() && parsed->get_object().contains("status")) {
    read_result(parsed->get_object(), out);
    return out;
  }
  out.code = std::string(text.substr(0, text.find(':')));
  out.kind = kind_of(out.code);
  out.error = cut_text(text, 300);
  return out;
}

}  // namespace state_engine::llm
