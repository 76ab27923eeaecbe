// Order matters in one place: observations are told before the outcomes that follow from them, so
// that who awaits an outcome finds the state as it says.

#include "integrations/obs/director.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "integrations/obs/setters.h"

namespace state_engine::obs {
namespace {

constexpr std::chrono::seconds kWakeAtLeast{1};

// Harmless to do again after the connection was lost in the middle.
bool may_repeat(CommandKind kind) {
  switch (kind) {
    case CommandKind::kSwitchScene:
    case CommandKind::kSetMute:
    case CommandKind::kSetSourceVisible:
    case CommandKind::kSetText:
      return true;
    default:
      return false;
  }
}

Outcome unavailable(std::string message) {
  return {OutcomeKind::kUnavailable, std::move(message), {}};
}

}  // namespace

Director::Director(DirectorHost& host, DirectorOptions options)
    : host_(host),
      options_(std::move(options)),
      session_(*this, options_.password),
      scene_(*this),
      stream_(*this, kStreamOutput),
      recording_(*this, kRecordOutput) {}

// ---- The connection -------------------------------------------------------------------------

void Director::on_connected(MonotonicTime now) {
  now_ = now;
  session_.begin(now);
}

Status Director::on_text(std::string_view text, MonotonicTime now) {
  now_ = now;
  return session_.on_text(text, now);
}

void Director::on_disconnected(MonotonicTime now) {
  now_ = now;
  session_.end();
  timers_.clear();
  ready_ = holding_ = false;
  parts_missing_ = 0;
  // What may be done again waits for OBS; the parts then find nobody to tell that it failed.
  for (auto& [ticket, open] : open_) {
    if (open.options.may_wait && may_repeat(open.command.kind)) open.waiting = true;
  }
  held_back_.clear();
  scene_.on_disconnected();
  stream_.on_disconnected();
  recording_.on_disconnected();
  observe(kConnectedKey, json::Value(false), "the connection to OBS was lost");
  flush_observations();
  std::vector<Ticket> lost;
  for (const auto& [ticket, open] : open_) {
    if (!open.waiting) lost.push_back(ticket);
  }
  for (const Ticket ticket : lost) finish(ticket, unavailable("the connection to OBS was lost"));
}

void Director::on_identified(const Hello& hello) {
  restarted_ = !run_.empty() && hello.salt != run_;
  run_ = hello.salt;
  read_state();
}

// There is no replay of events: what happened while we were away is read.
void Director::read_state() {
  parts_missing_ = 4;
  const auto part = [this](std::string type, void (Director::*use)(const json::Object&)) {
    ask({{std::move(type), {}}},
        [this, use](const std::vector<Reply>& replies) { on_state_part(verdict(replies), use); });
  };
  part("GetVersion", &Director::use_version);
  part("GetSceneList", &Director::use_scenes);
  part("GetStreamStatus", &Director::use_stream);
  part("GetRecordStatus", &Director::use_recording);
}

void Director::on_state_part(const Reply& reply, void (Director::*use)(const json::Object&)) {
  if (reply.ok()) (this->*use)(reply.data);
  if (--parts_missing_ == 0) become_ready();
}

void Director::use_version(const json::Object& data) {
  obs_version_ = json::find_string(data, "obsVersion").value_or("");
}

void Director::become_ready() {
  const bool first = !std::exchange(ready_, true);
  holding_ = false;
  observe(kConnectedKey, json::Value(true), "connected to OBS");
  flush_observations();
  if (first) host_.on_ready();
  restore_scene();
  begin_waiting();
}

void Director::restore_scene() {
  if (!std::exchange(restarted_, false) || !options_.restore_scene) return;
  // What was asked for meanwhile counts; two switches at once would leave it to OBS which stays.
  const bool asked = std::any_of(open_.begin(), open_.end(), [](const auto& item) {
    return item.second.waiting && item.second.command.kind == CommandKind::kSwitchScene;
  });
  if (asked) return;
  const std::string& wanted = scene_.wanted();
  if (wanted.empty() || wanted == scene_.current() || !scene_.has_scene(wanted)) return;
  Command command;
  command.kind = CommandKind::kSwitchScene;
  command.scene = wanted;
  submit(std::move(command), {now_ + std::chrono::seconds{10}, false}, now_);
}

void Director::on_event(const Event& event) {
  if (event.type == "CurrentProgramSceneChanged") {
    scene_.on_changed(event.data);
  } else if (event.type == "StreamStateChanged") {
    stream_.on_event(event.data);
  } else if (event.type == "RecordStateChanged") {
    recording_.on_event(event.data);
  } else if (event.type == "SceneListChanged") {
    scene_.on_list_changed(event.data);
  } else if (event.type == "CurrentSceneCollectionChanging") {
    holding_ = true;
    scene_.forget_wanted();
  } else if (event.type == "CurrentSceneCollectionChanged") {
    read_state();
  }
}

// ---- Time -----------------------------------------------------------------------------------

bool Director::on_time(MonotonicTime now) {
  now_ = now;
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const auto then = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    then();
  }
  std::vector<Ticket> late;
  for (const auto& [ticket, open] : open_) {
    if (open.options.deadline <= now) late.push_back(ticket);
  }
  for (const Ticket ticket : late) {
    const auto found = open_.find(ticket);
    if (found == open_.end()) continue;
    finish(ticket, found->second.waiting ? unavailable("OBS did not come back in time")
                                         : Outcome{OutcomeKind::kUnconfirmed,
                                                   "OBS accepted it and has not confirmed it yet",
                                                   {}});
  }
  return session_.responsive(now);
}

