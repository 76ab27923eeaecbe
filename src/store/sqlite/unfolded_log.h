// UnfoldedLog: the end of the log that the tables by key do not hold yet, by key.
//
// A commit writes to the end of the log only. What follows from the log (the state of each key,
// which entries a key has) lies in tables in key order, where every change dirties a page of its
// own; so it is brought there later, many entries at once (log_folder.h). Until then this says
// which entries of a key are not there yet.
//
// Entries gather in the young layer. freeze() makes it the frozen one, which is then folded while
// the next gathers.
// Threads: append(), freeze(), drop_frozen(), forget() and frozen() by the writer's thread only;
// the others by any.
// Cost: some 100 bytes for a key, 8 for an entry; append() O(log keys).

#ifndef STATE_ENGINE_STORE_SQLITE_UNFOLDED_LOG_H_
#define STATE_ENGINE_STORE_SQLITE_UNFOLDED_LOG_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace state_engine::sqlite {

class UnfoldedLog {
 public:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  // Entries in seq order without a gap, linked to the next and the former one of the same key.
  // An entry is known by its place, from 0.
  struct Layer {
    struct Link {
      std::uint32_t older = kNone;
      std::uint32_t newer = kNone;
    };
    struct OfKey {
      std::uint32_t oldest = kNone;
      std::uint32_t newest = kNone;
      std::int64_t last_accepted = 0;  // seq; 0 if none was
    };

    std::int64_t after = 0;  // the seq before the first
    std::vector<Link> links;
    std::map<std::string, OfKey, std::less<>> keys;

    std::int64_t seq_at(std::uint32_t place) const { return after + 1 + place; }
    std::int64_t last_seq() const { return after + static_cast<std::int64_t>(links.size()); }
    void add(std::string_view key, bool accepted);
  };

  struct Entry {
    std::string_view key;
    bool accepted = false;
  };

  // Which entries to find: those with after < seq < before.
  struct Range {
    std::int64_t after = 0;
    std::int64_t before = std::numeric_limits<std::int64_t>::max();
  };
  // The log up to `folded_seq` is in the tables, the entries found come behind it.
  struct Found {
    std::int64_t folded_seq = 0;
    std::vector<std::int64_t> seqs;  // newest first
  };

  // `folded_seq`: the last entry that the tables hold.
  explicit UnfoldedLog(std::int64_t folded_seq);

  void append(const std::vector<Entry>& entries);

  // Entries that no fold has begun with.
  std::size_t young_size() const;

  // Begins to fold what has gathered. Returns false if nothing has, or a fold is under way.
  bool freeze();
  // What is being folded; null if nothing is.
  const Layer* frozen() const;
  // The tables hold all of the frozen layer, durably.
  void drop_frozen();
  // Frees the memory of `keys` keys of dropped layers. (Freeing all at once would take long.)
  void forget(std::size_t keys);

  Found of_key(std::string_view key, const Range& range, std::size_t limit) const;
  Found with_prefix(std::string_view prefix, const Range& range) const;

 private:
  mutable std::mutex mutex_;
  Layer young_;
  std::optional<Layer> frozen_;
  std::vector<Layer> dropped_;  // by the writer's thread only
};

}  // namespace state_engine::sqlite

#endif  // STATE_ENGINE_STORE_SQLITE_UNFOLDED_LOG_H_
