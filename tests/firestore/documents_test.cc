// Compatibility of documents: what the reference wrote is read, and what is written carries the
// reference's fields in its forms. On the fake, whose answers the conformance suite vouches for.

#include "store/firestore/documents.h"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "core/chain.h"
#include "store/firestore/client.h"
#include "store/firestore/ids.h"
#include "store/firestore/value_codec.h"
#include "tests/conformance/firestore_home.h"
#include "tests/support/fake_firestore.h"

namespace state_engine::test {
namespace {

json::Value golden() {
  std::ifstream file(SE_SOURCE_DIR "/tests/testdata/platform/firestore_documents.json");
  std::stringstream text;
  text << file.rdbuf();
  return must(json::parse(text.str()));
}

class FirestoreDocumentsTest : public testing::Test {
 protected:
  FirestoreDocumentsTest() {
    const FirestoreOptions options = home_.options();
    firestore::ClientOptions raw;
    raw.project = options.project;
    raw.emulator = options.emulator;
    client_ = must(firestore::Client::create(raw));
    store_ = must(home_.open_as("engine-1"));
  }
  ~FirestoreDocumentsTest() override { EXPECT_TRUE(await(store_->close()).ok()); }

  static firestore::Client::Deadline soon() {
    return std::chrono::system_clock::now() + std::chrono::seconds{5};
  }

  // Writes a document as another program would.
  void write(const std::string& collection, const std::string& id, const json::Object& fields) {
    google::firestore::v1::CommitRequest commit;
    auto& document = *commit.add_writes()->mutable_update();
    document.set_name(client_->name(collection, id));
    for (const auto& member : fields) {
      (*document.mutable_fields())[std::string(member.key())] =
          firestore::to_native(member.value()).value();
    }
    const auto reply = client_->commit(commit, soon());
    ASSERT_EQ(reply.index(), 0U) << std::get<firestore::Fault>(reply).message;
  }

  json::Object read(const std::string& collection, const std::string& id) {
    const auto reply = client_->get({client_->name(collection, id)}, soon());
    const auto& found = std::get<0>(reply).front();
    json::Object fields;
    if (!found) {
      ADD_FAILURE() << collection << "/" << id << " is not there";
      return fields;
    }
    for (const auto& [name, value] : found->fields()) {
      fields[name] = firestore::from_native(value);
    }
    return fields;
  }

  void write_golden() {
    const json::Value all = golden();
    for (const char* collection : {"state", "mutation_log"}) {
      for (const json::Value& item : all.at(collection).as_array()) {
        write(collection, std::string(item.at("id").as_string()), item.at("fields").as_object());
      }
    }
  }

