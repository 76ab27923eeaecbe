// Set and read back travel as one batch that stops at the first failure.

#include "integrations/obs/setters.h"

#include <functional>

#include <fmt/format.h>

namespace state_engine::obs {
namespace {

json::Object object(std::initializer_list<std::pair<std::string_view, json::Value>> members) {
  json::Object out;
  for (const auto& [name, value] : members) out.emplace(name, value);
  return out;
}

json::Value text(const std::string& value) { return json::Value(boost::json::string(value)); }

// Asks both, and is done if the second answer `confirms`.
void set_and_check(Desk& desk, Ticket ticket, Request set, Request get,
                   std::function<bool(const json::Object&)> confirms) {
  desk.ask({std::move(set), std::move(get)},
           [&desk, ticket, confirms = std::move(confirms)](const std::vector<Reply>& replies) {
             const Reply reply = verdict(replies);
             if (!reply.ok()) {
               desk.finish(ticket, {OutcomeKind::kFailed, refusal(reply), {}});
             } else if (replies.size() < 2 || !confirms(reply.data)) {
               desk.finish(ticket, {OutcomeKind::kFailed,
                                    "OBS accepted it, but it did not stay so: does this source "
                                    "have such a setting?",
                                    {}});
             } else {
               desk.finish(ticket, {OutcomeKind::kDone, {}, {}});
             }
           });
}

bool is_flag(const json::Object& data, std::string_view name, bool wanted) {
  const json::Value* const value = json::find(data, name);
  return value != nullptr && value->is_bool() && value->get_bool() == wanted;
}

}  // namespace

void set_mute(Desk& desk, Ticket ticket, const Command& command) {
  Request set{"SetInputMute",
              object({{"inputName", text(command.target)}, {"inputMuted", command.on}})};
  Request get{"GetInputMute", object({{"inputName", text(command.target)}})};
  set_and_check(desk, ticket, std::move(set), std::move(get),
                [wanted = command.on](const json::Object& data) {
                  return is_flag(data, "inputMuted", wanted);
                });
}

void set_text(Desk& desk, Ticket ticket, const Command& command) {
  Request set{"SetInputSettings", object({{"inputName", text(command.target)},
                                          {"inputSettings", object({{"text", text(command.text)}})},
                                          {"overlay", true}})};
  Request get{"GetInputSettings", object({{"inputName", text(command.target)}})};
  set_and_check(desk, ticket, std::move(set), std::move(get),
                [wanted = command.text](const json::Object& data) {
                  const json::Value* const settings = json::find(data, "inputSettings");
                  const json::Object* const found =
                      settings != nullptr ? settings->if_object() : nullptr;
                  return found != nullptr && json::find_string(*found, "text") == wanted;
                });
}

void set_source_visible(Desk& desk, Ticket ticket, const Command& command, std::string scene) {
  Request find{"GetSceneItemId",
               object({{"sceneName", text(scene)}, {"sourceName", text(command.target)}})};
  desk.ask({std::move(find)}, [&desk, ticket, wanted = command.on,
                               scene = std::move(scene)](const std::vector<Reply>& replies) {
    const Reply reply = verdict(replies);
    const auto id = json::find_int(reply.data, "sceneItemId");
    if (!reply.ok() || !id) {
      desk.finish(ticket, {OutcomeKind::kFailed, refusal(reply), {}});
      return;
    }
    Request set{
        "SetSceneItemEnabled",
        object({{"sceneName", text(scene)}, {"sceneItemId", *id}, {"sceneItemEnabled", wanted}})};
    Request get{"GetSceneItemEnabled", object({{"sceneName", text(scene)}, {"sceneItemId", *id}})};
    set_and_check(desk, ticket, std::move(set), std::move(get), [wanted](const json::Object& data) {
      return is_flag(data, "sceneItemEnabled", wanted);
    });
  });
}

}  // namespace state_engine::obs