MonotonicTime Director::next_wake(MonotonicTime now) const {
  MonotonicTime wake = now + kWakeAtLeast;
  if (!timers_.empty()) wake = std::min(wake, timers_.begin()->first);
  for (const auto& [ticket, open] : open_) wake = std::min(wake, open.options.deadline);
  return wake;
}

void Director::after(std::chrono::milliseconds wait, std::function<void()> then) {
  timers_.emplace(now_ + wait, std::move(then));
}

void Director::ask(std::vector<Request> requests, Continuation then) {
  if (session_.identified()) session_.ask(std::move(requests), std::move(then), now_);
}

// ---- Commands -------------------------------------------------------------------------------

Ticket Director::submit(Command command, CommandOptions options, MonotonicTime now) {
  now_ = now;
  const Ticket ticket = next_ticket_++;
  open_.emplace(ticket, Open{std::move(command), options, false});
  if (ready()) {
    begin(ticket);
  } else if (options.may_wait || holding_) {
    open_.at(ticket).waiting = true;
  } else {
    finish(ticket, unavailable("OBS is not connected"));
  }
  return ticket;
}

void Director::begin_waiting() {
  std::vector<Ticket> waiting;
  for (const auto& [ticket, open] : open_) {
    if (open.waiting) waiting.push_back(ticket);
  }
  for (const Ticket ticket : waiting) {
    if (const auto found = open_.find(ticket); found != open_.end()) {
      found->second.waiting = false;
      begin(ticket);
    }
  }
}

void Director::begin(Ticket ticket) {
  const Command command = open_.at(ticket).command;
  switch (command.kind) {
    case CommandKind::kSwitchScene:
      return scene_.switch_to(ticket, command.scene);
    case CommandKind::kStartStream:
      return stream_.start(ticket);
    case CommandKind::kStopStream:
      return stream_.stop(ticket);
    case CommandKind::kStartRecord:
      return recording_.start(ticket);
    case CommandKind::kStopRecord:
      return recording_.stop(ticket);
    case CommandKind::kPauseRecord:
      return recording_.pause(ticket, true);
    case CommandKind::kResumeRecord:
      return recording_.pause(ticket, false);
    case CommandKind::kSetMute:
      return set_mute(*this, ticket, command);
    case CommandKind::kSetText:
      return set_text(*this, ticket, command);
    case CommandKind::kSetSourceVisible:
      return set_source_visible(*this, ticket, command,
                                command.scene.empty() ? scene_.current() : command.scene);
  }
}

void Director::finish(Ticket ticket, Outcome outcome) {
  const auto found = open_.find(ticket);
  if (found == open_.end()) return;
  // Lost with the connection, but to be done again: it goes on waiting.
  if (found->second.waiting && outcome.kind == OutcomeKind::kUnavailable &&
      found->second.options.deadline > now_) {
    return;
  }
  const Open done = std::move(found->second);
  open_.erase(found);
  host_.on_outcome(ticket, done.command, outcome);
}

// ---- Observations ---------------------------------------------------------------------------

void Director::observe(std::string_view key, json::Value value, std::string reason) {
  held_back_.insert_or_assign(std::string(key), Observation{std::move(value), std::move(reason)});
  if (ready()) flush_observations();
}

void Director::flush_observations() {
  std::map<std::string, Observation, std::less<>> now_told;
  now_told.swap(held_back_);
  for (auto& [key, observation] : now_told) {
    const auto known = told_.find(key);
    if (known != told_.end() && json::equal(known->second, observation.value)) continue;
    told_.insert_or_assign(key, observation.value);
    host_.on_observed(key, observation.value, observation.reason);
  }
}

}  // namespace state_engine::obs
