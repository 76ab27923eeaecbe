#include "app/health.h"

#include <algorithm>

namespace state_engine {

void Health::set(const std::string& part, bool ready, std::string status, std::string detail) {
  const std::lock_guard lock(mutex_);
  parts_[part] = {ready, std::move(status), std::move(detail)};
}

void Health::set_started(bool started) {
  const std::lock_guard lock(mutex_);
  started_ = started;
}

bool Health::ready() const {
  const std::lock_guard lock(mutex_);
  return started_ && std::all_of(parts_.begin(), parts_.end(),
                                 [](const auto& part) { return part.second.ready; });
}

json::Object Health::report() const {
  const bool is_ready = ready();
  const std::lock_guard lock(mutex_);
  json::Object out;
  out["status"] = !started_ ? "starting" : is_ready ? "ok" : "degraded";
  out["service"] = service_;
  json::Object details;
  for (const auto& [name, part] : parts_) {
    out[name] = part.status;
    if (!part.detail.empty()) details[name] = part.detail;
  }
  if (!details.empty()) out["details"] = std::move(details);
  return out;
}

}  // namespace state_engine
