// A path-copying B+tree. Inner nodes hold up to 32 children: a million keys stand four levels high.
// What a write copies is one leaf page (4 KiB) and, in each level above, the pointers and
// separators of one node; separators lie in one piece of memory, so that no node costs an
// allocation per child.

#include "engine/snapshot_index.h"

#include <algorithm>

namespace state_engine {
namespace {

constexpr std::size_t kFanout = 32;

// Keys in order, in one piece of memory.
class KeyList {
 public:
  std::size_t size() const { return ends_.size(); }
  std::string_view at(std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(bytes_).substr(begin, ends_[index] - begin);
  }

  // How many of them are not greater than `key`.
  std::size_t count_up_to(std::string_view key) const {
    std::size_t first = 0;
    std::size_t last = size();
    while (first < last) {
      const std::size_t middle = (first + last) / 2;
      if (at(middle) <= key) {
        first = middle + 1;
      } else {
        last = middle;
      }
    }
    return first;
  }

  void insert(std::size_t index, std::string_view key) {
    const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
    bytes_.insert(begin, key);
    for (std::size_t i = index; i < ends_.size(); ++i) {
      ends_[i] += static_cast<std::uint32_t>(key.size());
    }
    ends_.insert(ends_.begin() + static_cast<std::ptrdiff_t>(index),
                 static_cast<std::uint32_t>(begin + key.size()));
  }

  KeyList part(std::size_t first, std::size_t last) const {
    KeyList out;
    for (std::size_t i = first; i < last; ++i) out.insert(out.size(), at(i));
    return out;
  }

 private:
  std::string bytes_;
  std::vector<std::uint32_t> ends_;
};

}  // namespace

// A leaf holds a page. An inner node holds children in key order and, for each child but the first,
// the least key below it.
struct SnapshotView::Node {
  std::uint64_t edit = 0;  // the edit that made this node; only it may change the node
  SnapshotPage page;
  std::vector<NodePtr> children;
  KeyList separators;

  bool leaf() const { return children.empty(); }

