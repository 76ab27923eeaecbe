// Exact URIs are looked up in a hash table; collections in one table per prefix length, so that an
// update costs one lookup per length in use, whatever the number of listeners elsewhere.

#include "mcp/protocol/subscriptions.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include <boost/asio/post.hpp>

#include "net/http_types.h"

namespace state_engine::mcp {
namespace {

constexpr std::size_t kDirtyUrisMax = 256;     // per listener, beyond it collections stand in
constexpr std::size_t kPendingUrisMax = 4096;  // in the hub, beyond it everything counts as changed

// The one spelling of a URI that clients may percent-encode as they like ("user%3A1").
std::string canonical(std::string_view uri) { return net::percent_decode(uri); }

bool is_prefix(std::string_view uri) {
  return uri.ends_with('/') || uri.ends_with('.') || uri.ends_with('*');
}

std::string_view prefix_of(std::string_view uri) {
  if (uri.ends_with('*')) uri.remove_suffix(1);
  return uri;
}

}  // namespace

struct UpdateListener::Impl {
  std::mutex mutex;
  std::optional<net::WakeSignal> wake;
  std::vector<std::string> order;
  std::unordered_set<std::string> dirty;
};

UpdateListener::UpdateListener() : impl_(std::make_unique<Impl>()) {}

UpdateListener::~UpdateListener() = default;

std::vector<std::string> UpdateListener::take() {
  const std::lock_guard lock(impl_->mutex);
  impl_->dirty.clear();
  return std::exchange(impl_->order, {});
}

void UpdateListener::mark(const std::string& uri, const std::string& subscribed) {
  const std::lock_guard lock(impl_->mutex);
  const bool full = impl_->order.size() >= kDirtyUrisMax;
  const std::string& shown = full ? subscribed : uri;
  if (!impl_->dirty.insert(shown).second) return;
  impl_->order.push_back(shown);
  if (impl_->wake) impl_->wake->notify();
}

void UpdateListener::attach(std::optional<net::WakeSignal> wake) {
  const std::lock_guard lock(impl_->mutex);
  impl_->wake = std::move(wake);
  if (impl_->wake && !impl_->order.empty()) impl_->wake->notify();
}

struct SubscriptionHub::Impl : std::enable_shared_from_this<SubscriptionHub::Impl> {
  using Listeners = std::vector<std::shared_ptr<UpdateListener>>;
  // By the URI as subscribed, which is what a client wants to hear.
  using BySpelling = std::map<std::string, Listeners>;

  explicit Impl(boost::asio::any_io_executor hub_executor) : executor(std::move(hub_executor)) {}

  void fan_out() {
    std::unordered_set<std::string> changed;
    std::vector<const std::string*> order;
    bool everything = false;
    {
      const std::lock_guard lock(pending_mutex);
      changed.swap(pending);
      order.swap(pending_order);
      everything = std::exchange(overflowed, false);
      scheduled = false;
    }
    const std::lock_guard lock(mutex);
    if (everything) mark_everything();
    for (const std::string* uri : order) mark_one(*uri);
  }

  void mark_one(const std::string& uri) {
    const std::string key = canonical(uri);
    if (const auto found = exact.find(key); found != exact.end()) {
      for (const auto& [subscribed, listeners] : found->second) {
        for (const auto& listener : listeners) listener->mark(subscribed, subscribed);
      }
    }
    for (const auto& [length, by_uri] : prefixes) {
      if (length > key.size()) break;
      const auto found = by_uri.find(key.substr(0, length));
      if (found == by_uri.end()) continue;
      for (const auto& [subscribed, listeners] : found->second) {
        for (const auto& listener : listeners) listener->mark(uri, subscribed);
      }
    }
  }

  void mark_everything() {
    for (const auto& [uri, by_subscribed] : exact) mark_all(by_subscribed);
    for (const auto& [length, by_uri] : prefixes) {
      for (const auto& [prefix, by_subscribed] : by_uri) mark_all(by_subscribed);
    }
  }

