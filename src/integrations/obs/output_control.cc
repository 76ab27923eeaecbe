// Driven by outputState, never by outputActive alone: OBS calls an output inactive while it starts,
// while it reconnects and while it is paused.

#include "integrations/obs/output_control.h"

#include <utility>

#include <fmt/format.h>

#include "base/assert.h"

namespace state_engine::obs {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBeginTime{5'000};  // from an accepted start to STARTING
constexpr milliseconds kStopTime{20'000};  // from an accepted stop to STOPPED
constexpr milliseconds kPauseTime{2'000};  // from an accepted pause to PAUSED

// OBS 29 never ends a recording that was paused and resumed within one frame.
constexpr milliseconds kPauseGap{300};

bool flag(const json::Object& data, std::string_view name) {
  const json::Value* const value = json::find(data, name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

Outcome done(std::string message = {}) { return {OutcomeKind::kDone, std::move(message), {}}; }
Outcome no_change(std::string message) { return {OutcomeKind::kNoChange, std::move(message), {}}; }
Outcome failed(std::string message) { return {OutcomeKind::kFailed, std::move(message), {}}; }
Outcome superseded(std::string message) {
  return {OutcomeKind::kSuperseded, std::move(message), {}};
}

}  // namespace

std::string refusal(const Reply& reply) {
  return reply.comment.empty() ? fmt::format("OBS refused ({})", reply.code)
                               : fmt::format("OBS refused ({}): {}", reply.code, reply.comment);
}

Request OutputControl::request(std::string_view verb) const {
  return {fmt::format("{}{}", verb, kind_.suffix), {}};
}

std::string_view OutputControl::value() const {
  switch (state_) {
    case OutputState::kUnknown:
      return "unknown";
    case OutputState::kOff:
      return failed_ ? "failed" : "off";
    case OutputState::kStarting:
      return "starting";
    case OutputState::kOn:
      return paused_ ? "paused" : kind_.on;
    case OutputState::kStopping:
      return "stopping";
  }
  SE_UNREACHABLE();
}

void OutputControl::report(const std::string& reason) {
  desk_.observe(kind_.key, json::Value(boost::json::string_view(value().data(), value().size())),
                reason);
}

// ---- Commands -------------------------------------------------------------------------------

void OutputControl::start(Ticket ticket) {
  switch (state_) {
    case OutputState::kUnknown:
      desk_.finish(ticket, {OutcomeKind::kUnavailable, "the state of OBS is not known yet", {}});
      return;
    case OutputState::kOn:
      desk_.finish(ticket, no_change(fmt::format("the {} was on already", kind_.noun)));
      return;
    case OutputState::kOff:
      for_on_.push_back(ticket);
      if (for_on_.size() == 1) try_start();
      return;
    case OutputState::kStarting:
      for_on_.push_back(ticket);
      want_ = Want::kNothing;
      finish_all(desk_, for_off_, superseded("a later command wants it on"));
      return;
    case OutputState::kStopping:
      for_on_.push_back(ticket);
      want_ = Want::kOn;
      return;
  }
}

void OutputControl::stop(Ticket ticket) {
  const Outcome taken_back = superseded("a later command wants it off");
  switch (state_) {
    case OutputState::kUnknown:
      desk_.finish(ticket, {OutcomeKind::kUnavailable, "the state of OBS is not known yet", {}});
      return;
    case OutputState::kOff:
      finish_all(desk_, for_on_, taken_back);  // One that waits for OBS to settle.
      desk_.finish(ticket, no_change(fmt::format("the {} was off already", kind_.noun)));
      return;
    case OutputState::kOn:
      for_off_.push_back(ticket);
      send_stop();
      return;
    case OutputState::kStarting:
      // OBS refuses a stop now and would go live afterwards: it has to wait.
      for_off_.push_back(ticket);
      want_ = Want::kOff;
      finish_all(desk_, for_on_, taken_back);
      return;
    case OutputState::kStopping:
      // Not sent again: a second one would cut off what is still being sent.
      for_off_.push_back(ticket);
      want_ = Want::kNothing;
      finish_all(desk_, for_on_, taken_back);
      return;
  }
}

void OutputControl::try_start() {
  if (state_ != OutputState::kOff || for_on_.empty()) return;
  const MonotonicTime left = start_not_before_ - desk_.now();
  if (left.count() <= 0) {
    send_start();
    return;
  }
  desk_.after(std::chrono::ceil<milliseconds>(left), [this] { try_start(); });
}

void OutputControl::send_start() {
  state_ = OutputState::kStarting;
  starting_seen_ = live_ = false;
  want_ = Want::kNothing;
  const std::uint64_t attempt = ++attempt_;
  desk_.ask({request("Start")}, [this, attempt](const std::vector<Reply>& replies) {
    if (attempt != attempt_ || state_ != OutputState::kStarting) return;
    const Reply reply = verdict(replies);
    if (reply.code == codes::kOutputRunning) return check_status();
    if (!reply.ok()) return enter_off(true, refusal(reply));
    desk_.after(kBeginTime, [this, attempt] {
      if (attempt == attempt_ && state_ == OutputState::kStarting && !starting_seen_) {
        check_status();
      }
    });
  });
}

void OutputControl::send_stop() {
  state_ = OutputState::kStopping;
  want_ = Want::kNothing;
  const std::uint64_t attempt = ++attempt_;
  desk_.ask({request("Stop")}, [this, attempt](const std::vector<Reply>& replies) {
    if (attempt != attempt_ || state_ != OutputState::kStopping) return;
    const Reply reply = verdict(replies);
    if (const auto path = json::find_string(reply.data, "outputPath")) output_path_ = *path;
    if (reply.code == codes::kOutputNotRunning) return check_status();
    if (!reply.ok()) {
      finish_all(desk_, for_off_, failed(refusal(reply)));
      return check_status();
    }
    desk_.after(kStopTime, [this, attempt] {
      if (attempt == attempt_ && state_ == OutputState::kStopping) check_status();
    });
  });
}

void OutputControl::pause(Ticket ticket, bool paused) {
  if (state_ != OutputState::kOn) {
    desk_.finish(ticket, failed(fmt::format("there is no {} to {}: it is {}", kind_.noun,
                                            paused ? "pause" : "resume", value())));
    return;
  }
  if (paused_ == paused) {
    desk_.finish(ticket, no_change(paused ? "it was paused already" : "it was not paused"));
    return;
  }
  for_pause_.push_back({ticket, paused});
  const MonotonicTime left = pause_not_before_ - desk_.now();
  if (left.count() <= 0) return send_pause(paused);
  desk_.after(std::chrono::ceil<milliseconds>(left), [this, paused] {
    if (state_ == OutputState::kOn && paused_ != paused) send_pause(paused);
  });
}

void OutputControl::send_pause(bool paused) {
  desk_.ask({request(paused ? "Pause" : "Resume")}, [this](const std::vector<Reply>& replies) {
    const Reply reply = verdict(replies);
    if (!reply.ok()) return end_pause(failed(refusal(reply)));
    desk_.after(kPauseTime, [this] {
      if (for_pause_.empty()) return;
      check_status([this] {
        end_pause(
            failed("OBS accepted it and did nothing: a recording with the quality of the "
                   "stream cannot be paused"));
      });
    });
  });
}

// ---- What OBS says --------------------------------------------------------------------------

void OutputControl::check_status(const std::function<void()>& then) {
  const std::uint64_t attempt = attempt_;
  Request status = request("Get");
  status.type += "Status";
  desk_.ask({std::move(status)}, [this, attempt, then](const std::vector<Reply>& replies) {
    const Reply reply = verdict(replies);
    if (attempt == attempt_ && reply.ok()) on_status(reply.data);
    if (then) then();
  });
}

void OutputControl::on_first_status(const json::Object& data) {
  start_not_before_ = desk_.now() + kind_.settle;
  on_status(data);
}

void OutputControl::on_status(const json::Object& data) {
  reconnecting_ = flag(data, "outputReconnecting");
  paused_ = flag(data, "outputPaused");
  if (flag(data, "outputActive") || reconnecting_ || paused_) {
    enter_on("OBS says that it is on");
  } else if (state_ != OutputState::kStarting) {
    enter_off(false, "OBS says that it is off");
  } else if (!starting_seen_) {
    enter_off(true, "OBS accepted the start but did not begin: look for a dialog in OBS");
  }
}

void OutputControl::on_event(const json::Object& data) {
  constexpr std::string_view kPrefix = "OBS_WEBSOCKET_OUTPUT_";
  const std::string full = json::find_string(data, "outputState").value_or("");
  const std::string_view state =
      std::string_view(full).substr(full.starts_with(kPrefix) ? kPrefix.size() : 0);
  if (state == "STARTING") {
    state_ = OutputState::kStarting;
    starting_seen_ = true;
    live_ = failed_ = false;
    report("OBS is starting it");
  } else if (state == "STARTED") {
    enter_on("OBS has started it");
  } else if (state == "STOPPING") {
    state_ = OutputState::kStopping;
    report("OBS is stopping it");
  } else if (state == "STOPPED") {
    if (const auto path = json::find_string(data, "outputPath")) output_path_ = *path;
    if (starting_seen_ && !live_ && want_ != Want::kOff) {
      enter_off(true, "it ended before it began: is the server reachable and the key right?");
    } else {
      enter_off(false, "OBS has stopped it");
    }
  } else if (state == "RECONNECTING" || state == "RECONNECTED") {
    reconnecting_ = state == "RECONNECTING";
    if (!reconnecting_ && state_ != OutputState::kStopping) enter_on("OBS has reconnected");
  } else if (state == "PAUSED" || state == "RESUMED") {
    paused_ = state == "PAUSED";
    pause_not_before_ = desk_.now() + kPauseGap;
    enter_on(paused_ ? "it was paused" : "it was resumed");
    end_pause(failed("a later command wants the opposite"));
  }
}

void OutputControl::on_disconnected() {
  state_ = OutputState::kUnknown;
  want_ = Want::kNothing;
  starting_seen_ = live_ = failed_ = reconnecting_ = paused_ = false;
  ++attempt_;
  const Outcome lost{OutcomeKind::kUnavailable, "the connection to OBS was lost meanwhile", {}};
  finish_all(desk_, for_on_, lost);
  finish_all(desk_, for_off_, lost);
  end_pause(lost);
  report("the connection to OBS was lost");
}

void OutputControl::enter_on(const std::string& why) {
  const bool was_stopping = state_ == OutputState::kStopping;
  state_ = OutputState::kOn;
  live_ = true;
  failed_ = false;
  report(why);
  if (was_stopping) {
    finish_all(desk_, for_off_,
               failed(fmt::format("OBS accepted the stop, but the {} is still on", kind_.noun)));
  }
  if (std::exchange(want_, Want::kNothing) == Want::kOff && !for_off_.empty()) return send_stop();
  finish_all(desk_, for_on_, done());
}

void OutputControl::enter_off(bool has_failed, const std::string& why) {
  const bool was_starting = state_ == OutputState::kStarting;
  state_ = OutputState::kOff;
  failed_ = has_failed;
  starting_seen_ = live_ = reconnecting_ = paused_ = false;
  ++attempt_;
  report(why);
  Outcome stopped = done();
  if (!output_path_.empty()) stopped.facts["outputPath"] = std::exchange(output_path_, {});
  finish_all(desk_, for_off_, stopped);
  end_pause(failed("it has stopped"));
  if (std::exchange(want_, Want::kNothing) == Want::kOn) return try_start();
  if (was_starting)
    finish_all(desk_, for_on_, failed(fmt::format("the {} did not start: {}", kind_.noun, why)));
}

void OutputControl::end_pause(const Outcome& otherwise) {
  std::vector<PauseWaiter> waiters;
  waiters.swap(for_pause_);
  for (const PauseWaiter& waiter : waiters) {
    const bool as_wanted = state_ == OutputState::kOn && waiter.paused == paused_;
    desk_.finish(waiter.ticket, as_wanted ? done() : otherwise);
  }
}

}  // namespace state_engine::obs
