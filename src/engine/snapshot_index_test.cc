#include "engine/snapshot_index.h"

#include <map>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace state_engine {
namespace {

SnapshotPtr make(std::string key, std::int64_t version) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->key = std::move(key);
  snapshot->version = version;
  return snapshot;
}

std::map<std::string, std::int64_t> contents(const SnapshotView& view, std::string_view from = "") {
  std::map<std::string, std::int64_t> out;
  std::string last;
  view.scan(from, [&](SnapshotRef item) {
    EXPECT_TRUE(last.empty() || last < item.key()) << "out of order at " << item.key();
    last = item.key();
    out[last] = item.version();
    return true;
  });
  return out;
}

TEST(SnapshotIndexTest, FindsNothingInAnEmptyIndex) {
  SnapshotIndex index;
  EXPECT_EQ(index.view().find("a"), nullptr);
  EXPECT_TRUE(contents(index.view()).empty());
}

TEST(SnapshotIndexTest, ShowsNothingBeforePublish) {
  SnapshotIndex index;
  index.put(make("a", 1));
  EXPECT_EQ(index.view().find("a"), nullptr);
  index.publish(1);
  ASSERT_NE(index.view().find("a"), nullptr);
  EXPECT_EQ(index.view().seq(), 1);
}

TEST(SnapshotIndexTest, MatchesAMapUnderRandomWritesAndKeepsOldRevisions) {
  SeededRandom random(7);
  SnapshotIndex index;
  std::map<std::string, std::int64_t> model;
  std::vector<std::pair<SnapshotView, std::map<std::string, std::int64_t>>> kept;
  for (int round = 0; round < 400; ++round) {
    for (std::uint64_t i = 0; i < 1 + random.below(40); ++i) {
      const std::string key = fmt::format("k{}", random.below(3000));
      model[key] += 1;
      index.put(make(key, model[key]));
    }
    index.publish(round + 1);
    if (round % 40 == 0) kept.emplace_back(index.view(), model);
  }
  EXPECT_EQ(contents(index.view()), model);
  EXPECT_EQ(index.view().size(), model.size());
  for (const auto& [view, expected] : kept) EXPECT_EQ(contents(view), expected);
  for (const auto& [key, version] : model) {
    ASSERT_NE(index.view().find(key), nullptr);
    EXPECT_EQ(index.view().find(key)->version, version);
  }
  EXPECT_EQ(index.view().find("absent"), nullptr);
}

TEST(SnapshotIndexTest, ScansFromAnyKey) {
  SnapshotIndex index;
  std::map<std::string, std::int64_t> model;
  for (int i = 0; i < 5000; ++i) {
    const std::string key = fmt::format("{:05}", i * 2);
    model[key] = 1;
    index.put(make(key, 1));
  }
  index.publish(1);
  for (int i = 0; i < 10000; i += 37) {
    const std::string from = fmt::format("{:05}", i);
    const std::map<std::string, std::int64_t> expected(model.lower_bound(from), model.end());
    EXPECT_EQ(contents(index.view(), from), expected);
  }
}

// As a store has it: keys in order, in pages.
std::vector<SnapshotPage> pages_of(int keys) {
  std::vector<SnapshotPage> pages;
  for (int i = 0; i < keys; ++i) {
    if (pages.empty() || pages.back().is_full()) pages.emplace_back();
    pages.back().append(make(fmt::format("{:06}", i * 2), 1));
  }
  return pages;
}

TEST(SnapshotIndexTest, TakesOverLoadedPagesAndGrowsOn) {
  for (const int keys : {0, 1, 63, 64, 65, 20'000}) {
    SnapshotIndex index;
    index.load(pages_of(keys));
    index.publish(7);
    ASSERT_EQ(index.view().size(), static_cast<std::size_t>(keys));
    const SnapshotView loaded = index.view();
    std::map<std::string, std::int64_t> model = contents(loaded);
    ASSERT_EQ(model.size(), static_cast<std::size_t>(keys));
    SeededRandom random(3);
    for (int i = 0; i < 2000; ++i) {
      const std::string key = fmt::format("{:06}", random.below(40'000));
      index.put(make(key, ++model[key]));
    }
    index.publish(8);
    EXPECT_EQ(contents(index.view()), model);
    EXPECT_EQ(index.view().size(), model.size());
    EXPECT_EQ(loaded.size(), static_cast<std::size_t>(keys)) << "a kept revision changed";
  }
}

TEST(SnapshotIndexTest, LooksAtLargeAndSmallValuesWhereTheyLie) {
  SnapshotIndex index;
  for (int i = 0; i < 300; ++i) {
    auto snapshot = std::make_shared<Snapshot>(*make(fmt::format("{:03}", i), i));
    snapshot->value = json::Value(std::string(i % 4 == 0 ? 5000 : 5, 'v'));
    index.put(snapshot);
  }
  index.publish(1);
  const SnapshotView view = index.view();
  for (int i = 0; i < 300; ++i) {
    const SnapshotRef found = view.look(fmt::format("{:03}", i));
    ASSERT_TRUE(found);
    EXPECT_EQ(found.version(), i);
    EXPECT_EQ(found.whole() != nullptr, i % 4 == 0);
    EXPECT_EQ(found.share()->value.get_string().size(), i % 4 == 0 ? 5000U : 5U);
  }
  EXPECT_FALSE(view.look("3"));
  EXPECT_EQ(view.find("3"), nullptr);
}

TEST(SnapshotIndexTest, ReadersSeeWholeRevisionsWhileTheWriterWorks) {
  SnapshotIndex index;
  for (int i = 0; i < 200; ++i) index.put(make(fmt::format("k{:03}", i), 0));
  index.publish(0);
  std::jthread reader([&](std::stop_token stop) {
    while (!stop.stop_requested()) {
      const SnapshotView view = index.view();
      view.scan("", [&](SnapshotRef item) {
        EXPECT_EQ(item.version(), view.seq());
        return true;
      });
    }
  });
  for (std::int64_t seq = 1; seq <= 200; ++seq) {
    for (int i = 0; i < 200; ++i) index.put(make(fmt::format("k{:03}", i), seq));
    index.publish(seq);
  }
  reader.request_stop();
}

}  // namespace
}  // namespace state_engine
