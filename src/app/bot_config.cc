// Tables of keys and readers, as in src/config. The reader of each part reports faults and goes on.

#include "app/bot_config.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/section_reader.h"
#include "core/keys.h"

namespace state_engine {
namespace {

using config::Path;
using config::PathFault;
using config::SectionKey;
using config::SectionReader;
using config::operator/;  // NOLINT(misc-unused-using-decls): clang-tidy 16 overlooks operators
using llm::Action;
using llm::ActionParameter;
using llm::ActionWrite;
using llm::Requirement;

class BotReader {
 public:
  BotReader(BotConfig& out, std::vector<PathFault>& faults) : out_(out), reader_(faults) {}

  void read(const json::Value& value, const Path& at) {
    const json::Object* const object = reader_.object(value, at);
    if (object == nullptr) return;
    const std::array<SectionKey, 8> keys = {{
        {"inProcess",
         [&](const json::Value& v, const Path& p) { out_.in_process = reader_.flag(v, p); }},
        {"name", [&](const json::Value& v, const Path& p) { read_name(v, p); }},
        {"instructions",
         [&](const json::Value& v, const Path& p) { out_.bot.instructions = reader_.text(v, p); }},
        {"llm", [&](const json::Value& v, const Path& p) { read_llm(v, p); }},
        {"tools", [&](const json::Value& v, const Path& p) { read_tools(v, p); }},
        {"actions", [&](const json::Value& v, const Path& p) { read_actions(v, p); }},
        {"limits", [&](const json::Value& v, const Path& p) { read_limits(v, p); }},
        {"tellDone", [&](const json::Value& v,
                         const Path& p) { out_.bot.limits.tell_done = reader_.flag(v, p); }},
    }};
    read_members(*object, at, keys, reader_);
  }

 private:
  // A whole number in a range; `fallback` after a fault.
  std::int64_t count(const json::Value& value, const Path& at, std::int64_t least,
                     std::int64_t most, std::int64_t fallback) {
    const auto number = json::as_int64(value);
    if (number && *number >= least && *number <= most) return *number;
    reader_.fault(at, fmt::format("expected a whole number from {} to {}", least, most));
    return fallback;
  }

  void read_name(const json::Value& value, const Path& at) {
    const std::string name = reader_.text(value, at);
    if (!llm::is_tool_name(name)) {
      reader_.fault(at, "expected a name of up to 64 letters, digits, '-' and '_'");
      return;
    }
    out_.bot.name = name;
  }

  void read_llm(const json::Value& value, const Path& at) {
    const json::Object* const object = reader_.object(value, at);
    if (object == nullptr) return;
    llm::EndpointSettings& endpoint = out_.endpoint;
    const std::array<SectionKey, 6> keys = {{
        {"baseUrl",
         [&](const json::Value& v, const Path& p) { endpoint.base_url = reader_.text(v, p); }},
        {"model",
         [&](const json::Value& v, const Path& p) { endpoint.model.model = reader_.text(v, p); }},
        {"stream",
         [&](const json::Value& v, const Path& p) { endpoint.model.stream = reader_.flag(v, p); }},
        {"timeoutSeconds",
         [&](const json::Value& v, const Path& p) {
           endpoint.timeout = reader_.seconds(v, p).value_or(endpoint.timeout);
         }},
        {"temperature", [&](const json::Value& v,
                            const Path& p) { endpoint.model.temperature = reader_.number(v, p); }},
        {"maxTokens",
         [&](const json::Value& v, const Path& p) {
           endpoint.model.max_tokens = count(v, p, 1, 1'000'000, 0);
         }},
    }};
    read_members(*object, at, keys, reader_);
  }

