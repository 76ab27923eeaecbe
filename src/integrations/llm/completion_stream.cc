// Bytes become lines, lines events, events chunks, chunks a completion; each step keeps what is not
// complete, so that it does not matter where the network cuts.

#include "integrations/llm/completion_stream.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace state_engine::llm {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

Error broke_off() {
  return {ErrorCode::kUnavailable, "the language model's answer broke off in the middle"};
}

// Appends what fits below `most`; false if something did not.
bool append_bounded(std::string& to, std::string_view text, std::size_t most) {
  if (to.size() + text.size() <= most) {
    to += text;
    return true;
  }
  return false;
}

}  // namespace

void EventSplitter::feed(std::string_view bytes) {
  for (const char c : bytes) {
    if (std::exchange(after_cr_, false) && c == '\n') continue;
    if (c == '\n' || c == '\r') {
      after_cr_ = c == '\r';
      end_line();
    } else {
      line_.push_back(c);
    }
  }
}

void EventSplitter::end_line() {
  std::string_view line = line_;
  if (std::exchange(at_start_, false) && line.starts_with(kByteOrderMark)) {
    line.remove_prefix(kByteOrderMark.size());
  }
  if (line.empty()) {
    if (std::exchange(has_data_, false)) ready_.push_back(std::exchange(data_, {}));
  } else if (line == "data" || line.starts_with("data:")) {
    line.remove_prefix(std::min<std::size_t>(5, line.size()));
    if (line.starts_with(' ')) line.remove_prefix(1);
    if (std::exchange(has_data_, true)) data_.push_back('\n');
    data_ += line;
  }
  line_.clear();
}

std::optional<std::string> EventSplitter::next() {
  if (taken_ == ready_.size()) {
    ready_.clear();
    taken_ = 0;
    return std::nullopt;
  }
  return std::move(ready_[taken_++]);
}

Status CompletionStream::feed(std::string_view bytes) {
  if (done_) return {};
  bytes_ += bytes.size();
  if (bytes_ > 8 * kAnswerBytesMax || events_.pending_bytes() > kAnswerBytesMax) {
    return Error{ErrorCode::kResourceExhausted, "the language model's answer does not end"};
  }
  events_.feed(bytes);
  while (const auto event = events_.next()) {
    if (*event == "[DONE]") {
      done_ = true;
      return {};
    }
    SE_RETURN_IF_ERROR(take_chunk(*event));
  }
  return {};
}

Status CompletionStream::take_chunk(const std::string& text) {
  json::ParseLimits limits;
  limits.bytes_max = kAnswerBytesMax;
  limits.string_bytes_max = kAnswerBytesMax;
  const auto parsed = json::parse(text, limits);
  if (!parsed.ok() || !parsed->is_object()) {
    return Error{ErrorCode::kInternal,
                 "the language model sent a chunk that is no JSON object" +
                     (parsed.ok() ? std::string{} : ": " + parsed.error().message)};
  }
  const json::Object& chunk = parsed->get_object();
  if (const json::Value* const error = json::find(chunk, "error"); error && !error->is_null()) {
    return Error{ErrorCode::kUnavailable,
                 "the language model's server says: " + error_message_of(text)};
  }
  if (const json::Value* const usage = json::find(chunk, "usage"); usage && usage->is_object()) {
    out_.prompt_tokens = json::find_int(usage->get_object(), "prompt_tokens").value_or(0);
    out_.completion_tokens = json::find_int(usage->get_object(), "completion_tokens").value_or(0);
  }
  const json::Value* const choices = json::find(chunk, "choices");
  if (choices == nullptr || !choices->is_array() || choices->get_array().empty()) return {};
  const json::Object* const choice = choices->get_array().front().if_object();
  if (choice == nullptr) return {};
  if (auto reason = json::find_string(*choice, "finish_reason")) {
    out_.finish_reason = std::move(*reason);
  }
  const json::Value* const delta = json::find(*choice, "delta");
  if (delta != nullptr && delta->is_object()) take_delta(delta->get_object());
  return {};
}

void CompletionStream::take_delta(const json::Object& delta) {
  if (const auto content = json::find_string(delta, "content")) {
    if (!append_bounded(out_.content, *content, kContentBytesMax)) {
      out_.content = cut_text(out_.content + *content, kContentBytesMax);
    }
  }
  const json::Value* const calls = json::find(delta, "tool_calls");
  if (calls == nullptr || !calls->is_array()) return;
  for (const json::Value& piece : calls->get_array()) {
    if (piece.is_object()) take_call(piece.get_object());
  }
}

// A server that sends no index begins a new call with each new id.
void CompletionStream::take_call(const json::Object& piece) {
  const std::int64_t index = json::find_int(piece, "index").value_or(-1);
  const std::string id = json::find_string(piece, "id").value_or("");
  std::size_t at = out_.tool_calls.size();
  if (index >= 0) {
    at = static_cast<std::size_t>(std::find(indices_.begin(), indices_.end(), index) -
                                  indices_.begin());
  } else if (at > 0 && (id.empty() || id == out_.tool_calls.back().id)) {
    --at;
  }
  if (at == out_.tool_calls.size()) {
    if (at == kToolCallsMax) return;
    out_.tool_calls.emplace_back();
    indices_.push_back(index);
  }
  ToolCall& call = out_.tool_calls[at];
  if (call.id.empty()) call.id = id;
  const json::Value* const function = json::find(piece, "function");
  if (function == nullptr || !function->is_object()) return;
  const std::string name = json::find_string(function->get_object(), "name").value_or("");
  if (call.name.empty()) call.name = name;
  const json::Value* const arguments = json::find(function->get_object(), "arguments");
  if (arguments == nullptr || arguments->is_null()) return;
  const std::string text =
      arguments->is_string() ? std::string(arguments->get_string()) : json::write(*arguments);
  // One byte over the limit is kept, so that the call is seen to be too large.
  const std::size_t room =
      kArgumentBytesMax + 1 - std::min(call.arguments.size(), kArgumentBytesMax + 1);
  call.arguments += text.substr(0, room);
}

Result<Completion> CompletionStream::finish() {
  // Not every server says "[DONE]", but all say why they ended.
  if (!done_ && out_.finish_reason.empty()) return broke_off();
  for (std::size_t i = 0; i < out_.tool_calls.size(); ++i) {
    if (out_.tool_calls[i].id.empty()) out_.tool_calls[i].id = fmt::format("call_{}", i);
  }
  return std::move(out_);
}

}  // namespace state_engine::llm
