// In the words of the rule: which keys or values its condition waits for, and what came instead.

#include "rules/why_not.h"

#include <cstddef>

namespace state_engine {
namespace {

constexpr std::size_t kNamesShown = 8;
constexpr std::size_t kValueShown = 100;

// Adds `name` to "a, b", up to a number of names.
void add_name(std::string& list, const std::string& name, std::size_t& count) {
  if (count == kNamesShown) list += ", ...";
  if (count++ >= kNamesShown) return;
  list += (list.empty() ? "" : ", ") + name;
}

std::string shown(const json::Value& value) {
  std::string text = json::write(value);
  if (text.size() > kValueShown) text = text.substr(0, kValueShown) + "...";
  return text;
}

}  // namespace

std::string why_not_a_candidate(const Rule& rule, std::string_view key, const json::Value& value) {
  if (rule.admits(key, value)) return "";
  const logic::Dependencies& guards = rule.dependencies;
  std::string wanted;
  std::size_t count = 0;
  if (!guards.admits(key)) {
    for (const std::string& name : *guards.guard_keys) add_name(wanted, name, count);
    for (const std::string& prefix : guards.guard_prefixes) add_name(wanted, prefix + "*", count);
    if (count == 0) return "its condition contradicts itself: no key can fulfil it";
    return "its condition can hold only for changes of " + wanted + "; this one changed " +
           std::string(key);
  }
  for (const auto& literal : *guards.guard_values) add_name(wanted, literal.second, count);
  if (count == 0) return "its condition contradicts itself: no value can fulfil it";
  return "its condition can hold only for the value " + wanted + "; this change made it " +
         shown(value);
}

}  // namespace state_engine
