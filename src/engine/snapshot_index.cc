// A path-copying B+tree. Fan-out 64 keeps a million keys at four levels, and a copied node at 1
// KiB: cheaper per write than a hash trie, and ordered, which prefix reads need.

#include "engine/snapshot_index.h"

#include <algorithm>

namespace state_engine {

// A leaf holds snapshots in key order. An inner node holds children in key order and, for each
// child but the first, the least key below it.
struct SnapshotView::Node {
  static constexpr std::size_t kFanout = 64;

  std::uint64_t edit = 0;  // the edit that made this node; only it may change the node
  std::vector<SnapshotPtr> items;
  std::vector<NodePtr> children;
  std::vector<std::string> separators;

  bool leaf() const { return children.empty(); }

  // The child that covers `key`.
  std::size_t child_for(std::string_view key) const {
    const auto after = std::upper_bound(
        separators.begin(), separators.end(), key,
        [](std::string_view wanted, const std::string& least) { return wanted < least; });
    return static_cast<std::size_t>(after - separators.begin());
  }

  std::vector<SnapshotPtr>::const_iterator lower_bound(std::string_view key) const {
    return std::lower_bound(
        items.begin(), items.end(), key,
        [](const SnapshotPtr& item, std::string_view wanted) { return item->key < wanted; });
  }
};

SnapshotPtr SnapshotView::find(std::string_view key) const {
  const Node* node = root_.get();
  if (node == nullptr) return nullptr;
  while (!node->leaf()) node = node->children[node->child_for(key)].get();
  const auto item = node->lower_bound(key);
  if (item == node->items.end() || (*item)->key != key) return nullptr;
  return *item;
}

void SnapshotView::scan(std::string_view from,
                        const std::function<bool(const SnapshotPtr&)>& visit) const {
  // Walks one leaf at a time; `next` is the least key of the leaf after it.
  std::string cursor(from);
  const Node* node = root_.get();
  while (node != nullptr) {
    const std::string* next = nullptr;
    while (!node->leaf()) {
      const std::size_t child = node->child_for(cursor);
      if (child < node->separators.size()) next = &node->separators[child];
      node = node->children[child].get();
    }
    for (auto item = node->lower_bound(cursor); item != node->items.end(); ++item) {
      if (!visit(*item)) return;
    }
    if (next == nullptr) return;
    cursor = *next;
    node = root_.get();
  }
}

// The right half of a node that grew too large, and the least key in it.
struct SnapshotIndex::Split {
  NodePtr right;  // null = no split
  std::string least;
};

SnapshotView SnapshotIndex::view() const {
  const std::lock_guard lock(mutex_);
  return published_;
}

void SnapshotIndex::publish(std::int64_t seq) {
  draft_.seq_ = seq;
  ++edit_;
  SnapshotView old;  // freed outside the lock: dropping a whole revision can take long
  {
    const std::lock_guard lock(mutex_);
    old = std::exchange(published_, draft_);
  }
}

SnapshotIndex::NodePtr SnapshotIndex::own(const NodePtr& node) const {
  if (node->edit == edit_) return node;
  auto copy = std::make_shared<Node>(*node);
  copy->edit = edit_;
  return copy;
}

void SnapshotIndex::put_into_leaf(Node& leaf, SnapshotPtr&& snapshot) {
  const auto at = leaf.items.begin() + (leaf.lower_bound(snapshot->key) - leaf.items.cbegin());
  if (at != leaf.items.end() && (*at)->key == snapshot->key) {
    *at = std::move(snapshot);
    return;
  }
  leaf.items.insert(at, std::move(snapshot));
  ++draft_.size_;
}

SnapshotIndex::Split SnapshotIndex::split_if_full(Node& node) const {
  const std::size_t count = node.leaf() ? node.items.size() : node.children.size();
  if (count <= Node::kFanout) return {};
  // Keys often arrive in order (loading); a full left node then wastes least.
  const auto keep = static_cast<std::ptrdiff_t>(Node::kFanout * 3 / 4);
  auto right = std::make_shared<Node>();
  right->edit = edit_;
  std::string least;
  if (node.leaf()) {
    right->items.assign(node.items.begin() + keep, node.items.end());
    node.items.erase(node.items.begin() + keep, node.items.end());
    least = right->items.front()->key;
  } else {
    least = node.separators[static_cast<std::size_t>(keep) - 1];
    right->children.assign(node.children.begin() + keep, node.children.end());
    right->separators.assign(node.separators.begin() + keep, node.separators.end());
    node.children.erase(node.children.begin() + keep, node.children.end());
    node.separators.erase(node.separators.begin() + keep - 1, node.separators.end());
  }
  return {std::move(right), std::move(least)};
}

SnapshotIndex::Split SnapshotIndex::put_into(NodePtr& node, SnapshotPtr&& snapshot) {
  node = own(node);
  if (node->leaf()) {
    put_into_leaf(*node, std::move(snapshot));
    return split_if_full(*node);
  }
  const std::size_t child = node->child_for(snapshot->key);
  Split split = put_into(node->children[child], std::move(snapshot));
  if (split.right == nullptr) return {};
  const auto at = static_cast<std::ptrdiff_t>(child);
  node->children.insert(node->children.begin() + at + 1, std::move(split.right));
  node->separators.insert(node->separators.begin() + at, std::move(split.least));
  return split_if_full(*node);
}

void SnapshotIndex::put(SnapshotPtr snapshot) {
  SE_ASSERT(snapshot != nullptr);
  if (draft_.root_ == nullptr) {
    draft_.root_ = std::make_shared<Node>();
    draft_.root_->edit = edit_;
  }
  Split split = put_into(draft_.root_, std::move(snapshot));
  if (split.right == nullptr) return;
  auto root = std::make_shared<Node>();
  root->edit = edit_;
  root->children = {draft_.root_, std::move(split.right)};
  root->separators = {std::move(split.least)};
  draft_.root_ = std::move(root);
}

}  // namespace state_engine
