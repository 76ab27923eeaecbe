// Health: what a service says of itself on /healthz, /livez, /readyz and /health.

#ifndef STATE_ENGINE_APP_HEALTH_H_
#define STATE_ENGINE_APP_HEALTH_H_

#include <map>
#include <mutex>
#include <string>

#include "base/json.h"

namespace state_engine {

// Threads: any.
class Health {
 public:
  explicit Health(std::string service) : service_(std::move(service)) {}

  // Reports a part of the service ("store", "bus"). A part that is not `ready` makes the service
  // not ready; `detail` is for people.
  void set(const std::string& part, bool ready, std::string status, std::string detail = "");

  // Until the first call the service is not ready.
  void set_started(bool started);

  bool ready() const;
  // {"status": "ok"|"degraded"|"starting", "service": ..., "<part>": ..., "details": {...}}
  json::Object report() const;
  const std::string& service() const { return service_; }

 private:
  struct Part {
    bool ready = true;
    std::string status;
    std::string detail;
  };
  std::string service_;
  mutable std::mutex mutex_;
  bool started_ = false;
  std::map<std::string, Part> parts_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_HEALTH_H_
