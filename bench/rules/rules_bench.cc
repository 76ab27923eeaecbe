// JsonLogic in our evaluator, and the rule set with 10,000 rules. Prints one JSON object of
// figures: evaluations per second (median of several runs), nanoseconds per commit, milliseconds
// per load.
//
// Every loop counts the truthy results and compares the count with the known answer, so that the
// work can neither be wrong nor be optimised away. bench/rules/peers.mjs does the same with the
// same rules and data in Node; bench/rules.py runs both and prints the ratios.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "base/json.h"
#include "rules/change_data.h"
#include "rules/rule_set.h"

namespace state_engine {
namespace {

using logic::JsValue;

// The processor time of this process: other work on the machine does not count.
struct CpuClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<CpuClock>;
  // The name that the standard gives a clock's member.
  [[maybe_unused]] static constexpr bool is_steady = true;  // NOLINT(readability-identifier-naming)
  static time_point now() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
  }
};

constexpr auto kRunTime = std::chrono::milliseconds(200);
constexpr int kRules = 10'000;

[[noreturn]] void die(const std::string& message) {
  std::fprintf(stderr, "bench_rules_engine: %s\n", message.c_str());
  std::exit(1);
}

json::Value parse(std::string_view text) {
  auto value = json::parse(text, json::trusted_limits());
  if (!value.ok()) die(value.error().message);
  return std::move(value).value();
}

// How many runs a figure is the median of: 5, or what BENCH_RULES_RUNS says.
int runs() {
  static const int kCount = [] {
    const char* text = std::getenv("BENCH_RULES_RUNS");
    return text == nullptr ? 5 : std::max(1, std::atoi(text));
  }();
  return kCount;
}

// The median over several runs of how often per second `work(i)` is done.
template <typename Work>
double rate(Work work) {
  std::vector<double> rates;
  for (int run = 0; run < runs(); ++run) {
    std::size_t done = 0;
    const auto begin = CpuClock::now();
    auto now = begin;
    while (now - begin < kRunTime) {
      for (int i = 0; i < 256; ++i) work(done++);
      now = CpuClock::now();
    }
    rates.push_back(static_cast<double>(done) / std::chrono::duration<double>(now - begin).count());
  }
  std::sort(rates.begin(), rates.end());
  return rates[rates.size() / 2];
}

struct Case {
  const char* name;
  const char* rule;
  std::vector<json::Value> data;
  std::size_t truthy;  // of all data
};

constexpr const char* kSimple =
    R"({"and":[{"==":[{"var":"key"},"stream.state"]},{"==":[{"var":"value"},"on"]}]})";
constexpr const char* kMedium =
    R"({"and":[{"==":[{"var":"key"},"stream.state"]},{"!=":[{"var":"value"},{"var":"prev"}]},
        {"or":[{">":[{"var":"state.viewers"},50]},
               {"in":[{"var":"state.obs.scene"},["live","brb"]]}]},
        {"<=":[{"%":[{"var":"version"},4]},2]}]})";

// 256 changes; one in eight is the one that the simple rule waits for.
std::vector<json::Value> events() {
  std::vector<json::Value> all;
  for (int i = 0; i < 256; ++i) {
    const bool stream = i % 4 == 0;
    all.push_back(json::Object{
        {"key", stream ? "stream.state" : "obs.scene." + std::to_string(i)},
        {"value", i % 8 == 0 ? "on" : "off"},
        {"prev", i % 8 == 0 ? "off" : "on"},
        {"version", i},
        {"state", json::Object{{"viewers", i}, {"obs", json::Object{{"scene", "live"}}}}}});
  }
  return all;
}

std::vector<json::Value> objects() {
  json::Array list;
  for (int i = 0; i < 100; ++i) {
    list.push_back(json::Object{{"kind", i % 2 == 0 ? "a" : "b"}, {"n", i}});
  }
  return {json::Object{{"list", std::move(list)}}};
}

std::vector<Case> cases() {
  return {
      {"simple", kSimple, events(), 32},
      {"medium", kMedium, events(), 64},
      {"some", R"({"some":[{"var":"list"},{"==":[{"var":"n"},99]}]})", objects(), 1},
      {"filter",
       R"({"filter":[{"var":"list"},
                     {"and":[{"==":[{"var":"kind"},"a"]},{">":[{"var":"n"},50]}]}]})",
       objects(), 1},
      {"reduce",
       R"({"reduce":[{"var":"list"},{"+":[{"var":"current.n"},{"var":"accumulator"}]},0]})",
       objects(), 1},
  };
}

