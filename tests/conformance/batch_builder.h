// Makes batches as the engine would: decided, chained, folded. For tests of stores.

#ifndef STATE_ENGINE_TESTS_CONFORMANCE_BATCH_BUILDER_H_
#define STATE_ENGINE_TESTS_CONFORMANCE_BATCH_BUILDER_H_

#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "core/types.h"
#include "ports/state_store.h"

namespace state_engine::test {

using BatchPtr = std::shared_ptr<const CommitBatch>;

// What a batch entry may say beyond key and value.
struct Extra {
  Op op = Op::kSet;
  std::string actor = "tester";
  std::string reason = "because";
  std::string causation_id;
  std::string transaction_id;
  std::optional<std::chrono::milliseconds> ttl;
  json::Object metadata;
};

class BatchBuilder {
 public:
  // Goes on after `head`; by default at the beginning of a log.
  explicit BatchBuilder(std::string engine_id = "engine-1");

  // Adds an accepted entry and its snapshot. Returns the entry, valid until the next call.
  const LogEntry& accept(const std::string& id, const std::string& key,
                         std::optional<json::Value> value, const Extra& extra = {});

  // Adds a rejected entry.
  const LogEntry& reject(const std::string& id, const std::string& key, RejectionCode code);

  // Adds an effect of the last entry.
  const Effect& effect(const std::string& rule_id, int action = 0);

  void rule_state(RuleState state) { batch_.rule_states.push_back(std::move(state)); }

  // Lets the last entry be changed before its hash is made anew.
  void amend(const std::function<void(LogEntry&)>& change);

  // The batch so far; the next one follows it.
  BatchPtr take();

  std::int64_t seq() const { return seq_; }
  const std::string& hash() const { return hash_; }

  // What the store must hold once all batches are committed.
  const std::map<std::string, SnapshotPtr>& state() const { return state_; }

 private:
  LogEntry& add(const std::string& id, const std::string& key);
  void seal(LogEntry& entry);
  void put_snapshot(const LogEntry& entry, const Extra& extra);

  std::string engine_id_;
  std::int64_t seq_ = 0;
  std::string hash_;
  CommitBatch batch_;
  std::map<std::string, SnapshotPtr> state_;
};

// A context that is ready to run. One for the thread, not for the call: a store's thread may still
// be leaving post() when the work that it posted is done here.
inline boost::asio::io_context& test_context() {
  thread_local boost::asio::io_context context;
  context.restart();
  return context;
}

// Runs an awaitable to its end on an executor of its own and checks that it resumes there.
template <typename T>
T await(boost::asio::awaitable<T> work) {
  boost::asio::io_context& context = test_context();
  std::optional<T> out;
  std::exception_ptr failure;
  const auto caller = std::this_thread::get_id();
  auto body = [&]() -> boost::asio::awaitable<void> {
    out.emplace(co_await std::move(work));
    EXPECT_EQ(std::this_thread::get_id(), caller) << "resumed on a foreign thread";
  };
  boost::asio::co_spawn(context, std::move(body), [&](std::exception_ptr e) { failure = e; });
  context.run();
  if (failure) std::rethrow_exception(failure);
  return std::move(*out);
}

// Fails the test, with the error, unless `result` is ok.
template <typename T>
T must(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << to_string(result.error().code) << ": " << result.error().message;
    throw std::runtime_error(result.error().message);
  }
  return std::move(result).value();
}

// Equality of every field; what differs is reported.
void expect_same(const LogEntry& found, const LogEntry& wanted);
void expect_same(const Snapshot& found, const Snapshot& wanted);

}  // namespace state_engine::test

#endif  // STATE_ENGINE_TESTS_CONFORMANCE_BATCH_BUILDER_H_
