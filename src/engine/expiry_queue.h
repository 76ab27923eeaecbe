// ExpiryQueue: which key expires next.

#ifndef STATE_ENGINE_ENGINE_EXPIRY_QUEUE_H_
#define STATE_ENGINE_ENGINE_EXPIRY_QUEUE_H_

#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "core/types.h"

namespace state_engine {

// A heap of deadlines. An entry whose key has been written since is stale; the expiry itself checks
// the snapshot, so a stale entry only costs its removal.
// Threads: the engine strand.
class ExpiryQueue {
 public:
  // Returns true if `snapshot` expires before everything already queued.
  bool add(const Snapshot& snapshot) {
    if (snapshot.deleted || !snapshot.expires_at) return false;
    return add(*snapshot.expires_at, snapshot.key);
  }
  bool add(Timestamp deadline, std::string key) {
    const bool first = heap_.empty() || deadline < heap_.top().deadline;
    heap_.push({deadline, std::move(key)});
    return first;
  }

  std::optional<Timestamp> next() const {
    return heap_.empty() ? std::nullopt : std::optional<Timestamp>(heap_.top().deadline);
  }

  // Takes out up to `most` keys whose deadline has come.
  std::vector<std::string> take_due(Timestamp now, std::size_t most) {
    std::vector<std::string> keys;
    while (!heap_.empty() && heap_.top().deadline <= now && keys.size() < most) {
      keys.push_back(heap_.top().key);
      heap_.pop();
    }
    return keys;
  }

 private:
  struct Deadline {
    Timestamp deadline;
    std::string key;
    bool operator<(const Deadline& other) const { return deadline > other.deadline; }
  };
  std::priority_queue<Deadline> heap_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_EXPIRY_QUEUE_H_
