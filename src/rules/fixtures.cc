// A fixture commits one change to a tiny state and compares what evaluate() says about it.

#include "rules/fixtures.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "core/apply.h"
#include "core/keys.h"

namespace state_engine {
namespace {

constexpr std::array<std::string_view, 5> kTestFields = {"name", "given", "commit", "after",
                                                         "expect"};
constexpr std::array<std::string_view, 6> kCommitFields = {"key",   "value",  "op",
                                                           "actor", "reason", "metadata"};
constexpr std::array<std::string_view, 3> kExpectFields = {"fired", "effects", "derived"};
constexpr std::array<std::string_view, 3> kDerivedFields = {"key", "op", "value"};

// The state that `given` describes. Nothing is remembered: what `rise` and `fall` rules were before
// follows from the value before.
class FixtureState final : public StateLookup, public MemoryLookup {
 public:
  const Snapshot* find(std::string_view key) const override {
    const auto found = snapshots.find(key);
    return found == snapshots.end() || found->second.deleted ? nullptr : &found->second;
  }
  std::optional<RuleMemory> memory(std::string_view /*rule*/,
                                   std::string_view /*key*/) const override {
    return std::nullopt;
  }

  std::map<std::string, Snapshot, std::less<>> snapshots;
};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

class FixtureRunner {
 public:
  FixtureRunner(const RuleSet& rules, std::string path, FixtureResult& result)
      : rules_(rules), path_(std::move(path)), result_(result) {}

  void run(const json::Value& source) {
    const json::Object* test = object_at(source, path_, kTestFields);
    if (test == nullptr) return;
    result_.name = json::find_string(*test, "name").value_or("");
    if (const json::Value* given = json::find(*test, "given")) read_given(*given);
    const json::Value* expected = json::find(*test, "expect");
    const json::Value* commit = json::find(*test, "commit");
    if (commit == nullptr) report(path_, "\"commit\" is missing: the change to try");
    if (expected == nullptr) report(path_, "\"expect\" is missing: what should come of it");
    if (const json::Value* after = json::find(*test, "after")) read_after(*after);
    if (commit != nullptr) read_commit(*commit, logic::child_path(path_, "commit"));
    if (!result_.passed()) return;
    evaluate();
    compare(*expected, logic::child_path(path_, "expect"));
  }

 private:
  const json::Object* object_at(const json::Value& value, const std::string& path,
                                std::span<const std::string_view> allowed) {
    if (!value.is_object()) {
      report(path, "must be an object, found " + std::string(json::type_name(value)));
      return nullptr;
    }
    for (const auto& member : value.get_object()) {
      const std::string_view name(member.key().data(), member.key().size());
      if (std::find(allowed.begin(), allowed.end(), name) != allowed.end()) continue;
      report(logic::child_path(path, name),
             "unknown field \"" + std::string(name) + "\"" + logic::suggestion(name, allowed));
    }
    return &value.get_object();
  }

  void read_given(const json::Value& given) {
    const std::string path = logic::child_path(path_, "given");
    if (!given.is_object()) {
      report(path, "must be an object of keys and their values");
      return;
    }
    for (const auto& member : given.get_object()) {
      Snapshot snapshot;
      snapshot.key = std::string(member.key());
      if (const auto fault = key_fault(snapshot.key)) {
        report(logic::child_path(path, snapshot.key), *fault);
      }
      snapshot.value = member.value();
      snapshot.version = 1;
      state_.snapshots.emplace(snapshot.key, std::move(snapshot));
    }
  }

  void read_after(const json::Value& after) {
    const std::string text =
        after.is_string() ? std::string(after.get_string()) : json::write(after);
    const auto duration = parse_duration(text);
    if (duration.ok()) {
      after_ = *duration;
    } else {
      report(logic::child_path(path_, "after"), duration.error().message);
    }
  }

