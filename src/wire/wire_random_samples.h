// Random core values for round trips through the codecs. Tests only.

#ifndef STATE_ENGINE_WIRE_WIRE_RANDOM_SAMPLES_H_
#define STATE_ENGINE_WIRE_WIRE_RANDOM_SAMPLES_H_

#include <memory>
#include <string>
#include <utility>

#include "base/random.h"
#include "core/types.h"

namespace state_engine::wire::samples {

// Random values. `portable` keeps to what protobuf's own JSON can say: integers within 2^53 and few
// levels.
class RandomSamples {
 public:
  RandomSamples(std::uint64_t seed, bool portable) : random_(seed), portable_(portable) {}

  bool flip() { return random_.below(2) == 0; }

  std::string text() {
    static const std::string kParts[] = {"a", "Zz", "9", "\"", "\\", "\n", "ä", "€", "😀", " "};
    std::string out = "x";
    for (std::uint64_t n = random_.below(8); n > 0; --n) out += kParts[random_.below(10)];
    return out;
  }

  std::int64_t integer() {
    const auto bits = static_cast<std::int64_t>(random_.next() >> random_.below(64));
    const std::int64_t number = flip() ? bits : -(bits / 2) - 1;
    return portable_ ? number % (std::int64_t{1} << 53) : number;
  }
  // A version or seq: from 1.
  std::int64_t count() { return (integer() & (portable_ ? 0xFFFFFFFF : INT64_MAX)) | 1; }

  Timestamp time() {
    return timestamp_from_ms(static_cast<std::int64_t>(random_.below(4'102'444'800'000)));
  }

  json::Value value(int levels) {
    switch (random_.below(levels > 0 ? 8 : 6)) {
      case 0:
        return nullptr;
      case 1:
        return flip();
      case 2:
        return integer();
      case 3:
        return static_cast<double>(integer()) / 1024.5;
      case 4:
      case 5:
        return json::Value(boost::json::string(text()));
      case 6: {
        json::Array out;
        for (std::uint64_t n = random_.below(4); n > 0; --n) out.push_back(value(levels - 1));
        return out;
      }
      default:
        return object(levels - 1);
    }
  }
  json::Value value() {
    if (portable_ || random_.below(8) != 0) return value(5);
    json::Value deep = value(2);
    for (int i = 0; i < 45; ++i) deep = json::Array{std::move(deep)};
    return deep;
  }

  json::Object object(int levels) {
    json::Object out;
    for (std::uint64_t n = random_.below(4); n > 0; --n) out.emplace(text(), value(levels));
    return out;
  }

  Proposal proposal() {
    Proposal out;
    out.id = "id-" + std::to_string(random_.next());
    out.op = static_cast<Op>(random_.below(5));
    out.key = "k." + std::to_string(random_.next());
    if (out.op != Op::kDelete) out.value = value();
    out.actor = text();
    out.reason = text();
    if (flip()) out.expected_version = count();
    out.ts = time();
    if (flip()) out.ttl = std::chrono::milliseconds{1 + random_.below(1'000'000'000)};
    out.metadata = object(2);
    if (flip()) out.correlation_id = text();
    if (flip()) out.causation_id = text();
    if (flip()) out.traceparent = text();
    return out;
  }

  Snapshot snapshot() {
    Snapshot out;
    out.key = text();
    out.value = value();
    out.version = count();
    out.updated_at = time();
    out.updated_by = text();
    if (flip()) out.ttl = std::chrono::milliseconds{1 + random_.below(1'000'000'000)};
    if (flip()) out.expires_at = time();
    out.seq = count();
    out.mutation_id = text();
    out.reason = text();
    out.metadata = object(2);
    out.deleted = flip();
    return out;
  }

  Effect effect() {
    return {text(), text(), text(), count(), text(), json::write_canonical(value()),
            text(), time()};
  }

  RejectionCode code() {
    const auto table = rejection_table();
    return table[random_.below(table.size())].code;
  }

  MutationResult result(int levels = 1) {
    MutationResult out;
    out.mutation_id = text();
    out.accepted = flip();
    if (!out.accepted) out.code = code();
    if (!out.accepted) out.error = text();
    out.key = text();
    out.op = static_cast<Op>(random_.below(6));
    if (flip()) out.version = count();
    if (flip()) out.previous_version = count();
    if (flip()) out.seq = count();
    if (flip()) out.committed_at = time();
    out.duplicate = flip();
    out.unconditional = flip();
    if (flip()) out.current = std::make_shared<const Snapshot>(snapshot());
    if (flip()) out.retry_after = std::chrono::milliseconds{random_.below(100'000)};
    out.dry_run = flip();
    for (std::uint64_t n = levels > 0 ? random_.below(3) : 0; n > 0; --n) {
      out.derived.push_back(result(levels - 1));
      out.effects.push_back(effect());
    }
    return out;
  }

  TransactionResult transaction_result() {
    TransactionResult out;
    out.transaction_id = text();
    out.accepted = flip();
    if (!out.accepted) out.code = code();
    if (!out.accepted) out.error = text();
    if (!out.accepted) out.failed_index = static_cast<int>(random_.below(64));
    for (std::uint64_t n = random_.below(4); n > 0; --n) out.members.push_back(result(0));
    out.duplicate = flip();
    out.dry_run = flip();
    if (flip()) out.retry_after = std::chrono::milliseconds{random_.below(100'000)};
    if (flip()) out.derived.push_back(result(0));
    if (flip()) out.effects.push_back(effect());
    return out;
  }

  LogEntry log_entry() {
    LogEntry out;
    out.proposal = proposal();
    out.seq = count();
    out.engine_id = text();
    out.principal = text();
    out.actor_verified = flip();
    out.accepted = flip();
    if (!out.accepted) out.code = code();
    if (!out.accepted) out.error = text();
    out.previous_version = count();
    if (flip()) out.resulting_version = count();
    out.committed_at = time();
    out.policy_revision = text();
    if (flip()) out.policy_rule = text();
    out.rule_revision = text();
    if (flip()) out.transaction_id = text();
    for (std::uint64_t n = random_.below(3); n > 0; --n) {
      out.rules.push_back({text(),
                           text(),
                           flip(),
                           static_cast<int>(random_.below(9)),
                           static_cast<int>(random_.below(9)),
                           {{text(), count()}},
                           flip() ? text() : "",
                           flip() ? text() : ""});
    }
    out.payload_hash = text();
    if (flip()) out.resulting_value = value();
    out.salt = text();
    out.prev_hash = text();
    out.hash = text();
    return out;
  }

  ChangeEvent change() {
    ChangeEvent out;
    out.seq = count();
    out.engine_id = text();
    out.key = text();
    out.op = static_cast<Op>(random_.below(6));
    out.version = count();
    out.value = value();
    out.prev = value();
    out.actor = text();
    out.reason = text();
    out.mutation_id = text();
    if (flip()) out.causation_id = text();
    if (flip()) out.correlation_id = text();
    out.committed_at = time();
    return out;
  }

 private:
  SeededRandom random_;
  bool portable_;
};

}  // namespace state_engine::wire::samples

#endif  // STATE_ENGINE_WIRE_WIRE_RANDOM_SAMPLES_H_
