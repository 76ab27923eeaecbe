// SnapshotPage: snapshots in key order, packed into one piece of memory.
//
// As an object a small snapshot takes over half a KiB in a dozen pieces; packed it takes its texts
// and 48 bytes, lies beside its neighbours and costs nothing to load. The value is kept as its JSON
// text. What is large, or odd in its sizes, stays an object that the page refers to.
//
// Invariants: (1) keys strictly increase within a page. (2) Every value and metadata text is JSON
//   as json::write() makes it; whoever appends raw texts has checked that.
//
// Ownership: a page owns its bytes; a SnapshotRef is good as long as its page.
// Threads:   a page that nobody appends to may be read from any thread.

#ifndef STATE_ENGINE_CORE_SNAPSHOT_PAGE_H_
#define STATE_ENGINE_CORE_SNAPSHOT_PAGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/types.h"

namespace state_engine {

// A snapshot whose texts lie elsewhere.
struct PackedSnapshot {
  std::string_view key;
  std::string_view value;  // JSON text
  std::int64_t version = 0;
  Timestamp updated_at{};
  std::string_view updated_by;
  std::optional<std::chrono::milliseconds> ttl;
  std::optional<Timestamp> expires_at;
  std::int64_t seq = 0;
  std::string_view mutation_id;
  std::string_view reason;
  std::string_view metadata;  // JSON text of an object; empty = {}
  bool deleted = false;
};

// One snapshot of a page, looked at where it lies. Small: pass it by value.
class SnapshotRef {
 public:
  // Refers to nothing.
  SnapshotRef() = default;

  explicit operator bool() const { return at_ != nullptr; }

  // The rest REQUIRES: refers to something.
  std::string_view key() const;
  std::int64_t version() const;
  bool deleted() const;
  bool visible_at(Timestamp now) const;

  // The snapshot as an object, tombstones included. Cost: O(snapshot) if it is packed.
  SnapshotPtr share() const;

  // The object if the page refers to one; null = it is packed.
  const SnapshotPtr& whole() const;

  // REQUIRES: whole() is null.
  PackedSnapshot packed() const;

 private:
  friend class SnapshotPage;
  SnapshotRef(const char* at, const SnapshotPtr* whole) : at_(at), whole_(whole) {}

  const char* at_ = nullptr;
  const SnapshotPtr* whole_ = nullptr;  // null = packed
};

class SnapshotPage {
 public:
  // Where a page is full: a write copies one, a reader searches one.
  static constexpr std::size_t kSnapshotsMax = 64;
  static constexpr std::size_t kBytesMax = 4096;
  // Larger ones, packed, stay objects.
  static constexpr std::size_t kPackedBytesMax = 1024;

  std::size_t size() const { return starts_.size(); }
  std::size_t bytes() const { return bytes_.size(); }
  bool is_full() const { return size() >= kSnapshotsMax || bytes() >= kBytesMax; }

  SnapshotRef at(std::size_t index) const;

  // The first index whose key is not less than `key`; size() if there is none.
  std::size_t lower_bound(std::string_view key) const;

  // True if append() packs a snapshot of these sizes.
  static bool fits(const PackedSnapshot& snapshot);

  // Adds what comes after all in the page. REQUIRES: fits(snapshot), its texts are JSON.
  void append(const PackedSnapshot& snapshot);
  void append(const SnapshotPtr& snapshot);

  // A copy with `snapshot` at `index` (from lower_bound), in place of what is there if `replace`.
  SnapshotPage with(std::size_t index, bool replace, const SnapshotPtr& snapshot) const;

  // Copies of a part.
  SnapshotPage part(std::size_t first, std::size_t last) const;

  // A copy in the opposite order, of a page that was filled from the greatest key down.
  SnapshotPage reversed() const;

  // Gives back memory that was kept for growth.
  void shrink();

 private:
  void append_range(const SnapshotPage& from, std::size_t first, std::size_t last);
  std::size_t end_of(std::size_t index) const {
    return index + 1 < starts_.size() ? starts_[index + 1] : bytes_.size();
  }

  std::string bytes_;
  std::vector<std::uint32_t> starts_;  // of each snapshot, in bytes_
  std::vector<SnapshotPtr> wholes_;    // in the order of the keys
};

}  // namespace state_engine

#endif  // STATE_ENGINE_CORE_SNAPSHOT_PAGE_H_