  static void mark_all(const BySpelling& by_subscribed) {
    for (const auto& [subscribed, listeners] : by_subscribed) {
      for (const auto& listener : listeners) listener->mark(subscribed, subscribed);
    }
  }

  Listeners& slot(const std::string& uri) {
    const std::string key = canonical(uri);
    if (!is_prefix(key)) return exact[key][uri];
    const std::string prefix{prefix_of(key)};
    return prefixes[prefix.size()][prefix][uri];
  }

  void drop_if_empty(const std::string& uri) {
    const std::string key = canonical(uri);
    if (!is_prefix(key)) {
      auto& by_subscribed = exact[key];
      if (by_subscribed[uri].empty()) by_subscribed.erase(uri);
      if (by_subscribed.empty()) exact.erase(key);
      return;
    }
    const std::string prefix{prefix_of(key)};
    auto& by_uri = prefixes[prefix.size()];
    auto& by_subscribed = by_uri[prefix];
    if (by_subscribed[uri].empty()) by_subscribed.erase(uri);
    if (by_subscribed.empty()) by_uri.erase(prefix);
    if (by_uri.empty()) prefixes.erase(prefix.size());
  }

  void erase(const std::shared_ptr<UpdateListener>& listener, const std::string& uri) {
    Listeners& listeners = slot(uri);
    if (std::erase(listeners, listener) > 0) --count;
    drop_if_empty(uri);
  }

  const boost::asio::any_io_executor executor;
  std::atomic<std::size_t> count{0};

  std::mutex pending_mutex;
  std::unordered_set<std::string> pending;
  std::vector<const std::string*> pending_order;  // into `pending`, by first change
  bool overflowed = false;
  bool scheduled = false;

  std::mutex mutex;
  std::unordered_map<std::string, BySpelling> exact;
  // By length, then by prefix, then by the URI as subscribed ("a/" and "a/*" share a prefix).
  std::map<std::size_t, std::unordered_map<std::string, BySpelling>> prefixes;
  std::unordered_map<std::shared_ptr<UpdateListener>, std::vector<std::string>> uris_of;
};

SubscriptionHub::SubscriptionHub(boost::asio::any_io_executor executor)
    : impl_(std::make_shared<Impl>(std::move(executor))) {}

SubscriptionHub::~SubscriptionHub() = default;

bool SubscriptionHub::add(const std::shared_ptr<UpdateListener>& listener, const std::string& uri,
                          std::size_t uris_max) {
  const std::lock_guard lock(impl_->mutex);
  auto& uris = impl_->uris_of[listener];
  if (std::find(uris.begin(), uris.end(), uri) != uris.end()) return true;
  if (uris.size() >= uris_max) return false;
  uris.push_back(uri);
  impl_->slot(uri).push_back(listener);
  ++impl_->count;
  return true;
}

void SubscriptionHub::remove(const std::shared_ptr<UpdateListener>& listener,
                             const std::string& uri) {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->uris_of.find(listener);
  if (found == impl_->uris_of.end() || std::erase(found->second, uri) == 0) return;
  if (found->second.empty()) impl_->uris_of.erase(found);
  impl_->erase(listener, uri);
}

void SubscriptionHub::remove_all(const std::shared_ptr<UpdateListener>& listener) {
  const std::lock_guard lock(impl_->mutex);
  auto node = impl_->uris_of.extract(listener);
  if (node.empty()) return;
  for (const std::string& uri : node.mapped()) impl_->erase(listener, uri);
}

void SubscriptionHub::notify(std::string_view uri) {
  if (impl_->count == 0) return;
  {
    const std::lock_guard lock(impl_->pending_mutex);
    if (impl_->pending.size() < kPendingUrisMax) {
      const auto [added, fresh] = impl_->pending.emplace(uri);
      if (fresh) impl_->pending_order.push_back(&*added);
    } else {
      impl_->overflowed = true;
    }
    if (std::exchange(impl_->scheduled, true)) return;
  }
  boost::asio::post(impl_->executor, [impl = impl_] { impl->fan_out(); });
}

std::size_t SubscriptionHub::subscription_count() const { return impl_->count; }

}  // namespace state_engine::mcp
