// get_history and explain: what the log says.

#include "base/limits.h"
#include "mcp/protocol/arguments.h"
#include "mcp/state/explain_text.h"
#include "mcp/state/state_service.h"
#include "wire/json_codec.h"

namespace state_engine::mcp {

StateService::Reply StateService::get_history(json::Object arguments, RequestContext&) {
  ArgumentReader reader(arguments, "get_history");
  LogQuery query;
  query.key = reader.optional_string("key", {.bytes_max = limits::kKeyBytesMax}).value_or("");
  query.prefix = reader.optional_string("prefix", {.bytes_max = limits::kKeyBytesMax}).value_or("");
  const auto after = reader.optional_int("afterSeq", 0);
  const auto before = reader.optional_int("beforeSeq", 1);
  const auto order = reader.optional_string("order", {.one_of = {"newest", "oldest"}});
  const auto limit = static_cast<std::size_t>(
      reader.optional_int("limit", 1, limits::kHistoryPageMax)
          .value_or(static_cast<std::int64_t>(limits::kHistoryPageDefault)));
  if (!query.key.empty() && !query.prefix.empty()) {
    reader.add_fault("prefix", "must be absent when key is given");
  }
  if (auto fault = reader.finish()) co_return ToolResult::error(*fault);

  query.after_seq = after.value_or(0);
  query.before_seq = before.value_or(0);
  query.newest_first = order ? *order == "newest" : !after.has_value();
  const bool newest_first = query.newest_first;
  query.limit = limit;
  const std::int64_t head = engine_.view().seq();
  auto entries = co_await engine_.history(std::move(query));
  if (!entries.ok()) co_return entries.error();

  json::Array array;
  for (const LogEntry& entry : *entries) array.push_back(wire::encode_log_entry(entry));
  json::Object out;
  out["count"] = array.size();
  out["entries"] = std::move(array);
  const bool truncated = entries->size() == limit;
  out["truncated"] = truncated;
  if (!entries->empty() && newest_first && truncated) {
    out["nextBeforeSeq"] = entries->back().seq;
  }
  if (!entries->empty() && !newest_first) out["nextAfterSeq"] = entries->back().seq;
  out["headSeq"] = head;
  co_return ToolResult::object(std::move(out));
}

StateService::Reply StateService::explain(json::Object arguments, RequestContext&) {
  ArgumentReader reader(arguments, "explain");
  const auto id = reader.optional_string("mutationId", {.bytes_min = 1, .bytes_max = 512});
  const auto key =
      reader.optional_string("key", {.bytes_min = 1, .bytes_max = limits::kKeyBytesMax});
  if (id.has_value() == key.has_value()) {
    reader.add_fault("key", "or mutationId must be given, and only one of the two");
  }
  if (auto fault = reader.finish()) co_return ToolResult::error(*fault);

  // Not a conditional expression: g++ 12 destroys a co_await's operands twice in one.
  auto pending = id ? engine_.explain_mutation(*id) : engine_.explain_key(*key);
  auto explanation = co_await std::move(pending);
  if (!explanation.ok()) {
    if (explanation.error().code == ErrorCode::kNotFound) {
      co_return ToolResult::error("not_found: " + explanation.error().message +
                                  ". Use get_history to find ids, get_state_prefix to find keys.");
    }
    co_return explanation.error();
  }
  co_return ToolResult::object(encode_explanation(*explanation));
}

}  // namespace state_engine::mcp