  // The child that covers `key`.
  std::size_t child_for(std::string_view key) const { return separators.count_up_to(key); }
};

SnapshotRef SnapshotView::look(std::string_view key) const {
  const Node* node = root_.get();
  if (node == nullptr) return {};
  while (!node->leaf()) node = node->children[node->child_for(key)].get();
  const std::size_t index = node->page.lower_bound(key);
  if (index == node->page.size()) return {};
  const SnapshotRef found = node->page.at(index);
  return found.key() == key ? found : SnapshotRef{};
}

SnapshotPtr SnapshotView::find(std::string_view key) const {
  const SnapshotRef found = look(key);
  return found ? found.share() : nullptr;
}

void SnapshotView::scan(std::string_view from,
                        const std::function<bool(SnapshotRef)>& visit) const {
  // Walks one leaf at a time; `next` is the least key of the leaf after it.
  std::string cursor(from);
  const Node* node = root_.get();
  while (node != nullptr) {
    std::optional<std::string_view> next;
    while (!node->leaf()) {
      const std::size_t child = node->child_for(cursor);
      if (child < node->separators.size()) next = node->separators.at(child);
      node = node->children[child].get();
    }
    for (std::size_t i = node->page.lower_bound(cursor); i < node->page.size(); ++i) {
      if (!visit(node->page.at(i))) return;
    }
    if (!next) return;
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
  // The copy counts itself with every child, each of them elsewhere in memory: ask for all at once.
  for (const NodePtr& child : node->children) __builtin_prefetch(child.get(), 1);
  auto copy = std::make_shared<Node>(*node);
  copy->edit = edit_;
  return copy;
}

void SnapshotIndex::put_into_leaf(NodePtr& node, const SnapshotPtr& snapshot) {
  const SnapshotPage& page = node->page;
  const std::size_t index = page.lower_bound(snapshot->key);
  const bool replace = index < page.size() && page.at(index).key() == snapshot->key;
  if (!replace) ++draft_.size_;
  SnapshotPage changed = page.with(index, replace, snapshot);
  if (node->edit != edit_) {
    node = std::make_shared<Node>();
    node->edit = edit_;
  }
  node->page = std::move(changed);
}

SnapshotIndex::Split SnapshotIndex::split_if_full(Node& node) const {
  const std::size_t count = node.leaf() ? node.page.size() : node.children.size();
  const bool full = node.leaf() ? count > 1 && node.page.is_full() : count > kFanout;
  if (!full) return {};
  // Keys often arrive in order (loading); a full left node then wastes least.
  const std::size_t keep = std::max<std::size_t>(1, count * 3 / 4);
  auto right = std::make_shared<Node>();
  right->edit = edit_;
  if (node.leaf()) {
    right->page = node.page.part(keep, count);
    node.page = node.page.part(0, keep);
    return {right, std::string(right->page.at(0).key())};
  }
  std::string least(node.separators.at(keep - 1));
  const auto at = static_cast<std::ptrdiff_t>(keep);
  right->children.assign(node.children.begin() + at, node.children.end());
  right->separators = node.separators.part(keep, count - 1);
  node.children.erase(node.children.begin() + at, node.children.end());
  node.separators = node.separators.part(0, keep - 1);
  return {std::move(right), std::move(least)};
}

SnapshotIndex::Split SnapshotIndex::put_into(NodePtr& node, const SnapshotPtr& snapshot) {
  if (node->leaf()) {
    put_into_leaf(node, snapshot);
    return split_if_full(*node);
  }
  node = own(node);
  const std::size_t child = node->child_for(snapshot->key);
  Split split = put_into(node->children[child], snapshot);
  if (split.right == nullptr) return {};
  const auto at = static_cast<std::ptrdiff_t>(child);
  node->children.insert(node->children.begin() + at + 1, std::move(split.right));
  node->separators.insert(child, split.least);
  return split_if_full(*node);
}

void SnapshotIndex::put(const SnapshotPtr& snapshot) {
  SE_ASSERT(snapshot != nullptr);
  if (draft_.root_ == nullptr) {
    draft_.root_ = std::make_shared<Node>();
    draft_.root_->edit = edit_;
  }
  Split split = put_into(draft_.root_, snapshot);
  if (split.right == nullptr) return;
  auto root = std::make_shared<Node>();
  root->edit = edit_;
  root->children = {draft_.root_, std::move(split.right)};
  root->separators.insert(0, split.least);
  draft_.root_ = std::move(root);
}

void SnapshotIndex::load(std::vector<SnapshotPage> pages) {
  SE_ASSERT(draft_.root_ == nullptr);
  // Level by level from below; each node with the least key under it.
  std::vector<std::pair<NodePtr, std::string>> level;
  for (SnapshotPage& page : pages) {
    if (page.size() == 0) continue;
    std::string least(page.at(0).key());
    if (!level.empty()) SE_ASSERT(level.back().second < least);
    draft_.size_ += page.size();
    auto leaf = std::make_shared<Node>();
    leaf->edit = edit_;
    leaf->page = std::move(page);
    level.emplace_back(std::move(leaf), std::move(least));
  }
  while (level.size() > 1) {
    std::vector<std::pair<NodePtr, std::string>> above;
    for (std::size_t i = 0; i < level.size(); ++i) {
      if (i % kFanout == 0) {
        above.emplace_back(std::make_shared<Node>(), level[i].second);
        above.back().first->edit = edit_;
      } else {
        KeyList& separators = above.back().first->separators;
        separators.insert(separators.size(), level[i].second);
      }
      above.back().first->children.push_back(std::move(level[i].first));
    }
    level = std::move(above);
  }
  if (!level.empty()) draft_.root_ = std::move(level.front().first);
}

}  // namespace state_engine
