// Who wants to hear of which resource, and what each of them has not heard yet.
//
// A commit only notes a URI here (SubscriptionHub::notify); the fan-out runs on the hub's executor.
// Each UpdateListener holds a set of changed URIs, not a queue of events: whoever reads slowly gets
// fewer, later updates and costs no more memory. Updates are hints; the log is the truth.
//
// Threads: every method from any thread.

#ifndef STATE_ENGINE_MCP_PROTOCOL_SUBSCRIPTIONS_H_
#define STATE_ENGINE_MCP_PROTOCOL_SUBSCRIPTIONS_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "net/wake_signal.h"

namespace state_engine::mcp {

// The pending updates of one consumer: one listen request, or one legacy session.
class UpdateListener {
 public:
  UpdateListener();
  ~UpdateListener();

  // Sets who is woken when there is something to take (at once, if there already is); nullopt while
  // nobody reads.
  void attach(std::optional<net::WakeSignal> wake);

  // The URIs that changed since the last call, in the order of their first change.
  std::vector<std::string> take();

  // Notes that `uri` changed, heard through the subscription to `subscribed`. When too many are
  // pending, `subscribed` itself stands for them.
  void mark(const std::string& uri, const std::string& subscribed);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Copies share the subscriptions.
class SubscriptionHub {
 public:
  explicit SubscriptionHub(boost::asio::any_io_executor executor);
  SubscriptionHub(const SubscriptionHub&) = default;
  SubscriptionHub& operator=(const SubscriptionHub&) = default;
  ~SubscriptionHub();

  // Subscribes `listener` to `uri`; one that ends in "/", "." or "*" stands for all it begins.
  // Percent-encoding makes no difference; the listener hears the URI as it wrote it.
  // Adding twice is the same as once.
  // Returns false if the listener would then have more than `uris_max`.
  bool add(const std::shared_ptr<UpdateListener>& listener, const std::string& uri,
           std::size_t uris_max);
  void remove(const std::shared_ptr<UpdateListener>& listener, const std::string& uri);
  void remove_all(const std::shared_ptr<UpdateListener>& listener);

  // Returns at once. Cost: one lock and one set insertion; nothing while nobody listens.
  void notify(std::string_view uri);

  // Pairs of listener and URI.
  std::size_t subscription_count() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Keeps a listener in the hub while it lives. It may live longer than the server: the last
// reference to a connection may go while the server does.
class ScopedListener {
 public:
  explicit ScopedListener(const SubscriptionHub& hub)
      : hub_(hub), listener_(std::make_shared<UpdateListener>()) {}
  ~ScopedListener() { hub_.remove_all(listener_); }
  ScopedListener(const ScopedListener&) = delete;
  ScopedListener& operator=(const ScopedListener&) = delete;

  bool add(const std::string& uri, std::size_t uris_max) {
    return hub_.add(listener_, uri, uris_max);
  }
  void remove(const std::string& uri) { hub_.remove(listener_, uri); }
  std::vector<std::string> take() { return listener_->take(); }
  void attach(std::optional<net::WakeSignal> wake) { listener_->attach(std::move(wake)); }

 private:
  SubscriptionHub hub_;
  std::shared_ptr<UpdateListener> listener_;
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_SUBSCRIPTIONS_H_
