// Guards are sets of keys and of values in a small lattice: `and` intersects, `or` unites, unknown
// is "any".
//
// A literal bounds the value only where no coercion can make something else equal to it: under
// `===` and `in` always, under `==` if it is null or a text that is no number ("on": a number, a
// boolean and null differ from it; an array or object may still be equal, and is always admitted).

#include "rules/dependencies.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <iterator>
#include <span>

#include "rules/js_convert.h"
#include "rules/operators.h"

namespace state_engine::logic {
namespace {

// Literals that are worth a table. A longer list bounds nothing.
constexpr std::size_t kLiteralsMax = 64;
constexpr std::size_t kLiteralBytesMax = 256;
constexpr std::uint64_t kLongText = 1;

struct Keys {
  std::set<std::string> exact;
  std::set<std::string> prefixes;
};

// What has to hold for a rule to be truthy. No value: no bound.
struct Guard {
  std::optional<Keys> keys;
  std::optional<Literals> values;
};

// An operator and its arguments, or nothing.
struct Call {
  Opcode op = Opcode::kConstant;
  std::span<const json::Value> args;
};

Call as_call(const json::Value& value) {
  if (!value.is_object() || value.get_object().size() != 1) return {};
  const auto& member = *value.get_object().begin();
  const OperatorInfo* info = find_operator({member.key().data(), member.key().size()});
  if (info == nullptr) return {Opcode::kUnrecognized, {}};
  if (!member.value().is_array()) return {info->op, {&member.value(), 1}};
  const json::Array& args = member.value().get_array();
  return {info->op, {args.data(), args.size()}};
}

bool is_variable(const json::Value& value, std::string_view name) {
  const Call call = as_call(value);
  return call.op == Opcode::kVar && !call.args.empty() && call.args[0].is_string() &&
         call.args[0].get_string() == name;
}

bool is_falsy_literal(const json::Value& value) {
  return value.is_null() || (value.is_bool() && !value.get_bool());
}

bool has_prefix_of(std::string_view key, const std::set<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [key](const std::string& prefix) { return key.starts_with(prefix); });
}

bool admits_key(const Keys& keys, std::string_view key) {
  return keys.exact.contains(std::string(key)) || has_prefix_of(key, keys.prefixes);
}

Keys intersection(const Keys& a, const Keys& b) {
  Keys common;
  for (const auto& [one, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    for (const std::string& key : one->exact) {
      if (admits_key(*other, key)) common.exact.insert(key);
    }
    // Of two prefixes, one of which begins with the other, the longer is the narrower.
    for (const std::string& prefix : one->prefixes) {
      if (has_prefix_of(prefix, other->prefixes)) common.prefixes.insert(prefix);
    }
  }
  return common;
}

Literals intersection(const Literals& a, const Literals& b) {
  Literals common;
  for (const auto& literal : a) {
    if (b.contains(literal.first)) common.insert(literal);
  }
  return common;
}

Keys unite(Keys a, const Keys& b) {
  a.exact.insert(b.exact.begin(), b.exact.end());
  a.prefixes.insert(b.prefixes.begin(), b.prefixes.end());
  return a;
}

Literals unite(Literals a, const Literals& b) {
  a.insert(b.begin(), b.end());
  return a;
}

template <typename Bound>
std::optional<Bound> both(const std::optional<Bound>& a, const std::optional<Bound>& b) {
  if (!a.has_value()) return b;
  if (!b.has_value()) return a;
  return intersection(*a, *b);
}

template <typename Bound>
std::optional<Bound> either(const std::optional<Bound>& a, const std::optional<Bound>& b) {
  if (!a.has_value() || !b.has_value()) return std::nullopt;
  return unite(*a, *b);
}

Guard both(const Guard& a, const Guard& b) {
  return {both(a.keys, b.keys), both(a.values, b.values)};
}

Guard either(const Guard& a, const Guard& b) {
  Guard united{either(a.keys, b.keys), either(a.values, b.values)};
  if (united.values.has_value() && united.values->size() > kLiteralsMax) united.values.reset();
  return united;
}

bool is_long_text(const json::Value& value) {
  return value.is_string() && value.get_string().size() > kLiteralBytesMax;
}

// True if nothing but arrays and objects and the literal itself is `==` to it.
bool is_exact_when_loose(const json::Value& literal) {
  if (literal.is_null()) return true;
  return literal.is_string() && std::isnan(number_of(literal.get_string()));
}

// {"substr": [{"var": "key"}, 0, n]} == a text of n ASCII characters: the key begins with it.
std::optional<Keys> prefix_guard(const json::Value& part, const json::Value& literal) {
  const Call call = as_call(part);
  if (call.op != Opcode::kSubstr || call.args.size() < 3) return std::nullopt;
  if (!is_variable(call.args[0], "key") || !literal.is_string()) return std::nullopt;
  const std::string text(literal.get_string());
  const bool ascii =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (!ascii || text.empty() || json::as_int64(call.args[1]) != 0) return std::nullopt;
  if (json::as_int64(call.args[2]) != static_cast<std::int64_t>(text.size())) return std::nullopt;
  return Keys{{}, {text}};
}

Guard equal_guard(std::span<const json::Value> args, bool strict) {
  Guard found;
  if (args.size() < 2) return found;
  for (const std::size_t variable : {0U, 1U}) {
    const json::Value& literal = args[1 - variable];
    if (is_variable(args[variable], "key") && literal.is_string()) {
      found.keys = Keys{{std::string(literal.get_string())}, {}};
    } else if (auto prefix = prefix_guard(args[variable], literal)) {
      found.keys = std::move(prefix);
    } else if (is_variable(args[variable], "value") && !is_long_text(literal) &&
               (strict || is_exact_when_loose(literal))) {
      if (const auto hash = literal_hash(literal)) {
        found.values = Literals{{*hash, json::write(literal)}};
      }
    }
  }
  return found;
}

// `in` compares with ===. The key is a text: only the texts of the list can be equal to it.
Guard in_guard(std::span<const json::Value> args) {
  if (args.size() < 2 || !args[1].is_array()) return {};
  const bool of_key = is_variable(args[0], "key");
  if (!of_key && !is_variable(args[0], "value")) return {};
  Keys keys;
  Literals values;
  for (const json::Value& element : args[1].get_array()) {
    if (element.is_object() || is_long_text(element)) return {};  // may be computed; too long
    if (element.is_string()) keys.exact.emplace(element.get_string());
    if (const auto hash = literal_hash(element)) values.emplace(*hash, json::write(element));
  }
  if (of_key) return {std::move(keys), std::nullopt};
  if (values.size() > kLiteralsMax) return {};
  return {std::nullopt, std::move(values)};
}

// What has to hold of key and value for `rule` to be truthy.
Guard guard(const json::Value& rule) {
  const Call call = as_call(rule);
  switch (call.op) {
    case Opcode::kLooseEqual:
    case Opcode::kStrictEqual:
      return equal_guard(call.args, call.op == Opcode::kStrictEqual);
    case Opcode::kIn:
      return in_guard(call.args);
    case Opcode::kTruthy:
      return call.args.empty() ? Guard{} : guard(call.args[0]);
    case Opcode::kAnd: {
      Guard found;
      for (const json::Value& arg : call.args) found = both(found, guard(arg));
      return found;
    }
    case Opcode::kOr: {
      Guard found{Keys{}, Literals{}};
      for (const json::Value& arg : call.args) found = either(found, guard(arg));
      return found;
    }
    case Opcode::kIf:
      if (call.args.size() == 2 || (call.args.size() == 3 && is_falsy_literal(call.args[2]))) {
        return both(guard(call.args[0]), guard(call.args[1]));
      }
      return {};
    default:
      return {};
  }
}

class ReadCollector {
 public:
  explicit ReadCollector(Dependencies& found) : found_(found) {}

  void collect(const json::Value& value) {
    if (value.is_array()) {
      for (const json::Value& element : value.get_array()) collect(element);
      return;
    }
    const Call call = as_call(value);
    if (call.op == Opcode::kVar) {
      if (call.args.empty()) {
        found_.reads_anything = true;
      } else {
        add_name(call.args[0]);
      }
    } else if (call.op == Opcode::kMissing) {
      for (const json::Value& name : call.args) add_names(name);
    } else if (call.op == Opcode::kMissingSome && call.args.size() > 1) {
      add_names(call.args[1]);
    }
    for (std::size_t i = 0; i < call.args.size(); ++i) {
      // The body of an array operator sees its element only.
      if (!(has_element_scope(call.op) && i == 1)) collect(call.args[i]);
    }
  }

 private:
  void add_names(const json::Value& names) {
    if (!names.is_array()) {
      add_name(names);
      return;
    }
    for (const json::Value& name : names.get_array()) add_name(name);
  }

  void add_name(const json::Value& name) {
    if (name.is_number() || name.is_bool()) return;  // no member has such a name
    if (!name.is_string() || name.get_string().empty()) {
      found_.reads_anything = true;
      return;
    }
    const std::string text(name.get_string());
    const std::size_t dot = text.find('.');
    const std::string member = text.substr(0, dot);
    if (member == "state" && dot != std::string::npos) {
      found_.state_reads.insert(text.substr(dot + 1));
    } else if (member == "state") {
      found_.reads_anything = true;
    }
    found_.context_reads.insert(member);
  }

  Dependencies& found_;
};

void add_conjuncts(const json::Value& rule, std::vector<const json::Value*>& found) {
  const Call call = as_call(rule);
  if (call.op != Opcode::kAnd || call.args.empty()) {
    found.push_back(&rule);
    return;
  }
  for (const json::Value& arg : call.args) add_conjuncts(arg, found);
}

}  // namespace

std::optional<std::uint64_t> literal_hash(const json::Value& value) {
  if (value.is_null()) return 2;
  if (value.is_bool()) return value.get_bool() ? 4 : 3;
  if (value.is_number()) {
    const double number = value.to_number<double>() + 0.0;  // -0 === 0
    return std::hash<std::uint64_t>{}(std::bit_cast<std::uint64_t>(number)) * 0x9E3779B97F4A7C15U;
  }
  if (!value.is_string()) return std::nullopt;
  if (is_long_text(value)) return kLongText;
  const auto& text = value.get_string();
  return std::hash<std::string_view>{}({text.data(), text.size()});
}

bool Dependencies::admits(std::string_view key) const {
  return !guard_keys.has_value() || guard_keys->contains(std::string(key)) ||
         has_prefix_of(key, guard_prefixes);
}

bool Dependencies::admits_value(const json::Value& value) const {
  if (!guard_values.has_value()) return true;
  const std::optional<std::uint64_t> hash = literal_hash(value);
  return !hash.has_value() || guard_values->contains(*hash);
}

Dependencies find_dependencies(const json::Value& rule) {
  Dependencies found;
  Guard bounds = guard(rule);
  if (bounds.keys.has_value()) {
    found.guard_keys = std::move(bounds.keys->exact);
    found.guard_prefixes = std::move(bounds.keys->prefixes);
  }
  found.guard_values = std::move(bounds.values);
  ReadCollector(found).collect(rule);
  return found;
}

std::vector<const json::Value*> conjuncts(const json::Value& rule) {
  std::vector<const json::Value*> found;
  add_conjuncts(rule, found);
  return found;
}

}  // namespace state_engine::logic
