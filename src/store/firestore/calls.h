// Calls: reads over a Client, tried again for a short while, in portions that Firestore takes.
//
// Reads change nothing, so that an answer that was lost is simply asked for again. Waits have
// jitter, so that several engines do not come back in step, and end early when the store closes.
//
// Threads: any.

#ifndef STATE_ENGINE_STORE_FIRESTORE_CALLS_H_
#define STATE_ENGINE_STORE_FIRESTORE_CALLS_H_

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "store/firestore/client.h"
#include "store/firestore/field_codec.h"

namespace state_engine::firestore {

// A growing wait with jitter between attempts.
class Pauses {
 public:
  explicit Pauses(Random& random) : random_(random) {}

  // Waits before attempt number `attempt` + 1 (from 0). False if stop() was called.
  bool wait(int attempt);
  // Ends all waits, now and later.
  void stop();

 private:
  Random& random_;
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stopped_ = false;
};

struct CallTimes {
  std::chrono::milliseconds attempt{5000};        // one remote call
  std::chrono::milliseconds read_patience{1000};  // new attempts of a read are made for so long
  std::chrono::milliseconds commit_patience{10'000};
};

class Calls {
 public:
  Calls(Client& client, Pauses& pauses, CallTimes times)
      : client_(client), pauses_(pauses), times_(times) {}

  // Errors: kUnavailable, kFailedPrecondition (no such database, no permission).
  Result<std::vector<std::optional<Document>>> get(const std::vector<std::string>& names);
  Result<QueryAnswer> query(const google::firestore::v1::StructuredQuery& query,
                            const std::optional<google::protobuf::Timestamp>& read_time = {});

  Client& client() const { return client_; }
  Pauses& pauses() const { return pauses_; }
  const CallTimes& times() const { return times_; }

 private:
  template <typename T, typename Call>
  Result<T> patiently(const Call& call);

  Client& client_;
  Pauses& pauses_;
  CallTimes times_;
};

// Builds a query over one collection. Every query of this store needs the automatic single-field
// indexes only.
class Query {
 public:
  using Op = google::firestore::v1::StructuredQuery::FieldFilter::Operator;
  static constexpr Op kEqual = google::firestore::v1::StructuredQuery::FieldFilter::EQUAL;
  static constexpr Op kLess = google::firestore::v1::StructuredQuery::FieldFilter::LESS_THAN;
  static constexpr Op kGreater = google::firestore::v1::StructuredQuery::FieldFilter::GREATER_THAN;
  static constexpr Op kAtLeast =
      google::firestore::v1::StructuredQuery::FieldFilter::GREATER_THAN_OR_EQUAL;
  static constexpr Op kIn = google::firestore::v1::StructuredQuery::FieldFilter::IN;

  explicit Query(std::string_view collection);

  Query& where(const std::string& field, Op op, google::firestore::v1::Value value);
  Query& where(const std::string& field, Op op, const std::string& text);
  Query& where(const std::string& field, Op op, std::int64_t number);
  Query& where_in(const std::string& field, const std::vector<std::string>& texts);
  Query& order(const std::string& field, bool descending = false);
  Query& limit(std::size_t most);
  Query& select(const std::string& field);
  // Goes on after `document`, by the order fields. REQUIRES: order() calls before.
  Query& start_after(const Document& document);

  const google::firestore::v1::StructuredQuery& built();

 private:
  google::firestore::v1::StructuredQuery query_;
  std::vector<google::firestore::v1::StructuredQuery::Filter> filters_;
};

// The name of the field that orders by document id.
inline constexpr const char* kNameField = "__name__";

// Firestore takes so many values in one IN.
inline constexpr std::size_t kInMax = 30;

google::firestore::v1::Value reference_value(const std::string& name);

}  // namespace state_engine::firestore

#endif  // STATE_ENGINE_STORE_FIRESTORE_CALLS_H_