  void read_commit(const json::Value& source, const std::string& path) {
    const json::Object* commit = object_at(source, path, kCommitFields);
    if (commit == nullptr) return;
    Proposal& proposal = entry_.proposal;
    proposal.key = json::find_string(*commit, "key").value_or("");
    if (const auto fault = key_fault(proposal.key)) report(logic::child_path(path, "key"), *fault);
    if (const auto name = json::find_string(*commit, "op")) {
      const std::optional<Op> op = parse_op(*name);
      if (!op.has_value()) report(logic::child_path(path, "op"), "unknown operation " + *name);
      proposal.op = op.value_or(Op::kSet);
    }
    if (const json::Value* value = json::find(*commit, "value")) proposal.value = *value;
    const bool removes = proposal.op == Op::kDelete || proposal.op == Op::kExpire;
    if (!removes && !proposal.value.has_value()) report(path, "\"value\" is missing");
    proposal.actor = json::find_string(*commit, "actor").value_or("test");
    proposal.reason = json::find_string(*commit, "reason").value_or("test");
    if (const json::Value* metadata = json::find(*commit, "metadata")) {
      if (metadata->is_object()) proposal.metadata = metadata->get_object();
    }
    if (result_.passed()) apply(path);
  }

  void apply(const std::string& path) {
    const Proposal& proposal = entry_.proposal;
    Snapshot& snapshot = state_.snapshots[proposal.key];
    if (snapshot.version > 0) before_ = snapshot;
    auto outcome = apply_op(proposal.op, before_ ? &before_->value : nullptr, proposal.value);
    if (const auto* fault = std::get_if<ApplyFault>(&outcome)) {
      report(path, "the change would be rejected: " + fault->message);
      return;
    }
    auto& applied = std::get<Applied>(outcome);
    entry_.accepted = true;
    entry_.previous_version = snapshot.version;
    entry_.resulting_version = snapshot.version + 1;
    snapshot.key = proposal.key;
    snapshot.version += 1;
    snapshot.deleted = applied.deleted;
    snapshot.value = std::move(applied.value);
  }

  ChangeContext change() const {
    return {entry_, before_ ? &*before_ : nullptr, state_.snapshots.at(entry_.proposal.key)};
  }

  // What fires at once, then what fires because its wait ends within `after`.
  void evaluate() {
    outcomes_ = rules_.evaluate(change(), state_, state_);
    const Timestamp end = entry_.committed_at + after_;
    std::vector<RuleOutcome> later;
    for (RuleOutcome& outcome : outcomes_) {
      if (!outcome.memory || !outcome.memory->deadline || *outcome.memory->deadline > end) continue;
      const Rule* rule = rules_.find(outcome.rule_id);
      later.push_back(rules_.end_wait(*rule, change(), state_, *outcome.memory, end));
    }
    std::stable_sort(later.begin(), later.end(), [this](const auto& a, const auto& b) {
      return rules_.find(a.rule_id)->hold < rules_.find(b.rule_id)->hold;
    });
    std::move(later.begin(), later.end(), std::back_inserter(outcomes_));
  }

  void compare(const json::Value& source, const std::string& path) {
    const json::Object* expected = object_at(source, path, kExpectFields);
    if (expected == nullptr) return;
    if (expected->empty()) report(path, "expects nothing; name fired, effects or derived");
    for (const auto& member : *expected) {
      const std::string_view name(member.key().data(), member.key().size());
      const std::string here = logic::child_path(path, name);
      if (!member.value().is_array()) {
        report(here, "must be an array, found " + std::string(json::type_name(member.value())));
        continue;
      }
      const json::Array& wanted = member.value().get_array();
      if (name == "fired") compare_fired(wanted, here);
      if (name == "effects") compare_effects(wanted, here);
      if (name == "derived") compare_derived(wanted, here);
    }
  }

