// From events to proposals: which keys an event is about, and whether it still counts.
//
// Twitch does not promise order. Of two events about one key the one that was sent later wins,
// whichever came first; what Helix answers is compared with the events of its own moment.
//
// Invariants, checked by mapping_test.cc:
//   (1) The same event always gives the same proposals, ids included.
//   (2) An older event never overwrites what a newer one said about a key.
//   (3) Only a stream of type "live" turns stream.state on.
//
// Threads: one at a time.

#ifndef STATE_ENGINE_INTEGRATIONS_TWITCH_MAPPING_H_
#define STATE_ENGINE_INTEGRATIONS_TWITCH_MAPPING_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "integrations/twitch/frames.h"
#include "integrations/twitch/settings.h"

namespace state_engine::twitch {

inline constexpr std::string_view kTwitchActor = "ingress-egress:twitch";

struct Outgoing {
  Proposal proposal;
  // From reconciling, not from an event: worthless if the key has this value already.
  bool only_if_different = false;
};

// A channel whose id is known.
struct BoundChannel {
  std::string broadcaster_id;
  std::string login;
  std::string key_prefix;
  std::vector<SubscriptionSpec> subscriptions;  // those that are wanted
};

// What Helix says about a channel at this moment.
struct ChannelTruth {
  struct Stream {
    std::string id;
    std::string type;
    std::string started_at;
  };
  std::optional<Stream> stream;  // absent = not live
  // Members title, category_id, category_name and language; absent = was not asked.
  std::optional<json::Object> update;
};

class EventMapper {
 public:
  // How long Helix may still tell the state before an event.
  static constexpr std::chrono::minutes kHelixLagMax{3};

  explicit EventMapper(std::vector<BoundChannel> channels) : channels_(std::move(channels)) {}

  // The proposals of `notice`, in order. Empty for events that came too late, of channels or types
  // that are not wanted, or without the fields that they need (then `why` says so).
  std::vector<Outgoing> map(const Notice& notice, Timestamp now, std::string& why);

  // The same for what Helix says; `again` is set if it has to be asked once more later, because an
  // event of just now says otherwise.
  std::vector<Outgoing> reconcile(const BoundChannel& channel, const ChannelTruth& truth,
                                  Timestamp now, bool& again);

  const std::vector<BoundChannel>& channels() const { return channels_; }

 private:
  // What events said about the stream of a channel.
  struct StreamEvents {
    bool online = false;
    Timestamp sent_at{};
    std::string stream_id;  // of the last online event
  };

  const BoundChannel* channel_of(const Notice& notice) const;
  bool helix_is_behind(const BoundChannel& channel, const ChannelTruth& truth, Timestamp now) const;
  std::vector<Outgoing> proposals(const BoundChannel& channel, const SubscriptionSpec& spec,
                                  const Notice& notice, Timestamp now, bool reconciled,
                                  std::string& why);

  std::vector<BoundChannel> channels_;
  std::map<std::string, StreamEvents> streams_;  // by broadcaster id
  std::map<std::string, Timestamp> updates_;     // the last channel.update, by broadcaster id
  std::map<std::string, Timestamp> last_sent_;   // by key
};

// The proposal id of a message: "twitch:<message id>", ":<n>" for the n-th of several.
std::string proposal_id(const std::string& message_id, std::size_t index, std::size_t count);

}  // namespace state_engine::twitch

#endif  // STATE_ENGINE_INTEGRATIONS_TWITCH_MAPPING_H_
