// The documents of a fake Firestore: what it stores, how it checks a commit, how it answers a
// query. No network, no faults; fake_firestore.h adds those.
//
// Enforces the limits of the service that concern us: document ids, sizes, depth, arrays in
// arrays, reserved field names. Keeps every past state of every document, for reads at a time.

#ifndef STATE_ENGINE_TESTS_SUPPORT_FAKE_DOCUMENTS_H_
#define STATE_ENGINE_TESTS_SUPPORT_FAKE_DOCUMENTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <google/firestore/v1/firestore.pb.h>
#include <grpcpp/support/status.h>

namespace state_engine::test {

class FakeDocuments {
 public:
  using Document = google::firestore::v1::Document;
  using Micros = std::int64_t;

  // Checks every precondition and limit, then applies all writes or none.
  grpc::Status commit(const google::firestore::v1::CommitRequest& request,
                      google::firestore::v1::CommitResponse& response);

  std::optional<Document> find(const std::string& name, Micros at) const;

  // Documents in the order asked for. Errors: UNIMPLEMENTED for what no query of ours uses.
  grpc::Status query(const std::string& parent, const google::firestore::v1::StructuredQuery& query,
                     Micros at, std::vector<Document>& out) const;

  Micros now() const { return now_; }

 private:
  // Past states, oldest first; nothing = deleted.
  using History = std::vector<std::pair<Micros, std::optional<Document>>>;
  using Changes = std::map<std::string, std::optional<Document>>;

  grpc::Status apply(const google::firestore::v1::Write& write, Changes& changes) const;
  const Document* current(const std::string& name, const Changes& changes) const;

  std::map<std::string, History> documents_;
  Micros now_ = 1'760'000'000'000'000;
};

google::protobuf::Timestamp to_proto_time(FakeDocuments::Micros micros);
FakeDocuments::Micros to_micros(const google::protobuf::Timestamp& time);

}  // namespace state_engine::test

#endif  // STATE_ENGINE_TESTS_SUPPORT_FAKE_DOCUMENTS_H_
