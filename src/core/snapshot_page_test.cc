#include "core/snapshot_page.h"

#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace state_engine {
namespace {

Snapshot sample(std::string key, json::Value value) {
  Snapshot out;
  out.key = std::move(key);
  out.value = std::move(value);
  out.version = 3;
  out.updated_at = timestamp_from_ms(1'760'000'000'123);
  out.updated_by = "agent-1";
  out.seq = 42;
  out.mutation_id = "6f1c1c1e-0000-4000-8000-000000000001";
  out.reason = "because";
  return out;
}

void expect_same(const Snapshot& a, const Snapshot& b) {
  EXPECT_EQ(a.key, b.key);
  EXPECT_TRUE(json::equal(a.value, b.value)) << a.key;
  EXPECT_EQ(a.version, b.version);
  EXPECT_EQ(a.updated_at, b.updated_at);
  EXPECT_EQ(a.updated_by, b.updated_by);
  EXPECT_EQ(a.ttl, b.ttl);
  EXPECT_EQ(a.expires_at, b.expires_at);
  EXPECT_EQ(a.seq, b.seq);
  EXPECT_EQ(a.mutation_id, b.mutation_id);
  EXPECT_EQ(a.reason, b.reason);
  EXPECT_EQ(a.metadata, b.metadata);
  EXPECT_EQ(a.deleted, b.deleted);
}

TEST(SnapshotPageTest, GivesBackWhatWasPacked) {
  Snapshot plain = sample("a", json::Object{{"n", 1.5}, {"s", "\xc3\xa9"}});
  Snapshot expiring = sample("b", json::Array{1, nullptr, true});
  expiring.ttl = std::chrono::milliseconds{1500};
  expiring.expires_at = expiring.updated_at + *expiring.ttl;
  expiring.metadata = {{"source", "test"}, {"depth", 2}};
  Snapshot gone = sample("c", nullptr);
  gone.deleted = true;
  Snapshot empty;
  empty.key = "d";
  SnapshotPage page;
  for (const Snapshot* each : {&plain, &expiring, &gone, &empty}) {
    page.append(std::make_shared<const Snapshot>(*each));
  }
  ASSERT_EQ(page.size(), 4U);
  std::size_t index = 0;
  for (const Snapshot* each : {&plain, &expiring, &gone, &empty}) {
    const SnapshotRef found = page.at(index++);
    EXPECT_EQ(found.whole(), nullptr);
    EXPECT_EQ(found.key(), each->key);
    EXPECT_EQ(found.version(), each->version);
    EXPECT_EQ(found.deleted(), each->deleted);
    expect_same(*found.share(), *each);
  }
  EXPECT_TRUE(page.at(1).visible_at(*expiring.expires_at - std::chrono::milliseconds{1}));
  EXPECT_FALSE(page.at(1).visible_at(*expiring.expires_at));
  EXPECT_FALSE(page.at(2).visible_at(plain.updated_at));
}

TEST(SnapshotPageTest, KeepsTheObjectOfWhatIsLargeOrOdd) {
  auto large = std::make_shared<const Snapshot>(sample("a", json::Value(std::string(2000, 'x'))));
  Snapshot strange = sample("b", 1);
  strange.mutation_id = std::string(70'000, 'i');
  auto odd = std::make_shared<const Snapshot>(strange);
  SnapshotPage page;
  page.append(large);
  page.append(odd);
  EXPECT_EQ(page.at(0).whole(), large);
  EXPECT_EQ(page.at(1).share(), odd);
  EXPECT_EQ(page.at(1).key(), "b");
  EXPECT_EQ(page.at(0).version(), 3);
}

TEST(SnapshotPageTest, MatchesAMapUnderRandomChanges) {
  SeededRandom random(11);
  SnapshotPage page;
  std::map<std::string, SnapshotPtr> model;
  for (int round = 0; round < 3000; ++round) {
    const std::string key = fmt::format("k{}", random.below(40));
    const std::size_t size = random.below(4) == 0 ? 1500 : random.below(30);
    auto snapshot =
        std::make_shared<const Snapshot>(sample(key, json::Value(std::string(size, 'v'))));
    const std::size_t index = page.lower_bound(key);
    const bool replace = index < page.size() && page.at(index).key() == key;
    EXPECT_EQ(replace, model.contains(key));
    page = page.with(index, replace, snapshot);
    model[key] = snapshot;
  }
  ASSERT_EQ(page.size(), model.size());
  std::size_t index = 0;
  for (const auto& [key, snapshot] : model) {
    EXPECT_EQ(page.lower_bound(key), index);
    expect_same(*page.at(index++).share(), *snapshot);
  }
  EXPECT_EQ(page.lower_bound("z"), page.size());
}

TEST(SnapshotPageTest, PartsAndTheReverseKeepEverySnapshot) {
  SnapshotPage page;
  for (int i = 0; i < 9; ++i) {
    page.append(std::make_shared<const Snapshot>(
        sample(fmt::format("k{}", i), json::Value(std::string(i % 3 == 0 ? 2000 : 2, 'v')))));
  }
  const SnapshotPage back = page.reversed();
  for (std::size_t i = 0; i < 9; ++i) expect_same(*back.at(8 - i).share(), *page.at(i).share());
  const SnapshotPage middle = page.part(3, 7);
  ASSERT_EQ(middle.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) expect_same(*middle.at(i).share(), *page.at(i + 3).share());
  EXPECT_EQ(page.part(2, 2).size(), 0U);
}

}  // namespace
}  // namespace state_engine