bool evaluate(const logic::Program& program, const json::Value& data) {
  logic::Arena arena(logic::Budget{}.bytes_max);
  const logic::EvalResult result = program.evaluate(JsValue::of(data), arena);
  return result.ok() && logic::truthy(result.value);
}

double measure(const Case& item) {
  auto program = logic::Program::compile(parse(item.rule));
  if (!program.ok()) die(program.error().message);
  std::size_t truthy = 0;
  for (const json::Value& data : item.data) truthy += evaluate(*program, data) ? 1U : 0U;
  if (truthy != item.truthy) die(std::string(item.name) + ": " + std::to_string(truthy));
  std::size_t sum = 0;
  const double result = rate(
      [&](std::size_t i) { sum += evaluate(*program, item.data[i % item.data.size()]) ? 1U : 0U; });
  if (sum == 0) die("nothing matched");
  return result;
}

// ---- Rule sets -------------------------------------------------------------------------------

class NoState final : public StateLookup, public MemoryLookup {
 public:
  const Snapshot* find(std::string_view /*key*/) const override { return nullptr; }
  std::optional<RuleMemory> memory(std::string_view /*rule*/,
                                   std::string_view /*key*/) const override {
    return std::nullopt;
  }
};

json::Value rule_file(int count, bool one_key) {
  json::Array rules;
  for (int i = 0; i < count; ++i) {
    const std::string n = std::to_string(i);
    const std::string key = one_key ? "stream.state" : "stream.state." + n;
    rules.push_back(json::Object{
        {"id", "r" + n},
        {"when", parse(R"({"and":[{"==":[{"var":"key"},")" + key +
                       R"("]},{"==":[{"var":"value"},"on)" + (one_key ? n : "") + R"("]}]})")},
        {"actions", parse(R"([{"type":"publishEgress","payload":{"type":"x","n":1}}])")}});
  }
  return rules;
}

RuleSetPtr load(const json::Value& source) {
  RuleSetLoad loaded = RuleSet::load(source);
  if (!loaded.ok()) die(loaded.problems.front().message);
  return loaded.rules;
}

// Nanoseconds for the rules of one commit.
double commit_ns(const RuleSet& rules, const std::string& key, std::string_view value,
                 std::size_t fired, bool linear = false) {
  const NoState state;
  Snapshot before;
  before.key = key;
  before.version = 1;
  Snapshot after = before;
  after.version = 2;
  after.value = json::Value(value);
  LogEntry entry;
  entry.accepted = true;
  entry.proposal.key = key;
  const ChangeContext change{entry, &before, after};
  std::size_t seen = 0;
  std::size_t commits = 0;
  const double per_second = rate([&](std::size_t) {
    const auto outcomes = linear ? rules.evaluate_linearly_for_test(change, state, state, false)
                                 : rules.evaluate(change, state, state);
    for (const RuleOutcome& outcome : outcomes) seen += outcome.fired ? 1U : 0U;
    ++commits;
  });
  if (seen != fired * commits) die("fired " + std::to_string(seen));
  return 1e9 / per_second;
}

double load_ms(const std::string& text) {
  std::vector<double> times;
  for (int run = 0; run < runs(); ++run) {
    const auto begin = CpuClock::now();
    const RuleSetPtr rules = load(parse(text));
    times.push_back(std::chrono::duration<double, std::milli>(CpuClock::now() - begin).count());
    if (rules->rules().size() != kRules) die("rules are missing");
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

int run() {
  for (const Case& item : cases()) {
    std::printf("%s\"%s\": %.0f", item.name == std::string_view("simple") ? "{" : ", ", item.name,
                measure(item));
  }
  const json::Value source = rule_file(kRules, false);
  const RuleSetPtr many = load(source);
  const RuleSetPtr few = load(rule_file(100, false));
  const RuleSetPtr one_key = load(rule_file(kRules, true));
  std::printf(", \"commit_no_rule_ns\": %.1f", commit_ns(*many, "other.key", "on", 0));
  std::printf(", \"commit_no_match_ns\": %.1f", commit_ns(*many, "stream.state.777", "off", 0));
  std::printf(", \"commit_100_rules_ns\": %.1f", commit_ns(*few, "stream.state.77", "on", 1));
  std::printf(", \"commit_ns\": %.1f", commit_ns(*many, "stream.state.777", "on", 1));
  std::printf(", \"commit_one_key_ns\": %.1f", commit_ns(*one_key, "stream.state", "on777", 1));
  std::printf(", \"commit_all_rules_ns\": %.1f",
              commit_ns(*many, "stream.state.777", "on", 1, true));
  std::printf(", \"load_ms\": %.1f}\n", load_ms(json::write(source)));
  return 0;
}

}  // namespace
}  // namespace state_engine

int main() { return state_engine::run(); }
