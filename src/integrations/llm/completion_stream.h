// CompletionStream: a streamed chat completion, put together from bytes as they come.
//
// The stream is server-sent events (WHATWG HTML, section 9.2): `data:` lines with one JSON chunk
// each, ended by "data: [DONE]". Of a tool call the first chunk has index, id and name, later ones
// only pieces of the arguments; the bytes may be split anywhere, also within a character.
//
// Errors: kUnavailable if the server reports one or the stream breaks off (asking again may help);
//         kInternal for what is no completion; kResourceExhausted for one without end.

#ifndef STATE_ENGINE_INTEGRATIONS_LLM_COMPLETION_STREAM_H_
#define STATE_ENGINE_INTEGRATIONS_LLM_COMPLETION_STREAM_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "integrations/llm/chat.h"

namespace state_engine::llm {

// Cuts bytes into the data of server-sent events. Lines end with LF, CR or CRLF.
class EventSplitter {
 public:
  // Appends to the events that next() gives.
  void feed(std::string_view bytes);
  std::optional<std::string> next();
  // Bytes held for an event that is not complete.
  std::size_t pending_bytes() const { return line_.size() + data_.size(); }

 private:
  void end_line();

  std::string line_;
  std::string data_;
  bool has_data_ = false;
  bool after_cr_ = false;
  bool at_start_ = true;
  std::vector<std::string> ready_;
  std::size_t taken_ = 0;
};

class CompletionStream {
 public:
  Status feed(std::string_view bytes);
  // "[DONE]" came: nothing more is read.
  bool done() const { return done_; }
  // The completion, once the body has ended. Call once.
  Result<Completion> finish();

 private:
  Status take_chunk(const std::string& text);
  void take_delta(const json::Object& delta);
  void take_call(const json::Object& piece);

  EventSplitter events_;
  Completion out_;
  std::vector<std::int64_t> indices_;  // of out_.tool_calls; -1 where the server sends none
  std::size_t bytes_ = 0;
  bool done_ = false;
};

}  // namespace state_engine::llm

#endif  // STATE_ENGINE_INTEGRATIONS_LLM_COMPLETION_STREAM_H_