  FakeFirestore server_;
  FirestoreHome home_{server_.address()};
  std::unique_ptr<firestore::Client> client_;
  std::unique_ptr<FirestoreStateStore> store_;
};

TEST_F(FirestoreDocumentsTest, ReadsTheStateThatTheReferenceWrote) {
  write_golden();
  const auto snapshots = must(await(store_->scan_snapshots("", 10)));
  ASSERT_EQ(snapshots.size(), 2U);
  const Snapshot& state = *snapshots[0];
  EXPECT_EQ(state.key, "stream.state");
  EXPECT_EQ(state.value, json::Value("on"));
  EXPECT_EQ(state.version, 7);
  EXPECT_EQ(state.updated_by, "ingress-egress:twitch");
  EXPECT_EQ(state.reason, "Twitch EventSub: stream.online");
  EXPECT_EQ(json::write(state.metadata), R"({"broadcasterId":"1001","streamId":"9001"})");
  EXPECT_FALSE(state.ttl.has_value());
  EXPECT_FALSE(state.deleted);
  const Snapshot& mood = *snapshots[1];
  EXPECT_EQ(mood.ttl, std::chrono::seconds{864'000'000});
  EXPECT_EQ(mood.expires_at, mood.updated_at + std::chrono::seconds{864'000'000});
  EXPECT_EQ(mood.value.at("score"), json::Value(0.75));
}

TEST_F(FirestoreDocumentsTest, KnowsTheMutationsThatTheReferenceDecided) {
  write_golden();
  const auto found = must(
      await(store_->lookup({"0b7e3c52-8f3e-4f0f-9a51-7a5f0f6f2f10", "abc:disposition", "new"})));
  ASSERT_TRUE(found[0] && found[1]);
  EXPECT_FALSE(found[2].has_value());
  EXPECT_TRUE(found[0]->accepted);
  EXPECT_EQ(found[0]->resulting_version, 7);
  EXPECT_EQ(found[0]->previous_version, 6);
  EXPECT_EQ(found[0]->payload_hash, payload_hash(found[0]->proposal))
      << "a redelivery must be known as the same proposal";
  EXPECT_FALSE(found[1]->accepted);
  EXPECT_EQ(found[1]->code, RejectionCode::kKeyNotAllowed);
  EXPECT_EQ(found[1]->error, "Key not allowed");
  EXPECT_EQ(found[1]->proposal.ttl, std::chrono::seconds{60});
}

TEST_F(FirestoreDocumentsTest, GoesOnWithAKeyOfTheReference) {
  write_golden();
  BatchBuilder batches;
  batches.accept("m-1", "stream.state", "off");
  CommitBatch batch = *batches.take();
  batch.entries[0].previous_version = 7;
  batch.entries[0].resulting_version = 8;
  batch.entries[0].hash = entry_hash(batch.entries[0]);
  auto snapshot = std::make_shared<Snapshot>(*batch.snapshots[0]);
  snapshot->version = 8;
  batch.snapshots[0] = snapshot;
  const auto reply = await(store_->commit(std::make_shared<const CommitBatch>(batch)));
  EXPECT_EQ(reply.outcome, CommitOutcome::kCommitted) << reply.message;
  EXPECT_EQ(read("state", "stream.state").at("version"), json::Value(8));
}

// The reverse: names, types and forms that the reference's code reads.
TEST_F(FirestoreDocumentsTest, WritesWhatTheReferenceReads) {
  BatchBuilder batches;
  batches.accept("m-1", "stream.state", "on",
                 {.actor = "llm-bot",
                  .reason = "the stream began",
                  .ttl = std::chrono::seconds{21'600},
                  .metadata = {{"streamId", "9001"}}});
  batches.reject("m-2", "stream.state", RejectionCode::kVersionConflict);
  ASSERT_EQ(await(store_->commit(batches.take())).outcome, CommitOutcome::kCommitted);

  const json::Object state = read("state", "stream.state");
  EXPECT_EQ(state.at("value"), json::Value("on"));
  EXPECT_EQ(state.at("version"), json::Value(1));
  EXPECT_EQ(state.at("updatedBy"), json::Value("llm-bot"));
  EXPECT_EQ(state.at("ttl"), json::Value(21'600));
  EXPECT_TRUE(parse_rfc3339(std::string(state.at("updatedAt").as_string())).ok());
  EXPECT_EQ(json::write_canonical(state.at("metadata")),
            R"({"source":"the stream began","streamId":"9001"})");

  const json::Object accepted = read("mutation_log", "m-1");
  for (const auto& [name, value] : {std::pair{"id", json::Value("m-1")},
                                    {"op", "set"},
                                    {"key", "stream.state"},
                                    {"value", "on"},
                                    {"actor", "llm-bot"},
                                    {"reason", "the stream began"},
                                    {"ttl", 21'600},
                                    {"status", "accepted"},
                                    {"resultingVersion", 1}}) {
    EXPECT_EQ(accepted.at(name), value) << name;
  }
  EXPECT_FALSE(accepted.contains("error"));
  EXPECT_TRUE(parse_rfc3339(std::string(accepted.at("ts").as_string())).ok());
  EXPECT_TRUE(parse_rfc3339(std::string(accepted.at("committedAt").as_string())).ok());
  const json::Object rejected = read("mutation_log", "m-2");
  EXPECT_EQ(rejected.at("status"), json::Value("rejected"));
  EXPECT_EQ(rejected.at("error"), json::Value("Version mismatch: expected 41, found 0"));
  EXPECT_EQ(rejected.at("expectedVersion"), json::Value(41));
  EXPECT_FALSE(rejected.contains("resultingVersion"));
}

TEST_F(FirestoreDocumentsTest, AValueThatFirestoreCannotHoldIsTextBesideANull) {
  BatchBuilder batches;
  batches.accept("m-1", "a", must(json::parse("[[1],[2]]")));
  ASSERT_EQ(await(store_->commit(batches.take())).outcome, CommitOutcome::kCommitted);
  EXPECT_TRUE(read("state", "a").at("value").is_null());
  EXPECT_EQ(read("state", "a").at("valueJson"), json::Value("[[1],[2]]"));
  EXPECT_EQ(read("mutation_log", "m-1").at("valueJson"), json::Value("[[1],[2]]"));
}

TEST_F(FirestoreDocumentsTest, ASourceInTheProposersMetadataIsKeptApartFromTheReason) {
  BatchBuilder batches;
  batches.accept("m-1", "a", 1, {.reason = "why", .metadata = {{"source", "mine"}}});
  const auto wanted = batches.state();
  ASSERT_EQ(await(store_->commit(batches.take())).outcome, CommitOutcome::kCommitted);
  expect_same(*must(await(store_->scan_snapshots("", 1))).at(0), *wanted.at("a"));
}

TEST_F(FirestoreDocumentsTest, KeysThatCannotBeIdsAreHashedAndStayInOrder) {
  const std::string looks_hashed = firestore::document_id("a/b");
  const std::vector<std::string> keys = {".",   "..", "__x__",      "a",    "a.b", "a/b",
                                         "a/c", "b",  looks_hashed, "h_zz", "z"};
  BatchBuilder batches;
  int number = 0;
  for (const std::string& key : keys)
    batches.accept("m-" + std::to_string(++number), key, json::Value(key));
  ASSERT_EQ(await(store_->commit(batches.take())).outcome, CommitOutcome::kCommitted);
  EXPECT_EQ(read("state", looks_hashed).at("key"), json::Value("a/b"));

  for (const std::size_t limit : {1U, 2U, 3U, 50U}) {
    std::vector<std::string> seen;
    PrefixQuery query{"", "", limit, ""};
    bool more = true;
    while (more) {
      const PrefixPage page = must(await(store_->read_prefix(query)));
      for (const SnapshotPtr& snapshot : page.snapshots) seen.push_back(snapshot->key);
      query.after_key = seen.back();
      query.revision = page.revision;
      more = page.more;
    }
    EXPECT_EQ(seen, keys) << "in pages of " << limit;
  }
  const PrefixPage some = must(await(store_->read_prefix({"a/", "", 10, ""})));
  ASSERT_EQ(some.snapshots.size(), 2U);
  EXPECT_EQ(some.snapshots[0]->key, "a/b");
}

TEST_F(FirestoreDocumentsTest, PagesOfOneListingShowOneTime) {
  BatchBuilder batches;
  for (const char* key : {"k1", "k2", "k3"}) batches.accept(std::string("m-") + key, key, 1);
  ASSERT_EQ(await(store_->commit(batches.take())).outcome, CommitOutcome::kCommitted);
  const PrefixPage first = must(await(store_->read_prefix({"k", "", 1, ""})));
  EXPECT_TRUE(first.more);
  batches.accept("m-later", "k3", 2);
  ASSERT_EQ(await(store_->commit(batches.take())).outcome, CommitOutcome::kCommitted);
  const PrefixPage rest = must(await(store_->read_prefix({"k", "k1", 10, first.revision})));
  ASSERT_EQ(rest.snapshots.size(), 2U);
  EXPECT_EQ(rest.snapshots[1]->version, 1) << "as of the first page";
  EXPECT_EQ(must(await(store_->read_prefix({"k", "k2", 10, ""}))).snapshots[0]->version, 2);
  const auto bad = await(store_->read_prefix({"k", "k1", 10, "yesterday"}));
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(FirestoreDocumentsTest, ADamagedDocumentIsNamed) {
  write("state", "broken", {{"valueJson", "{"}, {"version", 1}});
  const auto read = await(store_->read({"broken"}));
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, ErrorCode::kDataLoss);
  EXPECT_NE(read.error().message.find("state/broken"), std::string::npos) << read.error().message;
}

}  // namespace
}  // namespace state_engine::test
