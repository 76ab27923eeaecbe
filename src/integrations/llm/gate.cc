// Anything but a plain yes is a no; the difference between off and unknown is only in the words.

#include "integrations/llm/gate.h"

#include <fmt/format.h>

#include "integrations/llm/chat.h"

namespace state_engine::llm {
namespace {

constexpr std::size_t kValueShownMax = 80;

Error no_reading(std::string what) {
  return {ErrorCode::kInternal, "the engine's answer cannot be read: " + std::move(what)};
}

Result<KeyState> read_state(const json::Object& snapshot) {
  KeyState state;
  const json::Value* const value = json::find(snapshot, "value");
  const auto version = json::find_int(snapshot, "version");
  if (value == nullptr || !version) return no_reading("a snapshot lacks value or version");
  state.value = *value;
  state.version = *version;
  if (const auto text = json::find_string(snapshot, "expiresAt")) {
    const auto time = parse_rfc3339(*text);
    if (!time.ok()) return no_reading(time.error().message);
    state.expires_at = *time;
  }
  return state;
}

GateDecision unknown(std::string why) { return {GateVerdict::kUnknown, std::move(why)}; }

GateDecision check_one(const Requirement& wanted, const Reading& reading, Timestamp now) {
  const auto found = reading.present.find(wanted.key);
  const bool present = found != reading.present.end();
  if (!present && !reading.absent.contains(wanted.key)) {
    return unknown(fmt::format("nothing is known of {}", wanted.key));
  }
  // The engine gives no expired values; this is for an answer that was long under way.
  const bool expired = present && found->second.expires_at && *found->second.expires_at <= now;
  if (wanted.value.is_null()) {
    if (!present || expired) return {GateVerdict::kOpen, ""};
    return {GateVerdict::kClosed, fmt::format("{} is {}, and must have no value", wanted.key,
                                              in_words(found->second.value))};
  }
  if (!present || expired) {
    return unknown(
        fmt::format("{} is unknown (it has no value, or its value has expired)", wanted.key));
  }
  if (json::equal(found->second.value, wanted.value)) return {GateVerdict::kOpen, ""};
  return {GateVerdict::kClosed, fmt::format("{} is {}, and must be {}", wanted.key,
                                            in_words(found->second.value), in_words(wanted.value))};
}

}  // namespace

std::string in_words(const json::Value& value) {
  if (value.is_null()) return "no value";
  const std::string text = value.is_string() ? std::string(value.get_string()) : json::write(value);
  return cut_text(text, kValueShownMax);
}

Result<Reading> read_snapshots(const json::Object& answer) {
  const json::Value* const snapshots = json::find(answer, "snapshots");
  if (snapshots == nullptr || !snapshots->is_object()) return no_reading("it has no snapshots");
  Reading reading;
  for (const auto& item : snapshots->get_object()) {
    const std::string key(item.key());
    if (item.value().is_null()) {
      reading.absent.insert(key);
      continue;
    }
    if (!item.value().is_object()) return no_reading("a snapshot is no object");
    auto state = read_state(item.value().get_object());
    if (!state.ok()) return std::move(state).error();
    reading.present[key] = std::move(state).value();
  }
  return reading;
}

GateDecision check_gate(const std::vector<Requirement>& requirements,
                        const Result<Reading>& reading, Timestamp now) {
  if (!reading.ok()) {
    return unknown("the current state cannot be read: " + reading.error().message);
  }
  GateDecision decision{GateVerdict::kOpen, ""};
  for (const Requirement& wanted : requirements) {
    const GateDecision one = check_one(wanted, *reading, now);
    if (one.verdict == GateVerdict::kOpen) continue;
    // What is surely wrong says more than what is unknown.
    if (decision.verdict == GateVerdict::kClosed && one.verdict == GateVerdict::kUnknown) continue;
    if (decision.verdict == one.verdict) {
      decision.why += "; " + one.why;
    } else {
      decision = one;
    }
  }
  return decision;
}

}  // namespace state_engine::llm
