// SceneControl: which scene is on air, and which one we asked for.
//
// A switch is done when OBS reports it, which is after the transition; if no report comes, when OBS
// says so on being asked. Of two switches within one transition OBS reports the last only.
//
// Threads: one.

#ifndef STATE_ENGINE_INTEGRATIONS_OBS_SCENE_CONTROL_H_
#define STATE_ENGINE_INTEGRATIONS_OBS_SCENE_CONTROL_H_

#include <string>
#include <vector>

#include "integrations/obs/desk.h"

namespace state_engine::obs {

inline constexpr std::string_view kSceneKey = "obs.scene";

class SceneControl {
 public:
  explicit SceneControl(Desk& desk) : desk_(desk) {}

  void switch_to(Ticket ticket, const std::string& scene);

  // The answer to GetSceneList. In another run of OBS its scene is nobody's decision against ours.
  void on_list(const json::Object& data, bool another_run);
  // CurrentProgramSceneChanged.
  void on_changed(const json::Object& data);
  // SceneListChanged: the names alone.
  void on_list_changed(const json::Object& data);
  void on_disconnected();
  // Somebody changed the set of scenes: what we wanted means nothing any more.
  void forget_wanted() { wanted_.clear(); }

  const std::string& current() const { return current_; }
  // In the order of OBS's window, top first.
  const std::vector<std::string>& scenes() const { return scenes_; }
  bool has_scene(std::string_view name) const;
  // What our last switch put on air, unless somebody changed it since; empty if nothing.
  const std::string& wanted() const { return wanted_; }

 private:
  void set_current(std::string name, const std::string& reason);
  void ask_for_target();
  void check(std::uint64_t attempt);
  void fail(std::string message);

  Desk& desk_;
  std::string current_;
  std::string target_;  // asked for and not confirmed; empty if nothing
  std::string wanted_;
  bool asked_again_ = false;  // OBS accepted the target once and did not show it
  std::uint64_t attempt_ = 0;
  std::vector<std::string> scenes_;
  std::vector<Ticket> waiting_;
};

}  // namespace state_engine::obs

#endif  // STATE_ENGINE_INTEGRATIONS_OBS_SCENE_CONTROL_H_
