// Resources and prompts: state as documents, and a way to pick up work.
//
// state://KEY is one key's snapshot. A URI that ends in '/', '.' or '*' is a collection: the keys
// it begins, with versions. "state://" is the collection of everything.

#include <fmt/format.h>

#include "base/limits.h"
#include "core/keys.h"
#include "mcp/state/state_service.h"
#include "wire/json_codec.h"

namespace state_engine::mcp {
namespace {

constexpr std::string_view kScheme = "state://";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The path of a state URI with percent-encoding undone, or nothing if it is none.
std::optional<std::string> state_path(std::string_view uri) {
  if (!uri.starts_with(kScheme)) return std::nullopt;
  uri.remove_prefix(kScheme.size());
  std::string path;
  for (std::size_t i = 0; i < uri.size(); ++i) {
    if (uri[i] != '%') {
      path.push_back(uri[i]);
      continue;
    }
    if (i + 2 >= uri.size() || hex_digit(uri[i + 1]) < 0 || hex_digit(uri[i + 2]) < 0) {
      return std::nullopt;
    }
    path.push_back(static_cast<char>(hex_digit(uri[i + 1]) * 16 + hex_digit(uri[i + 2])));
    i += 2;
  }
  return path;
}

bool is_collection(std::string_view path) {
  return path.empty() || path.ends_with('/') || path.ends_with('.') || path.ends_with('*');
}

// The key prefix that a collection stands for.
std::string_view collection_prefix(std::string_view path) {
  if (path.ends_with('*')) path.remove_suffix(1);
  return path;
}

bool is_state_uri(std::string_view uri) {
  const auto path = state_path(uri);
  if (!path) return false;
  const std::string prefix(is_collection(*path) ? collection_prefix(*path) : *path);
  return prefix.empty() || !key_fault(prefix);
}

std::string collection_text(const std::vector<SnapshotPtr>& snapshots, std::int64_t as_of) {
  json::Array items;
  const bool truncated = snapshots.size() > limits::kPrefixPageMax;
  for (const SnapshotPtr& item : snapshots) {
    if (items.size() == limits::kPrefixPageMax) break;
    items.push_back(json::Object{{"key", item->key}, {"version", item->version}});
  }
  return json::write(
      json::Object{{"keys", std::move(items)}, {"truncated", truncated}, {"asOfSeq", as_of}});
}

}  // namespace

boost::asio::awaitable<Result<std::vector<SnapshotPtr>>> StateService::read_under(
    std::string prefix, std::size_t limit) {
  std::vector<SnapshotPtr> out;
  const Timestamp now = engine_.now();
  if (!engine_.is_shared()) {
    engine_.view().scan(prefix, [&](SnapshotRef item) {
      if (!item.key().starts_with(prefix) || out.size() == limit) return false;
      if (item.visible_at(now)) out.push_back(item.share());
      return true;
    });
    co_return out;
  }
  PrefixQuery query{prefix, "", limit, ""};
  bool more = true;
  while (more && out.size() < limit) {
    auto page = co_await engine_.read_prefix(query);
    if (!page.ok()) co_return page.error();
    for (SnapshotPtr& item : page->snapshots) {
      query.after_key = item->key;
      if (item->visible_at(now) && out.size() < limit) out.push_back(std::move(item));
    }
    query.revision = page->revision;
    more = page->more;
  }
  co_return out;
}

boost::asio::awaitable<Result<std::vector<ResourceContents>>> StateService::read_resource(
    std::string uri) {
  const auto path = state_path(uri);
  if (!path) {
    co_return Error{ErrorCode::kNotFound, "no such resource; state keys are state://KEY"};
  }
  ResourceContents contents;
  contents.uri = uri;
  if (is_collection(*path)) {
    const std::int64_t as_of = engine_.view().seq();
    std::string prefix(collection_prefix(*path));
    const auto under = co_await read_under(std::move(prefix), limits::kPrefixPageMax + 1);
    if (!under.ok()) co_return under.error();
    contents.text = collection_text(*under, as_of);
  } else {
    std::vector<std::string> keys{*path};
    const auto present = co_await engine_.read(std::move(keys));
    if (!present.ok()) co_return present.error();
    const SnapshotPtr snapshot = present->front();
    if (snapshot == nullptr || !snapshot->visible_at(engine_.now())) {
      co_return Error{ErrorCode::kNotFound, fmt::format("the key '{}' has no value", *path)};
    }
    wire::write_snapshot_to(contents.text, *snapshot);
  }
  std::vector<ResourceContents> all;
  all.push_back(std::move(contents));
  co_return all;
}

void StateService::add_resources(Server& server) {
  server.add_resource({std::string(kScheme), "state", "All state",
                       "Every key with its version. Subscribe to it to hear of every change."});
  server.add_resource_template(
      {"state://{+key}", "state-key", "One state key",
       "The snapshot of a key: value, version, who changed it and why. A name that ends in '.', "
       "'/' or '*' is the collection of the keys it begins."});
  server.set_resource_reader(
      [this](std::string uri, RequestContext&) { return read_resource(std::move(uri)); });
  server.set_subscribable(is_state_uri);
  server.set_read_scope("state:read");
  server.set_completion(
      [this](CompletionRequest request,
             RequestContext&) -> boost::asio::awaitable<Result<std::vector<std::string>>> {
        std::vector<std::string> keys;
        const Timestamp now = engine_.now();
        engine_.view().scan(request.value, [&](SnapshotRef item) {
          if (!item.key().starts_with(request.value)) return false;
          if (item.visible_at(now)) keys.emplace_back(item.key());
          return keys.size() < 101;
        });
        co_return keys;
      });
}

boost::asio::awaitable<Result<PromptResult>> StateService::resume_prompt(json::Object arguments) {
  const std::string prefix = json::find_string(arguments, "prefix").value_or("");
  std::string text = "You are picking up work in a running system. This is its committed state";
  text += prefix.empty() ? ":\n" : fmt::format(" under '{}':\n", prefix);
  const auto under = co_await read_under(prefix, limits::kPrefixPageDefault);
  if (!under.ok()) co_return under.error();
  for (const SnapshotPtr& item : *under) {
    std::string value = json::write(item->value);
    if (value.size() > 200) value = fmt::format("({} bytes; read it with get_state)", value.size());
    text += fmt::format("- {} = {} (version {}, {} by {}: {})\n", item->key, value, item->version,
                        format_rfc3339(item->updated_at), item->updated_by, item->reason);
  }
  if (under->empty()) text += "- nothing yet\n";
  text +=
      "Read again with get_state right before you act; write with propose_mutation and the "
      "version you read.";
  PromptResult result;
  result.description = "The current state, to continue from";
  result.messages.push_back(json::Object{
      {"role", "user"}, {"content", json::Object{{"type", "text"}, {"text", std::move(text)}}}});
  co_return result;
}

void StateService::add_prompts(Server& server) {
  PromptDefinition resume;
  resume.name = "resume_from_state";
  resume.title = "Resume from state";
  resume.description = "Gives a model the current state under a prefix, to continue work from.";
  resume.arguments = {{"prefix", "Only keys that begin with this, e.g. stream.", false}};
  resume.handler = [this](json::Object arguments, RequestContext&) {
    return resume_prompt(std::move(arguments));
  };
  server.add_prompt(std::move(resume));
}

}  // namespace state_engine::mcp
