// One lock for the whole table: it is held for a lookup, never across I/O. Expiry rides on lookups,
// so that idle sessions cost no timers.

#include "mcp/protocol/session.h"

#include <algorithm>
#include <vector>

namespace state_engine::mcp {
namespace {

constexpr std::size_t kIdBytes = 20;  // 160 random bits
constexpr std::chrono::seconds kExpiryEvery{10};

}  // namespace

net::CancelToken InFlight::add(const std::string& id) {
  const std::lock_guard lock(mutex_);
  return requests_.insert_or_assign(id, net::CancelSource{}).first->second.token();
}

void InFlight::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  requests_.erase(id);
}

bool InFlight::contains(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return requests_.contains(id);
}

bool InFlight::cancel(const std::string& id) {
  net::CancelSource source;
  {
    const std::lock_guard lock(mutex_);
    const auto found = requests_.find(id);
    if (found == requests_.end()) return false;
    source = found->second;
  }
  source.cancel();
  return true;
}

void InFlight::cancel_all() {
  std::map<std::string, net::CancelSource> all;
  {
    const std::lock_guard lock(mutex_);
    all = requests_;
  }
  for (auto& [id, source] : all) source.cancel();
}

std::size_t InFlight::size() const {
  const std::lock_guard lock(mutex_);
  return requests_.size();
}

SessionTable::SessionTable(std::size_t sessions_max, std::chrono::milliseconds idle_max,
                           Random& random)
    : sessions_max_(sessions_max), idle_max_(idle_max), random_(random) {}

std::shared_ptr<Session> SessionTable::create(Caller caller, Credentials credentials,
                                              SubscriptionHub& hub) {
  auto session = std::make_shared<Session>(random_hex(random_, kIdBytes), std::move(caller),
                                           std::move(credentials), hub);
  const auto now = std::chrono::steady_clock::now();
  session->last_used = now;
  const std::lock_guard lock(mutex_);
  expire(now);
  if (sessions_.size() >= sessions_max_ && !evict_one()) return nullptr;
  sessions_.emplace(session->id, session);
  return session;
}

std::shared_ptr<Session> SessionTable::find(std::string_view id, const Caller& caller) {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  expire(now);
  const auto found = sessions_.find(std::string{id});
  if (found == sessions_.end() || found->second->caller.principal != caller.principal) {
    return nullptr;
  }
  found->second->last_used = now;
  return found->second;
}

bool SessionTable::open_stream(Session& session) {
  const std::lock_guard lock(mutex_);
  return !std::exchange(session.has_stream, true);
}

void SessionTable::close_stream(Session& session) {
  const std::lock_guard lock(mutex_);
  session.has_stream = false;
  session.last_used = std::chrono::steady_clock::now();
}

void SessionTable::end(const std::shared_ptr<Session>& session) {
  {
    const std::lock_guard lock(mutex_);
    sessions_.erase(session->id);
  }
  session->ended.cancel();
}

std::size_t SessionTable::size() const {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

std::vector<std::shared_ptr<Session>> SessionTable::all() const {
  std::vector<std::shared_ptr<Session>> sessions;
  const std::lock_guard lock(mutex_);
  sessions.reserve(sessions_.size());
  for (const auto& [id, session] : sessions_) sessions.push_back(session);
  return sessions;
}

void SessionTable::expire(std::chrono::steady_clock::time_point now) {
  if (now < next_expiry_) return;
  next_expiry_ = now + std::min<std::chrono::steady_clock::duration>(kExpiryEvery, idle_max_ / 2);
  std::erase_if(sessions_, [&](const auto& item) {
    return !item.second->has_stream && now - item.second->last_used > idle_max_;
  });
}

bool SessionTable::evict_one() {
  auto oldest = sessions_.end();
  for (auto it = sessions_.begin(); it != sessions_.end(); ++it) {
    if (it->second->has_stream) continue;
    if (oldest == sessions_.end() || it->second->last_used < oldest->second->last_used) oldest = it;
  }
  if (oldest == sessions_.end()) return false;
  sessions_.erase(oldest);
  return true;
}

}  // namespace state_engine::mcp
