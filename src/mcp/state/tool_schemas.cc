// Schemas are kept as JSON text, in the form that clients see, and parsed once at start. Rules that
// clients taught us: the root of an input schema is a plain object (no anyOf), the root of an
// output schema is an object, and a value of any type is an anyOf of the single types.

#include "mcp/state/tool_schemas.h"

#include <array>

#include <fmt/format.h>

#include "base/json.h"

namespace state_engine::mcp {
namespace {

constexpr std::string_view kAnyValue =
    R"({"anyOf":[{"type":"null"},{"type":"boolean"},{"type":"number"},{"type":"string"},)"
    R"({"type":"array","items":{}},{"type":"object"}]})";

constexpr std::string_view kSnapshot =
    R"({"anyOf":[{"type":"null"},{"type":"object","properties":{"key":{"type":"string"},)"
    R"("value":VALUE,"version":{"type":"integer"},"updatedAt":{"type":"string"},)"
    R"("updatedBy":{"type":"string"},"seq":{"type":"integer"},"reason":{"type":"string"}},)"
    R"("required":["key","value","version","updatedAt","updatedBy"]}]})";

constexpr std::string_view kResult =
    R"("mutationId":{"type":"string"},"status":{"type":"string","enum":["accepted","rejected"]},)"
    R"("code":{"type":"string","description":"Why it was rejected"},"error":{"type":"string"},)"
    R"("key":{"type":"string"},"version":{"type":"integer","description":"Version after it"},)"
    R"("previousVersion":{"type":"integer"},"seq":{"type":"integer"},)"
    R"("committedAt":{"type":"string"},"duplicate":{"type":"boolean",)"
    R"("description":"This id was decided before; this is that decision. explain tells what )"
    R"(its rules did"},)"
    R"("unconditional":{"type":"boolean","description":"No expectedVersion: last writer won"},)"
    R"("dryRun":{"type":"boolean"},"derived":{"type":"array","items":{"type":"object"},)"
    R"("description":"Mutations that rules added in the same commit"},)"
    R"("effects":{"type":"array","items":{"type":"object"},)"
    R"("description":"Actions that rules emitted"})";

constexpr std::string_view kMutationFields =
    R"("key":{"type":"string","description":"Dotted name, e.g. stream.title"},)"
    R"("value":VALUE,)"
    R"("op":{"type":"string","enum":["set","delete","increment","push","merge"],)"
    R"("description":"set (default) replaces; increment adds a number; push appends to an array; )"
    R"(merge applies a JSON merge patch; delete takes no value"},)"
    R"("expectedVersion":{"type":"integer","minimum":0,"description":"Version you read; 0 if the )"
    R"(key must not exist yet. Without it the last writer wins"},)"
    R"("ttl":{"type":"number","exclusiveMinimum":0,"description":"Seconds the value lasts"},)"
    R"("metadata":{"type":"object","description":"Extra facts kept with the mutation"})";

struct ToolText {
  std::string_view name;
  std::string_view title;
  std::string_view description;
  std::string_view input;
  std::string_view output;
};

