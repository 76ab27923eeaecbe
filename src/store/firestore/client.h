// Client: Firestore's remote calls, blocking, each with a deadline; nothing is retried here.
//
// The only files that include gRPC are this class's. Channel retries are off: a call that is sent
// twice behind our back would make its outcome unknowable.
//
// Threads: any; calls run side by side.

#ifndef STATE_ENGINE_STORE_FIRESTORE_CLIENT_H_
#define STATE_ENGINE_STORE_FIRESTORE_CLIENT_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <google/firestore/v1/firestore.pb.h>

#include "base/result.h"

namespace state_engine::firestore {

// Why a call failed, by what may be concluded from it.
enum class FaultKind {
  kStale,      // a precondition did not hold; nothing was written
  kContended,  // lost against another writer; nothing was written, try again
  kRefused,    // wrong request or no permission; nothing was written, and trying again is no use
  kUnknown,    // may or may not have been done
};

struct Fault {
  FaultKind kind = FaultKind::kUnknown;
  std::string message;  // for people; names the status

  Error to_error() const;
};

template <typename T>
using Reply = std::variant<T, Fault>;

struct ClientOptions {
  std::string project;
  std::string database = "(default)";
  // HOST:PORT of an emulator: no TLS, no credentials. Empty = the service.
  std::string emulator;
  // For tests: a server that is not the service, its root certificates (PEM) and a service account
  // (JSON) in place of the default credentials.
  std::string endpoint_for_test;
  std::string roots_for_test;
  std::string service_account_for_test;
};

struct QueryAnswer {
  std::vector<google::firestore::v1::Document> documents;
  google::protobuf::Timestamp read_time;
};

class Client {
 public:
  using Deadline = std::chrono::system_clock::time_point;

  // Connects in the background, again whenever the connection is lost. Errors:
  // kFailedPrecondition if there are no credentials; says what to do.
  static Result<std::unique_ptr<Client>> create(const ClientOptions& options);
  ~Client();

  // "projects/P/databases/D".
  const std::string& database() const { return database_; }
  // "projects/P/databases/D/documents/COLLECTION/ID".
  std::string name(std::string_view collection, std::string_view id) const;

  Reply<google::firestore::v1::CommitResponse> commit(google::firestore::v1::CommitRequest request,
                                                      Deadline deadline);

  // One document or nothing per name, in the order asked, as of one time.
  Reply<std::vector<std::optional<google::firestore::v1::Document>>> get(
      const std::vector<std::string>& names, Deadline deadline);

  // The answer as of `read_time`, or as of now.
  Reply<QueryAnswer> query(const google::firestore::v1::StructuredQuery& query,
                           const std::optional<google::protobuf::Timestamp>& read_time,
                           Deadline deadline);

 private:
  struct Impl;
  Client(std::string database, std::unique_ptr<Impl> impl);

  std::string database_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace state_engine::firestore

#endif  // STATE_ENGINE_STORE_FIRESTORE_CLIENT_H_
