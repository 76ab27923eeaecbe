// The same facts twice, as sentences and as data: nothing in the text is missing from the data.

#include "mcp/state/explain_text.h"

#include <fmt/format.h>

#include "engine/rule_records.h"
#include "wire/json_codec.h"

namespace state_engine::mcp {
namespace {

constexpr std::size_t kValueShown = 120;

// An answer leaves out the far ends of a chain beyond this (I13).
constexpr std::size_t kDataBytesMax = 1024 * 1024;
constexpr std::size_t kTextBytesMax = 128 * 1024;

// How much of an answer is still free. Whatever is left out is remembered.
class Room {
 public:
  // True if `value` still fits, which takes its room.
  bool take(const json::Object& value) {
    const std::size_t bytes = json::write(value).size();
    if (full_ || bytes > left_) full_ = true;
    if (!full_) left_ -= bytes;
    return !full_;
  }
  bool full() const { return full_; }

 private:
  std::size_t left_ = kDataBytesMax;
  bool full_ = false;
};

// Text of others on one line: control characters are escaped, so that a reason can neither forge a
// line of the story nor drive the terminal that shows it.
std::string plain(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c1 = byte == 0xc2 && i + 1 < text.size() &&
                    static_cast<unsigned char>(text[i + 1]) < 0xa0;  // U+0080 to U+009F
    if (c1) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(text[++i]));
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string shown(const json::Value& value) {
  std::string text = plain(json::write(value));
  if (text.size() <= kValueShown) return text;
  std::size_t end = kValueShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string what(const LogEntry& entry) {
  const Proposal& proposal = entry.proposal;
  std::string text = fmt::format("{} {}", to_string(proposal.op), plain(proposal.key));
  if (proposal.value) text += " " + shown(*proposal.value);
  return text;
}

std::string outcome(const LogEntry& entry) {
  if (entry.accepted) {
    return fmt::format("accepted: version {} -> {}, seq {}, at {}", entry.previous_version,
                       entry.resulting_version.value_or(0), entry.seq,
                       format_rfc3339(entry.committed_at));
  }
  return fmt::format("rejected ({}): {}; seq {}, at {}", to_string(entry.code), plain(entry.error),
                     entry.seq, format_rfc3339(entry.committed_at));
}

void add_rules(std::string& out, const LogEntry& entry, const std::string& indent) {
  for (const RuleRecord& rule : entry.rules) {
    out += fmt::format("{}{}\n", indent, plain(rule_words(rule)));
  }
}

void add_mutation(std::string& out, const ExplainedMutation& mutation, const std::string& indent) {
  const LogEntry& entry = mutation.entry;
  const Proposal& proposal = entry.proposal;
  out += fmt::format("{}{} by {} ({}{})\n", indent, what(entry), plain(proposal.actor),
                     plain(entry.principal), entry.actor_verified ? "" : ", actor not verified");
  const std::string inner = indent + "  ";
  out += fmt::format("{}why: {}\n", inner, plain(proposal.reason));
  out += fmt::format("{}{}\n", inner, outcome(entry));
  out += fmt::format("{}policy {} decided by {}\n", inner, entry.policy_revision,
                     entry.policy_rule.empty() ? "allowedKeys" : "'" + entry.policy_rule + "'");
  add_rules(out, entry, inner);
  for (const OutboxRow& row : mutation.effects) {
    out += fmt::format("{}effect {} {}: {}{}\n", inner, plain(row.effect.type), row.effect.id,
                       to_string(row.state),
                       row.delivered_at ? " at " + format_rfc3339(*row.delivered_at) : "");
  }
  out += fmt::format("{}id {}", inner, plain(proposal.id));
  if (!proposal.correlation_id.empty()) {
    out += fmt::format(", correlation {}", plain(proposal.correlation_id));
  }
  if (!entry.transaction_id.empty()) {
    out += fmt::format(", transaction {}", plain(entry.transaction_id));
  }
  out += '\n';
}

json::Object encode_mutation(const ExplainedMutation& mutation) {
  json::Array effects;
  for (const OutboxRow& row : mutation.effects) {
    json::Object effect{{"effect", wire::encode_effect(row.effect)},
                        {"state", to_string(row.state)}};
    if (row.delivered_at) effect["deliveredAt"] = format_rfc3339(*row.delivered_at);
    effects.push_back(std::move(effect));
  }
  return {{"entry", wire::encode_log_entry(mutation.entry)}, {"effects", std::move(effects)}};
}

json::Array encode_mutations(const std::vector<ExplainedMutation>& mutations, Room& room) {
  json::Array array;
  for (const ExplainedMutation& mutation : mutations) {
    json::Object encoded = encode_mutation(mutation);
    if (!room.take(encoded)) break;
    array.push_back(std::move(encoded));
  }
  return array;
}

// Cuts at the end of a line.
std::string cut(std::string text) {
  if (text.size() <= kTextBytesMax) return text;
  text.resize(text.rfind('\n', kTextBytesMax) + 1);
  return text + "... (the rest is left out; see get_history)\n";
}

}  // namespace

std::string explain_text(const Explanation& explanation) {
  std::string out;
  std::string indent;
  for (const ExplainedMutation& cause : explanation.causes) {
    add_mutation(out, cause, indent);
    out += indent + "caused:\n";
    indent += "  ";
  }
  add_mutation(out, explanation.subject, indent);
  if (!explanation.consequences.empty()) {
    out += indent + "which caused:\n";
    for (const ExplainedMutation& next : explanation.consequences) {
      add_mutation(out, next, indent + "  ");
    }
  }
  if (!explanation.rejected_since.empty()) {
    out += "refused since then:\n";
    for (const LogEntry& entry : explanation.rejected_since) {
      out += fmt::format("  {} by {}: {}\n", what(entry), entry.proposal.actor, outcome(entry));
    }
  }
  const std::string& key = explanation.subject.entry.proposal.key;
  if (explanation.current != nullptr) {
    out += fmt::format("now: {} = {} (version {})\n", plain(key), shown(explanation.current->value),
                       explanation.current->version);
  } else {
    out += fmt::format("now: {} has no value\n", plain(key));
  }
  return out;
}

json::Object encode_explanation(const Explanation& explanation) {
  Room room;
  json::Object out;
  out["subject"] = encode_mutation(explanation.subject);
  out["causes"] = encode_mutations(explanation.causes, room);
  out["consequences"] = encode_mutations(explanation.consequences, room);
  json::Array rejected;
  for (const LogEntry& entry : explanation.rejected_since) {
    json::Object encoded = wire::encode_log_entry(entry);
    if (!room.take(encoded)) break;
    rejected.push_back(std::move(encoded));
  }
  out["rejectedSince"] = std::move(rejected);
  if (room.full()) out["truncated"] = true;
  out["current"] = explanation.current != nullptr
                       ? json::Value(wire::encode_snapshot(*explanation.current))
                       : json::Value(nullptr);
  out["text"] = cut(explain_text(explanation));
  return out;
}

}  // namespace state_engine::mcp
