// get_history and explain: what the log says.

#include <algorithm>
#include <string>

#include "base/limits.h"
#include "mcp/protocol/arguments.h"
#include "mcp/state/explain_text.h"
#include "mcp/state/state_service.h"
#include "mcp/state/verdict_text.h"
#include "wire/json_codec.h"

namespace state_engine::mcp {
namespace {

// A page ends early once it holds this much text, and the log is read in steps, so that neither an
// answer nor what it is made from grows with the size of the values (I13).
constexpr std::size_t kPageBytesMax = 1024 * 1024;
constexpr std::size_t kEntriesPerRead = 32;

struct HistoryPage {
  std::string entries;  // JSON, without the brackets
  std::size_t count = 0;
  std::int64_t last_seq = 0;
  bool truncated = false;
};

boost::asio::awaitable<Result<HistoryPage>> read_page(Engine& engine, LogQuery query,
                                                      std::size_t limit) {
  HistoryPage page;
  while (!page.truncated) {
    query.limit = std::min(kEntriesPerRead, limit - page.count);
    auto entries = co_await engine.history(query);
    if (!entries.ok()) co_return entries.error();
    for (const LogEntry& entry : *entries) {
      if (page.count > 0) page.entries += ',';
      json::write_to(page.entries, wire::encode_log_entry(entry));
      page.last_seq = entry.seq;
      page.truncated = ++page.count == limit || page.entries.size() > kPageBytesMax;
      if (page.truncated) break;
    }
    if (entries->size() < query.limit) break;
    (query.newest_first ? query.before_seq : query.after_seq) = page.last_seq;
  }
  co_return page;
}

// Why `evaluation` came out as it did; empty if the log does not tell it (any more).
boost::asio::awaitable<Result<std::string>> because(Engine& engine,
                                                    const RuleEvaluation& evaluation) {
  LogQuery query;
  query.mutation_id = evaluation.mutation_id;
  query.limit = 1;
  auto entries = co_await engine.history(std::move(query));
  if (!entries.ok()) co_return entries.error();
  if (entries->empty()) co_return std::string();
  auto verdict = co_await engine.explain_rule(entries->front(), evaluation.rule_id);
  if (!verdict.ok()) co_return verdict.error();
  // A wait that ended without a firing saw other keys than the change that it waited on.
  const bool same = verdict->tree.matched == evaluation.matched && verdict->tree.error.empty();
  co_return same ? verdict->tree.decided_text : std::string();
}

boost::asio::awaitable<Result<json::Object>> recent_rules(Engine& engine, std::string rule,
                                                          std::int64_t limit) {
  auto evaluations = co_await engine.recent_rules(std::move(rule), static_cast<std::size_t>(limit));
  json::Array list;
  std::string text;
  for (RuleEvaluation& evaluation : evaluations) {
    auto why = co_await because(engine, evaluation);
    if (!why.ok()) co_return why.error();
    const RecentEvaluation recent{std::move(evaluation), std::move(*why)};
    text += recent_text(recent);
    list.push_back(encode_recent(recent));
  }
  if (text.empty()) text = "no rule was run since the engine started\n";
  json::Object out;
  out["recent"] = std::move(list);
  out["text"] = text;
  co_return out;
}

}  // namespace

StateService::Reply StateService::get_history(const json::Object& arguments, RequestContext&) {
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
  const std::int64_t head = engine_.view().seq();
  const auto page = co_await read_page(engine_, std::move(query), limit);
  if (!page.ok()) co_return page.error();

  std::string text = R"({"entries":[)" + page->entries + R"(],"count":)" +
                     std::to_string(page->count) + R"(,"truncated":)" +
                     (page->truncated ? "true" : "false");
  if (newest_first && page->truncated) {
    text += R"(,"nextBeforeSeq":)" + std::to_string(page->last_seq);
  }
  if (!newest_first && page->count > 0) {
    text += R"(,"nextAfterSeq":)" + std::to_string(page->last_seq);
  }
  text += R"(,"headSeq":)" + std::to_string(head) + "}";
  co_return ToolResult::object_text(std::move(text));
}

StateService::Reply StateService::explain(const json::Object& arguments, RequestContext&) {
  ArgumentReader reader(arguments, "explain");
  const auto id = reader.optional_string("mutationId", {.bytes_min = 1, .bytes_max = 512});
  const auto key =
      reader.optional_string("key", {.bytes_min = 1, .bytes_max = limits::kKeyBytesMax});
  const auto rule = reader.optional_string("rule", {.bytes_min = 1, .bytes_max = 512});
  const auto recent =
      reader.optional_int("recent", 1, static_cast<std::int64_t>(2 * limits::kRecentRules));
  const int given = (id ? 1 : 0) + (key ? 1 : 0) + (recent ? 1 : 0);
  if (given != 1) {
    reader.add_fault("key", "or mutationId or recent must be given, and only one of them");
  }
  if (auto fault = reader.finish()) co_return ToolResult::error(*fault);
  if (recent) {
    auto answer = co_await recent_rules(engine_, rule.value_or(""), *recent);
    if (!answer.ok()) co_return answer.error();
    co_return ToolResult::object(std::move(*answer));
  }

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
  json::Object out = encode_explanation(*explanation);
  if (rule) {
    auto verdict = co_await engine_.explain_rule(explanation->subject.entry, *rule);
    if (!verdict.ok()) co_return verdict.error();
    out["rule"] = encode_verdict(*verdict);
    out["text"] = std::string(out.at("text").as_string()) + verdict_text(*verdict);
  }
  co_return ToolResult::object(std::move(out));
}

}  // namespace state_engine::mcp
