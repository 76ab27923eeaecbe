// OBS answers a switch before the transition and reports it afterwards, with one report for all
// switches within one transition and none for the scene that is on air already.

#include "integrations/obs/scene_control.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace state_engine::obs {
namespace {

// Longer than most transitions; a longer one is found done by asking, which tells the new scene
// as soon as the transition has begun.
constexpr std::chrono::milliseconds kReportTime{2'000};

std::string list_of(const std::vector<std::string>& scenes) {
  constexpr std::size_t kShownMax = 20;
  const std::size_t shown = std::min(scenes.size(), kShownMax);
  std::string out = fmt::format(
      "{}", fmt::join(scenes.begin(), scenes.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  if (shown < scenes.size()) out += fmt::format(" and {} more", scenes.size() - shown);
  return out;
}

}  // namespace

bool SceneControl::has_scene(std::string_view name) const {
  return std::find(scenes_.begin(), scenes_.end(), name) != scenes_.end();
}

void SceneControl::switch_to(Ticket ticket, const std::string& scene) {
  // OBS reports nothing when the scene is on air already.
  if (target_.empty() && scene == current_) {
    wanted_ = scene;
    desk_.finish(ticket, {OutcomeKind::kNoChange, "the scene was on air already", {}});
    return;
  }
  if (scene == target_) {
    waiting_.push_back(ticket);
    return;
  }
  finish_all(desk_, waiting_,
             {OutcomeKind::kSuperseded, fmt::format("a later command wants '{}'", scene), {}});
  waiting_.push_back(ticket);
  target_ = scene;
  asked_again_ = false;
  ask_for_target();
}

void SceneControl::ask_for_target() {
  const std::uint64_t attempt = ++attempt_;
  json::Object data;
  data["sceneName"] = target_;
  desk_.ask({{"SetCurrentProgramScene", std::move(data)}}, [this, attempt](
                                                               const std::vector<Reply>& replies) {
    if (attempt != attempt_ || target_.empty()) return;
    const Reply reply = verdict(replies);
    if (reply.code == codes::kNotFound) {
      return fail(fmt::format("OBS has no scene '{}'; it has: {}", target_, list_of(scenes_)));
    }
    if (!reply.ok()) return fail(refusal(reply));
    desk_.after(kReportTime, [this, attempt] { check(attempt); });
  });
}

void SceneControl::check(std::uint64_t attempt) {
  if (attempt != attempt_ || target_.empty()) return;
  desk_.ask({{"GetCurrentProgramScene", {}}}, [this, attempt](const std::vector<Reply>& replies) {
    if (attempt != attempt_ || target_.empty()) return;
    const Reply reply = verdict(replies);
    const std::string name = json::find_string(reply.data, "currentProgramSceneName").value_or("");
    if (name.empty()) return fail(refusal(reply));
    set_current(name, "OBS says so");
    if (target_.empty()) return;
    // OBS may drop a switch that comes while another one is under way.
    if (!std::exchange(asked_again_, true)) return ask_for_target();
    fail(fmt::format("OBS accepted the switch and shows '{}'", name));
  });
}

void SceneControl::fail(std::string message) {
  target_.clear();
  finish_all(desk_, waiting_, {OutcomeKind::kFailed, std::move(message), {}});
}

void SceneControl::set_current(std::string name, const std::string& reason) {
  current_ = std::move(name);
  desk_.observe(kSceneKey, json::Value(boost::json::string(current_)), reason);
  if (current_ == target_) {
    wanted_ = std::exchange(target_, {});
    finish_all(desk_, waiting_, {OutcomeKind::kDone, {}, {}});
  } else if (target_.empty() && current_ != wanted_) {
    wanted_.clear();  // Somebody else switched; that counts from now on.
  }
}

void SceneControl::on_list(const json::Object& data, bool another_run) {
  on_list_changed(data);
  const auto name = json::find_string(data, "currentProgramSceneName");
  if (!name || name->empty()) return;
  const std::string before = wanted_;
  set_current(*name, "OBS shows it");
  if (another_run) wanted_ = before;
}

void SceneControl::on_list_changed(const json::Object& data) {
  const json::Value* const list = json::find(data, "scenes");
  if (list == nullptr || !list->is_array()) return;
  scenes_.clear();
  for (const json::Value& one : list->get_array()) {
    if (!one.is_object()) continue;
    if (auto name = json::find_string(one.get_object(), "sceneName")) {
      scenes_.push_back(std::move(*name));
    }
  }
  std::reverse(scenes_.begin(), scenes_.end());  // OBS counts from the bottom.
}

void SceneControl::on_changed(const json::Object& data) {
  const auto name = json::find_string(data, "sceneName");
  if (name) set_current(*name, "OBS switched to it");
}

void SceneControl::on_disconnected() {
  ++attempt_;
  target_.clear();
  current_.clear();
  finish_all(desk_, waiting_,
             {OutcomeKind::kUnavailable, "the connection to OBS was lost meanwhile", {}});
}

}  // namespace state_engine::obs
