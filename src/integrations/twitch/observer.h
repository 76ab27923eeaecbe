// TwitchObserver: what the ingest tells the program that runs it, for health and metrics.
//
// Threads: called on the ingest's strand; must not block.

#ifndef STATE_ENGINE_INTEGRATIONS_TWITCH_OBSERVER_H_
#define STATE_ENGINE_INTEGRATIONS_TWITCH_OBSERVER_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace state_engine::twitch {

// Where the ingest stands with Twitch.
enum class LinkState { kStarting, kLive, kDown };

// What became of a proposal.
enum class HandOver { kAccepted, kStored, kDuplicate, kRejected, kUnchanged, kRetried, kRefused };

class TwitchObserver {
 public:
  virtual ~TwitchObserver() = default;

  virtual void on_link(LinkState state, const std::string& detail) = 0;
  // A fault that somebody has to mend: a token, a scope. Empty = mended.
  virtual void on_trouble(const std::string& detail) = 0;
  virtual void on_event(std::string_view type) = 0;
  virtual void on_dropped(std::string_view reason) = 0;
  virtual void on_hand_over(HandOver outcome) = 0;
  virtual void on_waiting(std::size_t proposals) = 0;
  virtual void on_reconciled() = 0;
  virtual void on_subscriptions(std::size_t enabled, std::size_t wanted) = 0;
};

}  // namespace state_engine::twitch

#endif  // STATE_ENGINE_INTEGRATIONS_TWITCH_OBSERVER_H_
