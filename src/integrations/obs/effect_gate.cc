// Rules can make loops through OBS: a scene that switches the scene. The engine cannot see those;
// the bound on commands per time stops them.

#include "integrations/obs/effect_gate.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.h"

namespace state_engine::obs {
namespace {

constexpr std::size_t kSeenMax = 10'000;
constexpr std::size_t kCommandsMax = 100;
constexpr std::chrono::seconds kCommandsTime{10};

// When the cause of the event was committed, if it says so.
std::optional<Timestamp> made_at(const json::Object& event) {
  const json::Value* const ingress = json::find(event, "ingress");
  const json::Object* const object = ingress != nullptr ? ingress->if_object() : nullptr;
  if (object == nullptr) return std::nullopt;
  const auto time = parse_rfc3339(json::find_string(*object, "ingressAt").value_or(""));
  if (!time.ok()) return std::nullopt;
  return *time;
}

void log_faults(Log& log, const BusMessage& message, const std::vector<std::string>& faults) {
  for (const std::string& fault : faults) {
    log.warn("an egress event for OBS cannot be carried out",
             {{"event", message.message_id}, {"why", fault}});
  }
}

}  // namespace

std::string_view to_string(EffectFate fate) {
  switch (fate) {
    case EffectFate::kTaken:
      return "taken";
    case EffectFate::kNotForObs:
      return "not_for_obs";
    case EffectFate::kRepeated:
      return "repeated";
    case EffectFate::kTooOld:
      return "too_old";
    case EffectFate::kFaulty:
      return "faulty";
    case EffectFate::kTooMany:
      return "too_many";
  }
  SE_UNREACHABLE();
}

bool EffectGate::is_new(const std::string& id) {
  if (id.empty()) return true;
  if (!seen_.insert(id).second) return false;
  seen_order_.push_back(id);
  if (seen_order_.size() > kSeenMax) {
    seen_.erase(seen_order_.front());
    seen_order_.pop_front();
  }
  return true;
}

bool EffectGate::too_many(std::size_t commands, std::chrono::nanoseconds now) {
  while (!recent_.empty() && now - recent_.front() >= kCommandsTime) recent_.pop_front();
  if (recent_.size() + commands > kCommandsMax) return true;
  recent_.insert(recent_.end(), commands, now);
  return false;
}

EffectGate::Passed EffectGate::pass(const BusMessage& message, Timestamp wall_now,
                                    std::chrono::nanoseconds monotonic_now) {
  Passed out;
  out.time_left = age_max_;
  const auto parsed = json::parse(message.body);
  const json::Object* const event = parsed.ok() ? parsed->if_object() : nullptr;
  if (event == nullptr) {
    log_.debug("an egress event is no JSON object", {{"event", message.message_id}});
    return out;
  }
  EffectMap::Wanted wanted = map_.commands_of(*event);
  if (wanted.commands.empty() && wanted.faults.empty()) return out;
  if (!is_new(message.message_id)) {
    out.fate = EffectFate::kRepeated;
    return out;
  }
  if (const auto made = made_at(*event)) {
    // A clock ahead of ours makes an event of the future, not an old one.
    const auto age = std::max(wall_now - *made, std::chrono::milliseconds{0});
    if (age > age_max_) {
      log_.info("an egress event is too old to be carried out",
                {{"event", message.message_id}, {"ageMs", age.count()}});
      out.fate = EffectFate::kTooOld;
      return out;
    }
    out.time_left = age_max_ - age;
  }
  log_faults(log_, message, wanted.faults);
  if (wanted.commands.empty()) {
    out.fate = EffectFate::kFaulty;
    return out;
  }
  if (too_many(wanted.commands.size(), monotonic_now)) {
    log_.warn("too many commands for OBS; do two rules call each other?",
              {{"event", message.message_id},
               {"most", kCommandsMax},
               {"seconds", kCommandsTime.count()}});
    out.fate = EffectFate::kTooMany;
    return out;
  }
  out.fate = EffectFate::kTaken;
  out.commands = std::move(wanted.commands);
  return out;
}

}  // namespace state_engine::obs
