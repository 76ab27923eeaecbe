// get, ls, history, explain: what the engine knows.

#include <algorithm>
#include <ostream>

#include <fmt/format.h>

#include "base/limits.h"
#include "cli/commands.h"

namespace state_engine::cli {
namespace {

constexpr std::size_t kValueCellMax = 60;

const json::Object* object_member(const json::Object& object, std::string_view name) {
  const json::Value* value = json::find(object, name);
  return value != nullptr ? value->if_object() : nullptr;
}

const json::Array& array_member(const json::Object& object, std::string_view name) {
  static const json::Array kNone;
  const json::Value* value = json::find(object, name);
  const json::Array* array = value != nullptr ? value->if_array() : nullptr;
  return array != nullptr ? *array : kNone;
}

bool flag_member(const json::Object& object, std::string_view name) {
  const json::Value* value = json::find(object, name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

// One key in full.
std::string snapshot_text(const OutputStyle& style, const json::Object& snapshot) {
  const json::Value* value = json::find(snapshot, "value");
  const bool large = value != nullptr && value->is_structured();
  std::string text = paint(style, Tone::kStrong, printable(cell(snapshot, "key"))) + " = ";
  text += large ? json::write_pretty(*value) : printable(value_cell(value));
  text += fmt::format("\n  version {}, seq {}, by {} at {}\n", cell(snapshot, "version"),
                      cell(snapshot, "seq"), printable(cell(snapshot, "updatedBy")),
                      short_time(cell(snapshot, "updatedAt")));
  if (snapshot.contains("expiresAt")) {
    text += fmt::format("  expires {}\n", short_time(cell(snapshot, "expiresAt")));
  }
  if (const std::string reason = cell(snapshot, "reason"); !reason.empty()) {
    text += fmt::format("  reason: {}\n", printable(reason));
  }
  return text;
}

void report_missing(CliContext& context, const json::Object& answer, const std::string& key) {
  context.err << fmt::format("{}: no value", key);
  const json::Object* similar = object_member(answer, "similarKeys");
  if (similar != nullptr && similar->contains(key)) {
    std::string names;
    for (const json::Value& name : array_member(*similar, key)) {
      if (name.is_string()) names += (names.empty() ? "" : ", ") + std::string(name.get_string());
    }
    if (!names.empty()) context.err << "; did you mean " << names << "?";
  }
  context.err << "\n";
}

// Gathers all pages of a prefix into one answer.
Result<json::Object> list_all(EngineLink& link, const std::string& prefix, bool keys_only) {
  json::Object all;
  std::string cursor;
  do {
    json::Object arguments{{"prefix", prefix},
                           {"limit", std::int64_t{limits::kPrefixPageMax}},
                           {"keysOnly", keys_only}};
    if (!cursor.empty()) arguments["cursor"] = cursor;
    auto page = ask(link, "get_state_prefix", std::move(arguments));
    if (!page.ok()) return page;
    cursor = flag_member(*page, "truncated") ? cell(*page, "nextCursor") : "";
    if (all.empty()) {
      all = std::move(page).value();
      continue;
    }
    if (const json::Object* more = object_member(*page, "snapshots")) {
      for (const auto& member : *more) all["snapshots"].as_object().insert(member);
    }
    for (const json::Value& key : array_member(*page, "keys"))
      all["keys"].as_array().push_back(key);
  } while (!cursor.empty());
  const json::Object* snapshots = object_member(all, "snapshots");
  all["count"] =
      keys_only ? array_member(all, "keys").size() : (snapshots != nullptr ? snapshots->size() : 0);
  all["truncated"] = false;
  all.erase("nextCursor");
  return all;
}

void print_history(CliContext& context, const json::Array& entries, std::size_t value_max) {
  TextTable table({"SEQ", "TIME", "KEY", "OP", "VERSION", "VALUE", "ACTOR", "STATUS", "REASON"});
  for (const json::Value& item : entries) {
    const json::Object* entry = item.if_object();
    if (entry == nullptr) continue;
    const bool accepted = cell(*entry, "status") == "accepted";
    std::string value = value_cell(json::find(*entry, "value"));
    if (value_max != 0) value = shorten(value, value_max);
    table.add({cell(*entry, "seq"), short_time(cell(*entry, "committedAt")), cell(*entry, "key"),
               cell(*entry, "op"), accepted ? cell(*entry, "resultingVersion") : "-",
               std::move(value), cell(*entry, "actor"),
               accepted ? "accepted" : cell(*entry, "code"), cell(*entry, "reason")},
              accepted ? Tone::kPlain : Tone::kBad);
  }
  context.out << table.str(context.style);
}

// What history --follow watches: everything after the entries just shown. The engine read
// headSeq before the entries, so that nothing falls between.
WatchOptions follow_options(const HistoryOptions& options, const json::Object& answer,
                            const json::Array& entries) {
  WatchOptions watch;
  watch.connection = options.connection;
  watch.key = options.key;
  watch.prefix = options.prefix;
  watch.rejected = true;
  watch.json = options.json;
  std::int64_t last = options.after.value_or(0);
  if (entries.empty()) last = json::find_int(answer, "headSeq").value_or(last);
  for (const json::Value& entry : entries) {
    if (entry.is_object()) {
      last = std::max(last, json::find_int(entry.get_object(), "seq").value_or(0));
    }
  }
  watch.after = last;
  return watch;
}

}  // namespace

int run_get(CliContext& context, const GetOptions& options) {
  auto link = context.connect(options.connection);
  if (!link.ok()) return context.fail(link.error());
  json::Array keys;
  for (const std::string& key : options.keys) keys.emplace_back(key);
  auto answer = ask(**link, "get_state", {{"keys", std::move(keys)}});
  if (!answer.ok()) return context.fail(answer.error());
  if (options.json) context.out << json::write(*answer) << "\n";

  int code = kExitOk;
  const json::Object* snapshots = object_member(*answer, "snapshots");
  for (const std::string& key : options.keys) {
    const json::Object* snapshot = snapshots != nullptr ? object_member(*snapshots, key) : nullptr;
    if (snapshot == nullptr) {
      code = kExitNotFound;
      if (!options.json) report_missing(context, *answer, key);
    } else if (options.value_only) {
      context.out << cell(*snapshot, "value") << "\n";
    } else if (!options.json) {
      context.out << snapshot_text(context.style, *snapshot);
    }
  }
  return code;
}

int run_ls(CliContext& context, const LsOptions& options) {
  auto link = context.connect(options.connection);
  if (!link.ok()) return context.fail(link.error());
  auto answer = list_all(**link, options.prefix, options.keys_only);
  if (!answer.ok()) return context.fail(answer.error());
  if (options.json) {
    context.out << json::write(*answer) << "\n";
    return kExitOk;
  }
  if (options.keys_only) {
    for (const json::Value& key : array_member(*answer, "keys")) {
      if (key.is_string()) context.out << std::string_view(key.get_string()) << "\n";
    }
    return kExitOk;
  }
  TextTable table({"KEY", "VERSION", "VALUE", "UPDATED", "BY", "REASON"});
  const json::Object* snapshots = object_member(*answer, "snapshots");
  for (const auto& member : snapshots != nullptr ? *snapshots : json::Object()) {
    const json::Object* snapshot = member.value().if_object();
    if (snapshot == nullptr) continue;
    std::string value = value_cell(json::find(*snapshot, "value"));
    if (context.style.width != 0) value = shorten(value, kValueCellMax);
    table.add({std::string(member.key()), cell(*snapshot, "version"), std::move(value),
               short_time(cell(*snapshot, "updatedAt")), cell(*snapshot, "updatedBy"),
               cell(*snapshot, "reason")});
  }
  if (!table.empty()) {
    context.out << table.str(context.style);
  } else {
    context.err << (options.prefix.empty()
                        ? std::string("no keys yet; propose one: state-engine propose stream.state "
                                      "on --reason \"first try\"")
                        : fmt::format("no key begins with '{}'", options.prefix))
                << "\n";
  }
  return kExitOk;
}

int run_history(CliContext& context, const HistoryOptions& options) {
  auto link = context.connect(options.connection);
  if (!link.ok()) return context.fail(link.error());
  json::Object arguments{{"limit", options.limit}};
  if (!options.key.empty()) arguments["key"] = options.key;
  if (!options.prefix.empty()) arguments["prefix"] = options.prefix;
  if (options.after) arguments["afterSeq"] = *options.after;
  if (options.before) arguments["beforeSeq"] = *options.before;
  auto answer = ask(**link, "get_history", std::move(arguments));
  if (!answer.ok()) return context.fail(answer.error());
  json::Array entries = array_member(*answer, "entries");
  if (options.follow) {
    // Oldest first, so that what follows continues the list.
    if (!options.after) std::reverse(entries.begin(), entries.end());
    if (options.json) {
      for (const json::Value& entry : entries) context.out << json::write(entry) << "\n";
    } else {
      print_history(context, entries, context.style.width != 0 ? kValueCellMax : 0);
    }
    context.out << std::flush;
    return run_watch(context, follow_options(options, *answer, entries));
  }
  if (options.json) {
    context.out << json::write(*answer) << "\n";
    return kExitOk;
  }
  if (entries.empty()) {
    context.err << "no entries\n";
    return kExitOk;
  }
  print_history(context, entries, context.style.width != 0 ? kValueCellMax : 0);
  if (answer->contains("nextBeforeSeq")) {
    context.err << fmt::format("older entries: --before {}\n", cell(*answer, "nextBeforeSeq"));
  } else if (flag_member(*answer, "truncated")) {
    context.err << fmt::format("newer entries: --after {}\n", cell(*answer, "nextAfterSeq"));
  }
  return kExitOk;
}

int run_explain(CliContext& context, const ExplainOptions& options) {
  auto link = context.connect(options.connection);
  if (!link.ok()) return context.fail(link.error());
  json::Object arguments;
  if (!options.id.empty()) {
    arguments["mutationId"] = options.id;
  } else {
    arguments["key"] = options.key;
  }
  if (!options.rule.empty()) arguments["rule"] = options.rule;
  auto answer = ask(**link, "explain", std::move(arguments));
  if (!answer.ok()) return context.fail(answer.error());
  if (options.json) {
    context.out << json::write(*answer) << "\n";
    return kExitOk;
  }
  const std::string text = json::find_string(*answer, "text").value_or("");
  context.out << text << (text.ends_with('\n') ? "" : "\n");
  return kExitOk;
}

int run_rules_recent(CliContext& context, const RulesRecentOptions& options) {
  auto link = context.connect(options.connection);
  if (!link.ok()) return context.fail(link.error());
  json::Object arguments{{"recent", options.limit}};
  if (!options.rule.empty()) arguments["rule"] = options.rule;
  auto answer = ask(**link, "explain", std::move(arguments));
  if (!answer.ok()) return context.fail(answer.error());
  if (options.json) {
    context.out << json::write(*answer) << "\n";
    return kExitOk;
  }
  context.out << json::find_string(*answer, "text").value_or("");
  return kExitOk;
}

}  // namespace state_engine::cli
