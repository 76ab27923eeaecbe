// Guards are sets of keys in a small lattice: `and` intersects, `or` unites, unknown is "any key".

#include "rules/dependencies.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "rules/operators.h"

namespace state_engine::logic {
namespace {

using Keys = std::optional<std::set<std::string>>;  // nullopt: any key

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

bool is_key_variable(const json::Value& value) {
  const Call call = as_call(value);
  return call.op == Opcode::kVar && !call.args.empty() && call.args[0].is_string() &&
         call.args[0].get_string() == "key";
}

bool is_falsy_literal(const json::Value& value) {
  return value.is_null() || (value.is_bool() && !value.get_bool());
}

Keys both(const Keys& a, const Keys& b) {
  if (!a.has_value()) return b;
  if (!b.has_value()) return a;
  std::set<std::string> common;
  std::set_intersection(a->begin(), a->end(), b->begin(), b->end(),
                        std::inserter(common, common.end()));
  return common;
}

Keys either(const Keys& a, const Keys& b) {
  if (!a.has_value() || !b.has_value()) return std::nullopt;
  std::set<std::string> all = *a;
  all.insert(b->begin(), b->end());
  return all;
}

Keys equal_guard(std::span<const json::Value> args) {
  if (args.size() < 2) return std::nullopt;
  for (const std::size_t variable : {0U, 1U}) {
    const json::Value& other = args[1 - variable];
    if (is_key_variable(args[variable]) && other.is_string()) {
      return std::set<std::string>{std::string(other.get_string())};
    }
  }
  return std::nullopt;
}

// The key is a text: only the texts of the list can be equal to it.
Keys in_guard(std::span<const json::Value> args) {
  if (args.size() < 2 || !is_key_variable(args[0]) || !args[1].is_array()) return std::nullopt;
  std::set<std::string> keys;
  for (const json::Value& element : args[1].get_array()) {
    if (element.is_object()) return std::nullopt;  // computed
    if (element.is_string()) keys.emplace(element.get_string());
  }
  return keys;
}

// The keys for which `rule` can be truthy.
Keys guard(const json::Value& rule) {
  const Call call = as_call(rule);
  switch (call.op) {
    case Opcode::kLooseEqual:
    case Opcode::kStrictEqual:
      return equal_guard(call.args);
    case Opcode::kIn:
      return in_guard(call.args);
    case Opcode::kTruthy:
      return call.args.empty() ? std::nullopt : guard(call.args[0]);
    case Opcode::kAnd: {
      Keys keys;
      for (const json::Value& arg : call.args) keys = both(keys, guard(arg));
      return keys;
    }
    case Opcode::kOr: {
      Keys keys = std::set<std::string>{};
      for (const json::Value& arg : call.args) keys = either(keys, guard(arg));
      return keys;
    }
    case Opcode::kIf:
      if (call.args.size() == 2 || (call.args.size() == 3 && is_falsy_literal(call.args[2]))) {
        return both(guard(call.args[0]), guard(call.args[1]));
      }
      return std::nullopt;
    default:
      return std::nullopt;
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

Dependencies find_dependencies(const json::Value& rule) {
  Dependencies found;
  found.guard_keys = guard(rule);
  ReadCollector(found).collect(rule);
  return found;
}

std::vector<const json::Value*> conjuncts(const json::Value& rule) {
  std::vector<const json::Value*> found;
  add_conjuncts(rule, found);
  return found;
}

}  // namespace state_engine::logic
