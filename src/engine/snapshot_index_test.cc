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
