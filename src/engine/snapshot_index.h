// SnapshotIndex: the committed state in memory, readable without ever waiting for the writer.
//
// A persistent B+tree keyed by state key: a write copies the nodes on its path and leaves the old
// ones to whoever still holds the old root, so that every root is one consistent revision for as
// long as anyone keeps it. Keys are never removed (a deleted key keeps a tombstone), which is why
// the tree only inserts and replaces. Nodes made since the last publish() belong to no reader yet
// and are changed in place (the "edit" stamp), so a batch of n changes costs one path each at most.
// The leaves are pages of packed snapshots (core/snapshot_page.h): what a key costs in memory is
// what its texts need, and a start takes over the pages that the store has filled.
//
// Threads:  the writer alone calls put(), load() and publish(); view() from any thread. The root
//           pointer is copied under a mutex held for a few nanoseconds (docs/adr/0001).
// Cost:     find, look and put O(log n); view O(1).

#ifndef STATE_ENGINE_ENGINE_SNAPSHOT_INDEX_H_
#define STATE_ENGINE_ENGINE_SNAPSHOT_INDEX_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/snapshot_page.h"
#include "core/types.h"

namespace state_engine {

// One consistent revision of the whole state. Cheap to copy and to keep; holds its snapshots.
class SnapshotView {
 public:
  SnapshotView() = default;

  // Returns the snapshot of `key`, tombstones included, or null if the key was never set. Makes an
  // object of a packed one at each call: who needs a few members takes look().
  SnapshotPtr find(std::string_view key) const;

  // The same where it lies; refers to nothing if the key was never set. Good as long as this
  // revision is kept.
  SnapshotRef look(std::string_view key) const;

  // Calls `visit` for each key >= `from` in key order until it returns false.
  void scan(std::string_view from, const std::function<bool(SnapshotRef)>& visit) const;

  // The last committed seq that this revision contains.
  std::int64_t seq() const { return seq_; }

  // Keys known, tombstones included.
  std::size_t size() const { return size_; }

 private:
  friend class SnapshotIndex;
  struct Node;
  using NodePtr = std::shared_ptr<Node>;

  NodePtr root_;
  std::int64_t seq_ = 0;
  std::size_t size_ = 0;
};

class SnapshotIndex {
 public:
  // Returns the last published revision. Threads: any.
  SnapshotView view() const;

  // Installs `snapshot` in the unpublished revision. REQUIRES: snapshot is not null.
  void put(const SnapshotPtr& snapshot);

  // Takes over whole pages, in key order: the state as a store has it at start.
  // REQUIRES: nothing was put before. Cost: O(pages).
  void load(std::vector<SnapshotPage> pages);

  // Makes everything put so far the revision that view() returns.
  void publish(std::int64_t seq);

 private:
  using Node = SnapshotView::Node;
  using NodePtr = SnapshotView::NodePtr;
  struct Split;

  NodePtr own(const NodePtr& node) const;
  Split put_into(NodePtr& node, const SnapshotPtr& snapshot);
  void put_into_leaf(NodePtr& node, const SnapshotPtr& snapshot);
  Split split_if_full(Node& node) const;

  SnapshotView draft_;  // writer only
  std::uint64_t edit_ = 1;
  mutable std::mutex mutex_;  // guards published_
  SnapshotView published_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_ENGINE_SNAPSHOT_INDEX_H_