constexpr std::array<ToolText, 6> kTools{{
    {"get_state", "Read state by key",
     "Read the current value, version and provenance of one or more keys, all from one consistent "
     "revision. A key without a value gives null: treat that as unknown. Keep the version to pass "
     "as expectedVersion when you write. To discover keys use get_state_prefix.",
     R"({"type":"object","properties":{"keys":{"type":"array","items":{"type":"string"},)"
     R"("maxItems":100,"description":"Exact keys, e.g. [\"stream.state\",\"obs.scene\"]"}},)"
     R"("required":["keys"],"additionalProperties":false})",
     R"({"type":"object","properties":{"snapshots":{"type":"object",)"
     R"("additionalProperties":SNAPSHOT},"asOfSeq":{"type":"integer"},)"
     R"("similarKeys":{"type":"object","description":"For keys without a value: keys that look )"
     R"(like them"},"omittedKeys":{"type":"array","items":{"type":"string"},)"
     R"("description":"Not read, because the answer would be too large: ask for them in )"
     R"(another call"}},"required":["snapshots","asOfSeq"]})"},
    {"get_state_prefix", "List state under a prefix",
     "Read all keys that begin with a prefix (an empty prefix lists everything), sorted, with "
     "values and versions. Pages of one listing show one consistent revision: pass nextCursor "
     "while truncated is true. Use keysOnly to look around cheaply.",
     R"({"type":"object","properties":{"prefix":{"type":"string",)"
     R"("description":"E.g. \"user.fact.\"; empty for all keys"},)"
     R"("limit":{"type":"integer","minimum":1,"maximum":500,"description":"Default 100"},)"
     R"("cursor":{"type":"string","description":"nextCursor of the page before"},)"
     R"("keysOnly":{"type":"boolean","description":"Return keys without values"}},)"
     R"("required":["prefix"],"additionalProperties":false})",
     R"({"type":"object","properties":{"snapshots":{"type":"object",)"
     R"("additionalProperties":SNAPSHOT},"keys":{"type":"array","items":{"type":"string"}},)"
     R"("asOfSeq":{"type":"integer"},"count":{"type":"integer"},"truncated":{"type":"boolean"},)"
     R"("nextCursor":{"type":"string"}},"required":["snapshots","asOfSeq","count","truncated"]})"},
    {"propose_mutation", "Propose a change of one key",
     "Change one key and wait for the outcome: accepted means durably committed with the returned "
     "version; a rejection says why and what to do next. Pass expectedVersion from your read so "
     "that you never overwrite what you have not seen. The id makes retries safe: the same id with "
     "the same content gives the same answer and is applied once. For several keys at once use "
     "propose_transaction. dryRun tells the outcome, rules included, without changing anything.",
     R"({"type":"object","properties":{FIELDS,)"
     R"("reason":{"type":"string","description":"Why, in a few words; kept in the log"},)"
     R"("id":{"type":"string","description":"Idempotency key; made for you if absent"},)"
     R"("correlationId":{"type":"string","description":"Ties mutations of one task together"},)"
     R"("dryRun":{"type":"boolean"}},"required":["key","reason"],"additionalProperties":false})",
     R"({"type":"object","properties":{RESULT},"required":["mutationId","status"]})"},
    {"propose_transaction", "Propose changes of several keys, all or nothing",
     "Apply 1 to 64 mutations as one: all are committed together or none is. Members apply in "
     "order and see the ones before. On a rejection failedIndex names the member at fault.",
     R"({"type":"object","properties":{"mutations":{"type":"array","minItems":1,"maxItems":64,)"
     R"("items":{"type":"object","properties":{FIELDS},"required":["key"],)"
     R"("additionalProperties":false}},)"
     R"("reason":{"type":"string","description":"Why, in a few words; kept in the log"},)"
     R"("id":{"type":"string","description":"Idempotency key, at most 120 characters"},)"
     R"("correlationId":{"type":"string"},"dryRun":{"type":"boolean"}},)"
     R"("required":["mutations","reason"],"additionalProperties":false})",
     R"({"type":"object","properties":{"transactionId":{"type":"string"},)"
     R"("status":{"type":"string","enum":["accepted","rejected"]},"code":{"type":"string"},)"
     R"("error":{"type":"string"},"failedIndex":{"type":"integer"},)"
     R"("members":{"type":"array","items":{"type":"object"}},"duplicate":{"type":"boolean"},)"
     R"("dryRun":{"type":"boolean"},"derived":{"type":"array","items":{"type":"object"}},)"
     R"("effects":{"type":"array","items":{"type":"object"}}},"required":["status"]})"},
    {"get_history", "Who changed what, when and why",
     "Read the mutation log: accepted and rejected mutations with actor, reason, value and time. "
     "Give a key or a prefix, or neither for everything. Newest first; with afterSeq oldest first, "
     "to catch up after a missed update.",
     R"({"type":"object","properties":{"key":{"type":"string"},"prefix":{"type":"string"},)"
     R"("afterSeq":{"type":"integer","minimum":0,"description":"Only entries after this seq"},)"
     R"("beforeSeq":{"type":"integer","minimum":1,"description":"Only entries before this seq"},)"
     R"("order":{"type":"string","enum":["newest","oldest"]},)"
     R"("limit":{"type":"integer","minimum":1,"maximum":500,"description":"Default 50"}},)"
     R"("additionalProperties":false})",
     R"({"type":"object","properties":{"entries":{"type":"array","items":{"type":"object"}},)"
     R"("count":{"type":"integer"},"truncated":{"type":"boolean"},)"
     R"("nextAfterSeq":{"type":"integer"},"nextBeforeSeq":{"type":"integer"},)"
     R"("headSeq":{"type":"integer"}},"required":["entries","count","truncated","headSeq"]})"},
    {"explain", "Why a key is as it is",
     "Tell the causal chain of a mutation: who proposed it and why, which policy and rules "
     "decided, "
     "what rules derived from it and which effects went out. Give a mutationId, or a key for its "
     "last change; or recent: N for what rules did lately. `text` is the story in sentences.",
     R"({"type":"object","properties":{"mutationId":{"type":"string"},"key":{"type":"string"},)"
     R"("rule":{"type":"string","description":"A rule id: why it did or did not match"},)"
     R"("recent":{"type":"integer","minimum":1,"maximum":512,"description":)"
     R"("Instead of a mutation: the last evaluations of rules, of `rule` if given"}},)"
     R"("additionalProperties":false})",
     R"({"type":"object","properties":{"subject":{"type":"object"},)"
     R"("causes":{"type":"array","items":{"type":"object"}},)"
     R"("consequences":{"type":"array","items":{"type":"object"}},)"
     R"("rejectedSince":{"type":"array","items":{"type":"object"}},)"
     R"("rule":{"type":"object"},)"
     R"("recent":{"type":"array","items":{"type":"object"}},)"
     R"("truncated":{"type":"boolean","description":"The answer would be too large: some of the )"
     R"(chain is left out; see get_history"},)"
     R"("current":SNAPSHOT,"text":{"type":"string"}},"required":["text"]})"},
}};

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

json::Object schema(std::string_view text) {
  std::string full(text);
  replace_all(full, "FIELDS", kMutationFields);
  replace_all(full, "RESULT", kResult);
  replace_all(full, "SNAPSHOT", kSnapshot);
  replace_all(full, "VALUE", kAnyValue);
  auto value = json::parse(full);
  SE_ASSERT(value.ok());
  return value->as_object();
}

}  // namespace

ToolDefinition tool_texts(std::string_view name) {
  for (const ToolText& text : kTools) {
    if (text.name != name) continue;
    ToolDefinition tool;
    tool.name = text.name;
    tool.title = text.title;
    tool.description = text.description;
    tool.input_schema = schema(text.input);
    tool.output_schema = schema(text.output);
    return tool;
  }
  SE_UNREACHABLE();
}

}  // namespace state_engine::mcp
