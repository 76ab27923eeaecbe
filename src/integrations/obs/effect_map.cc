// Texts of the event are put in as they are and never read again for places: what a viewer can
// write into an event stays text.

#include "integrations/obs/effect_map.h"

#include <fmt/format.h>

namespace state_engine::obs {
namespace {

constexpr std::string_view kOwnPrefix = "obs.";
constexpr std::string_view kOwnConnector = "obs";
constexpr std::string_view kNoConnector = "system";  // what an event names when its rule named none

const json::Value* member_at(const json::Object& event, std::string_view path) {
  const json::Object* object = &event;
  while (true) {
    const auto dot = path.find('.');
    const json::Value* const value = json::find(*object, path.substr(0, dot));
    if (value == nullptr || dot == std::string_view::npos) return value;
    object = value->if_object();
    if (object == nullptr) return nullptr;
    path.remove_prefix(dot + 1);
  }
}

bool has_place(std::string_view text) { return text.find("${") != std::string_view::npos; }

// The parameters with the event's values in them.
Result<json::Object> fill_all(const json::Object& parameters, const json::Object& event) {
  json::Object out;
  for (const auto& member : parameters) {
    if (!member.value().is_string()) {
      out.insert_or_assign(member.key(), member.value());
      continue;
    }
    auto filled = fill_in(member.value().get_string(), event);
    if (!filled.ok()) return std::move(filled).error();
    out.insert_or_assign(member.key(), std::move(*filled));
  }
  return out;
}

// Where an event of our own type keeps its parameters: in its payload, or beside the type when the
// engine publishes payloads as they are.
const json::Object& parameters_of(const json::Object& event) {
  const json::Value* const payload = json::find(event, "payload");
  const json::Object* const object = payload != nullptr ? payload->if_object() : nullptr;
  return object != nullptr ? *object : event;
}

bool is_for_another(const json::Object& event) {
  const json::Value* const connector = member_at(event, "egress.connector");
  if (connector == nullptr || !connector->is_string()) return false;
  const std::string_view name = connector->get_string();
  return name != kOwnConnector && name != kNoConnector;
}

}  // namespace

Result<json::Value> fill_in(std::string_view text, const json::Object& event) {
  std::string out;
  std::string_view rest = text;
  while (true) {
    const auto begin = rest.find("${");
    const auto end = begin == std::string_view::npos ? begin : rest.find('}', begin);
    if (end == std::string_view::npos) break;
    const std::string_view path = rest.substr(begin + 2, end - begin - 2);
    const json::Value* const value = member_at(event, path);
    if (value == nullptr || value->is_null()) {
      return Error{ErrorCode::kNotFound, fmt::format("the event has no '{}'", path)};
    }
    if (begin == 0 && rest.size() == text.size() && end + 1 == text.size()) return *value;
    if (value->is_structured()) {
      return Error{ErrorCode::kNotFound, fmt::format("'{}' is no plain value", path)};
    }
    out.append(rest.substr(0, begin));
    out += value->is_string() ? std::string(value->get_string()) : json::write(*value);
    rest.remove_prefix(end + 1);
  }
  out.append(rest);
  return json::Value(boost::json::string(out));
}

Status EffectMap::add(const std::string& type, Action action) {
  // A place may become anything; without one, what is wrong now stays wrong.
  bool open = false;
  for (const auto& member : action.parameters) {
    open = open || (member.value().is_string() && has_place(member.value().get_string()));
  }
  if (!open) {
    auto command = read_command(action.kind, action.parameters);
    if (!command.ok()) return command.error();
  }
  by_type_[type].push_back(std::move(action));
  return {};
}

EffectMap::Wanted EffectMap::commands_of(const json::Object& event) const {
  Wanted out;
  const auto take = [&out](Result<Command> command) {
    if (command.ok()) {
      out.commands.push_back(std::move(*command));
    } else {
      out.faults.push_back(command.error().message);
    }
  };
  const std::string type = json::find_string(event, "type").value_or("");
  if (const auto found = by_type_.find(type); found != by_type_.end()) {
    for (const Action& action : found->second) {
      auto filled = fill_all(action.parameters, event);
      if (filled.ok()) {
        take(read_command(action.kind, *filled));
      } else {
        out.faults.push_back(fmt::format("{}: {}", to_string(action.kind), filled.error().message));
      }
    }
    return out;
  }
  if (!type.starts_with(kOwnPrefix) || is_for_another(event)) return out;
  const auto kind = parse_command_kind(std::string_view(type).substr(kOwnPrefix.size()));
  if (kind) {
    take(read_command(*kind, parameters_of(event)));
  } else {
    out.faults.push_back(fmt::format("'{}' is no command; known: {}", type, command_names()));
  }
  return out;
}

}  // namespace state_engine::obs
