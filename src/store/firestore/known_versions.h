// KnownVersions: what this engine last saw of each state document, for the preconditions of a
// commit. A guess, never the truth: Firestore checks it.

#ifndef STATE_ENGINE_STORE_FIRESTORE_KNOWN_VERSIONS_H_
#define STATE_ENGINE_STORE_FIRESTORE_KNOWN_VERSIONS_H_

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <google/protobuf/timestamp.pb.h>

namespace state_engine::firestore {

// Threads: any; reads and the commit meet here.
class KnownVersions {
 public:
  struct Seen {
    std::int64_t version = 0;
    // When the document was last written; nothing if there is no document.
    std::optional<google::protobuf::Timestamp> update_time;
  };

  // Notes a document unless a later state of it is known.
  void note(const std::string& key, std::int64_t version,
            const google::protobuf::Timestamp& update_time) {
    const std::scoped_lock lock(mutex_);
    Seen& seen = seen_[key];
    if (seen.update_time && later(*seen.update_time, update_time)) return;
    seen = {version, update_time};
  }

  // Notes that `key` has no document. Versions go on from the last one known: a document that
  // somebody removed by hand is no reason to give a version twice.
  void note_absent(const std::string& key) {
    const std::scoped_lock lock(mutex_);
    seen_[key].update_time.reset();
  }

  void forget(const std::string& key) {
    const std::scoped_lock lock(mutex_);
    seen_.erase(key);
  }

  std::optional<Seen> find(const std::string& key) const {
    const std::scoped_lock lock(mutex_);
    const auto item = seen_.find(key);
    return item != seen_.end() ? std::optional(item->second) : std::nullopt;
  }

 private:
  static bool later(const google::protobuf::Timestamp& a, const google::protobuf::Timestamp& b) {
    return a.seconds() != b.seconds() ? a.seconds() > b.seconds() : a.nanos() > b.nanos();
  }

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Seen> seen_;
};

}  // namespace state_engine::firestore

#endif  // STATE_ENGINE_STORE_FIRESTORE_KNOWN_VERSIONS_H_