  void compare_fired(const json::Array& wanted, const std::string& path) {
    std::vector<std::string> expected;
    std::vector<std::string> fired;
    for (const json::Value& id : wanted) {
      expected.emplace_back(id.is_string() ? std::string(id.get_string()) : json::write(id));
    }
    for (const RuleOutcome& outcome : outcomes_) {
      if (outcome.fired) fired.push_back(outcome.rule_id);
    }
    if (expected == fired) return;
    std::string text = "expected " + joined(expected) + " to fire; fired: " + joined(fired);
    for (const std::string& id : expected) {
      if (std::find(fired.begin(), fired.end(), id) == fired.end()) text += "; " + why_not(id);
    }
    report(path, text);
  }

  std::string why_not(const std::string& id) const {
    const Rule* rule = rules_.find(id);
    if (rule == nullptr) return "there is no rule " + id;
    const auto outcome = std::find_if(outcomes_.begin(), outcomes_.end(),
                                      [&id](const RuleOutcome& o) { return o.rule_id == id; });
    if (outcome != outcomes_.end() && !outcome->error.empty()) {
      return id + " failed: " + outcome->error;
    }
    if (outcome != outcomes_.end() && !outcome->held.empty()) return id + ": " + outcome->held;
    const logic::Explanation why = rules_.explain(*rule, change(), state_);
    return id + " does not match: " + why.decided_text;
  }

  void compare_effects(const json::Array& wanted, const std::string& path) {
    std::vector<json::Value> emitted;
    for (const RuleOutcome& outcome : outcomes_) {
      for (const EmittedEffect& effect : outcome.effects) {
        // The text was written by us a moment ago.
        emitted.push_back(json::parse(effect.payload, json::trusted_limits()).value());
      }
    }
    compare_lists(wanted, emitted, "effects", path);
  }

  void compare_derived(const json::Array& wanted, const std::string& path) {
    // Both sides in one form: op is set if not said.
    json::Array expected;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const json::Object* item = object_at(wanted[i], logic::child_path(path, i), kDerivedFields);
      if (item == nullptr) return;
      json::Object object = *item;
      if (!object.contains("op")) object["op"] = to_string(Op::kSet);
      expected.push_back(std::move(object));
    }
    std::vector<json::Value> derived;
    for (const RuleOutcome& outcome : outcomes_) {
      for (const DerivedProposal& proposal : outcome.derived) {
        json::Object object{{"key", proposal.key}, {"op", to_string(proposal.op)}};
        if (proposal.value.has_value()) object["value"] = *proposal.value;
        derived.emplace_back(std::move(object));
      }
    }
    compare_lists(expected, derived, "derived mutations", path);
  }

  void compare_lists(const json::Array& wanted, const std::vector<json::Value>& got,
                     std::string_view what, const std::string& path) {
    if (wanted.size() != got.size()) {
      report(path, "expected " + std::to_string(wanted.size()) + " " + std::string(what) +
                       ", found " + json::write(json::Array(got.begin(), got.end())));
      return;
    }
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (json::equal(wanted[i], got[i])) continue;
      report(logic::child_path(path, i),
             "expected " + json::write(wanted[i]) + ", found " + json::write(got[i]));
    }
  }

  void report(const std::string& path, std::string message) {
    result_.problems.push_back({path, std::move(message)});
  }

  const RuleSet& rules_;
  std::string path_;
  FixtureResult& result_;
  FixtureState state_;
  LogEntry entry_;
  std::chrono::milliseconds after_{0};
  std::optional<Snapshot> before_;
  std::vector<RuleOutcome> outcomes_;
};

}  // namespace

std::vector<FixtureResult> run_fixtures(const RuleSet& rules, const json::Value& tests) {
  std::vector<FixtureResult> results;
  if (!tests.is_array()) {
    results.push_back({"", {{"", "tests must be an array"}}});
    return results;
  }
  const json::Array& list = tests.get_array();
  for (std::size_t i = 0; i < list.size(); ++i) {
    FixtureResult result;
    FixtureRunner(rules, logic::child_path("", i), result).run(list[i]);
    if (result.name.empty()) result.name = "test " + std::to_string(i + 1);
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace state_engine