  void read_limits(const json::Value& value, const Path& at) {
    const json::Object* const object = reader_.object(value, at);
    if (object == nullptr) return;
    llm::AgentLimits& limits = out_.bot.limits;
    const std::array<SectionKey, 6> keys = {{
        {"rounds",
         [&](const json::Value& v, const Path& p) {
           limits.rounds_max = static_cast<int>(count(v, p, 1, 50, limits.rounds_max));
         }},
        {"callsPerRound",
         [&](const json::Value& v, const Path& p) {
           limits.calls_per_round_max = static_cast<int>(count(v, p, 1, 16, 8));
         }},
        {"answerBytes",
         [&](const json::Value& v, const Path& p) {
           limits.answer_bytes_max = static_cast<std::size_t>(count(v, p, 50, 65'536, 450));
         }},
        {"historyMessages",
         [&](const json::Value& v, const Path& p) {
           out_.bot.history_messages_max = static_cast<std::size_t>(count(v, p, 0, 1'000, 20));
         }},
        {"waitingMessages",
         [&](const json::Value& v, const Path& p) {
           out_.waiting_max = static_cast<std::size_t>(count(v, p, 1, 10'000, 64));
         }},
        {"maxAgeSeconds",
         [&](const json::Value& v, const Path& p) {
           out_.age_max = reader_.seconds(v, p).value_or(out_.age_max);
         }},
    }};
    read_members(*object, at, keys, reader_);
  }

  std::vector<Requirement> read_requirements(const json::Value& value, const Path& at) {
    std::vector<Requirement> out;
    const json::Object* const object = reader_.object(value, at);
    if (object == nullptr) return out;
    for (const auto& member : *object) {
      const std::string key(member.key());
      if (const auto fault = key_fault(key)) reader_.fault(at / key, *fault);
      out.push_back({key, member.value()});
    }
    return out;
  }

  void read_tools(const json::Value& value, const Path& at) {
    const json::Array* const list = reader_.list(value, at, "tools of the engine");
    if (list == nullptr) return;
    out_.tools.tools.clear();
    for (std::size_t i = 0; i < list->size(); ++i) {
      llm::AllowedTool tool;
      const json::Value& item = (*list)[i];
      if (item.is_object()) {
        const std::array<SectionKey, 2> keys = {{
            {"name", [&](const json::Value& v, const Path& p) { tool.name = reader_.text(v, p); }},
            {"requires", [&](const json::Value& v,
                             const Path& p) { tool.requirements = read_requirements(v, p); }},
        }};
        read_members(item.get_object(), at / i, keys, reader_);
      } else {
        tool.name = reader_.text(item, at / i);
      }
      check_name(tool.name, at / i);
      out_.tools.tools.push_back(std::move(tool));
    }
  }

  void check_name(const std::string& name, const Path& at) {
    if (!llm::is_tool_name(name)) {
      reader_.fault(at, fmt::format("'{}' is no name for a tool; expected up to 64 letters, "
                                    "digits, '-' and '_'",
                                    name));
    } else if (!names_.insert(name).second) {
      reader_.fault(at, fmt::format("'{}' is declared twice", name));
    }
  }

  void read_actions(const json::Value& value, const Path& at) {
    const json::Array* const list = reader_.list(value, at, "actions");
    if (list == nullptr) return;
    for (std::size_t i = 0; i < list->size(); ++i) {
      const json::Object* const object = reader_.object((*list)[i], at / i);
      if (object != nullptr) out_.tools.actions.push_back(read_action(*object, at / i));
    }
  }

  Action read_action(const json::Object& object, const Path& at) {
    Action action;
    const std::array<SectionKey, 7> keys = {{
        {"name", [&](const json::Value& v, const Path& p) { action.name = reader_.text(v, p); }},
        {"description",
         [&](const json::Value& v, const Path& p) { action.description = reader_.text(v, p); }},
        {"requires", [&](const json::Value& v,
                         const Path& p) { action.requirements = read_requirements(v, p); }},
        {"roles", [&](const json::Value& v,
                      const Path& p) { action.roles = reader_.strings(v, p, "roles"); }},
        {"parameters",
         [&](const json::Value& v, const Path& p) { action.parameters = read_parameters(v, p); }},
        {"propose", [&](const json::Value& v, const Path& p) { read_writes(v, p, action); }},
        {"reason",
         [&](const json::Value& v, const Path& p) { action.reason = reader_.text(v, p); }},
    }};
    read_members(object, at, keys, reader_);
    check_name(action.name, at);
    if (action.description.empty()) {
      reader_.fault(at, "description is missing; it tells the model when to use the action");
    }
    if (action.writes.empty()) {
      reader_.fault(at, "propose is missing; expected what the action writes: {key, value}");
    }
    check_templates(action, object, at);
    return action;
  }

  std::vector<ActionParameter> read_parameters(const json::Value& value, const Path& at) {
    std::vector<ActionParameter> out;
    const json::Object* const object = reader_.object(value, at);
    if (object == nullptr) return out;
    for (const auto& member : *object) {
      const Path path = at / std::string_view(member.key());
      ActionParameter parameter;
      parameter.name = std::string(member.key());
      if (!llm::is_tool_name(parameter.name)) reader_.fault(path, "is no name for a parameter");
      const json::Object* const fields = reader_.object(member.value(), path);
      if (fields != nullptr) read_parameter(*fields, path, parameter);
      out.push_back(std::move(parameter));
    }
    return out;
  }

  void read_parameter(const json::Object& fields, const Path& at, ActionParameter& out) {
    const std::array<SectionKey, 7> keys = {{
        {"type", [&](const json::Value& v, const Path& p) { out.type = read_type(v, p); }},
        {"description",
         [&](const json::Value& v, const Path& p) { out.description = reader_.text(v, p); }},
        {"optional",
         [&](const json::Value& v, const Path& p) { out.optional = reader_.flag(v, p); }},
        {"maxLength",
         [&](const json::Value& v, const Path& p) {
           out.length_max = static_cast<std::size_t>(count(v, p, 1, 16'384, 200));
         }},
        {"enum", [&](const json::Value& v,
                     const Path& p) { out.one_of = reader_.strings(v, p, "allowed values"); }},
        {"minimum",
         [&](const json::Value& v, const Path& p) { out.minimum = reader_.number(v, p); }},
        {"maximum",
         [&](const json::Value& v, const Path& p) { out.maximum = reader_.number(v, p); }},
    }};
    read_members(fields, at, keys, reader_);
  }

  ActionParameter::Type read_type(const json::Value& value, const Path& at) {
    using Type = ActionParameter::Type;
    const std::string name = reader_.text(value, at);
    if (name == "integer") return Type::kInteger;
    if (name == "number") return Type::kNumber;
    if (name == "boolean") return Type::kBoolean;
    if (name != "string") reader_.fault(at, "expected string, integer, number or boolean");
    return Type::kString;
  }

  // One write, or a list of them that is one transaction.
  void read_writes(const json::Value& value, const Path& at, Action& action) {
    if (value.is_object()) {
      action.writes.push_back(read_write(value.get_object(), at));
      return;
    }
    const json::Array* const list = reader_.list(value, at, "writes");
    if (list == nullptr) return;
    if (list->size() > limits::kTransactionMembersMax) {
      reader_.fault(at, fmt::format("at most {} writes", limits::kTransactionMembersMax));
    }
    for (std::size_t i = 0; i < list->size(); ++i) {
      const json::Object* const object = reader_.object((*list)[i], at / i);
      if (object != nullptr) action.writes.push_back(read_write(*object, at / i));
    }
  }

  ActionWrite read_write(const json::Object& object, const Path& at) {
    ActionWrite write;
    const std::array<SectionKey, 5> keys = {{
        {"key", [&](const json::Value& v, const Path& p) { write.key = reader_.text(v, p); }},
        {"op", [&](const json::Value& v, const Path& p) { write.op = reader_.text(v, p); }},
        {"value", [&](const json::Value& v, const Path&) { write.value = v; }},
        {"ttl",
         [&](const json::Value& v, const Path& p) {
           const auto ttl = reader_.seconds(v, p);
           if (ttl) write.ttl_seconds = static_cast<double>(ttl->count()) / 1000.0;
         }},
        {"expectVersion",
         [&](const json::Value& v, const Path& p) { write.expect_version = reader_.flag(v, p); }},
    }};
    read_members(object, at, keys, reader_);
    const auto op = parse_op(write.op);
    if (!op || *op == Op::kExpire) {
      reader_.fault(
          at, fmt::format("op '{}' is none of set, delete, increment, push, merge", write.op));
    }
    // Adding to a number or a list goes well with what others add.
    const bool adds = write.op == "increment" || write.op == "push";
    if (adds && !object.contains("expectVersion")) write.expect_version = false;
    if (write.op != "delete" && !object.contains("value")) {
      reader_.fault(at, "value is missing; expected what the action writes");
    }
    return write;
  }

  void check_templates(const Action& action, const json::Object& object, const Path& at) {
    json::Object parameters;
    for (const ActionParameter& item : action.parameters) parameters[item.name] = nullptr;
    const auto check = [&](std::string_view source, std::string_view where) {
      if (const auto fault = llm::template_fault(source, parameters)) {
        reader_.fault(at / where, *fault);
      }
    };
    for (const ActionWrite& write : action.writes) {
      check(write.key, "propose");
      check_value(write.value, check);
      // With the places filled in, as any of their values would be.
      const std::string sample = llm::fill_key(write.key, {}, {});
      if (const auto fault = key_fault(sample)) reader_.fault(at / "propose", "key: " + *fault);
    }
    if (object.contains("reason")) check(action.reason, "reason");
  }

  template <typename Check>
  void check_value(const json::Value& value, const Check& check) {
    if (value.is_string()) return check(value.get_string(), "propose");
    if (const json::Array* const items = value.if_array()) {
      for (const json::Value& item : *items) check_value(item, check);
    }
    if (const json::Object* const members = value.if_object()) {
      for (const auto& member : *members) check_value(member.value(), check);
    }
  }

  BotConfig& out_;
  SectionReader reader_;
  std::set<std::string> names_;
};

}  // namespace

BotConfig default_bot_config() {
  BotConfig config;
  config.tools.tools = {{"get_state", {}}, {"get_state_prefix", {}}};
  return config;
}

std::optional<BotConfig> read_bot_config(const config::LoadedConfig& loaded,
                                         config::ConfigProblems& problems) {
  const json::Object* const root = loaded.document.value().if_object();
  const json::Value* const section = root != nullptr ? json::find(*root, "bot") : nullptr;
  if (section == nullptr) return std::nullopt;
  BotConfig config = default_bot_config();
  std::vector<PathFault> faults;
  BotReader(config, faults).read(*section, {"bot"});
  for (PathFault& fault : faults) {
    problems.push_back({loaded.file, loaded.document.locate(fault.path),
                        loaded.document.display(fault.path), std::move(fault.message)});
  }
  std::stable_sort(problems.begin(), problems.end(),
                   [](const auto& a, const auto& b) { return a.position.line < b.position.line; });
  return config;
}

}  // namespace state_engine
