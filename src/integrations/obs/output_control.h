// OutputControl: the stream, or the recording: what it does, and what we asked of it.
//
// Invariants, checked by output_control_test.cc:
//   (1) A start is requested only while the output is known to be stopped, and no other start or
//       stop is under way: OBS 29 crashes on a second StartStream while it is starting.
//   (2) A start is done when OBS says STARTED, a stop when it says STOPPED; being accepted is
//       neither. STOPPED without STARTED is a failed start.
//   (3) A stop while starting, and a start while stopping, wait for the end of what goes on.
//   (4) A stream that reconnects is live.
//
// Threads: one.

#ifndef STATE_ENGINE_INTEGRATIONS_OBS_OUTPUT_CONTROL_H_
#define STATE_ENGINE_INTEGRATIONS_OBS_OUTPUT_CONTROL_H_

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "integrations/obs/desk.h"

namespace state_engine::obs {

struct OutputKind {
  std::string_view noun;    // "stream"
  std::string_view suffix;  // of the requests: "Stream" for StartStream, StopStream, ...
  std::string_view key;     // "obs.stream"
  std::string_view on;      // the value while it runs: "live"
  // After connecting, OBS calls an output that is just starting inactive: wait this long before the
  // first start.
  std::chrono::milliseconds settle;
};

inline constexpr OutputKind kStreamOutput{"stream", "Stream", "obs.stream", "live",
                                          std::chrono::milliseconds{3000}};
inline constexpr OutputKind kRecordOutput{"recording", "Record", "obs.recording", "on",
                                          std::chrono::milliseconds{0}};

enum class OutputState { kUnknown, kOff, kStarting, kOn, kStopping };

class OutputControl {
 public:
  OutputControl(Desk& desk, const OutputKind& kind) : desk_(desk), kind_(kind) {}

  void start(Ticket ticket);
  void stop(Ticket ticket);
  void pause(Ticket ticket, bool paused);  // recordings only

  // The answer to Get<suffix>Status right after connecting.
  void on_first_status(const json::Object& data);
  // StreamStateChanged or RecordStateChanged.
  void on_event(const json::Object& data);
  void on_disconnected();

  OutputState state() const { return state_; }
  bool reconnecting() const { return reconnecting_; }
  bool paused() const { return paused_; }
  // "live", "starting", "off", "failed", "unknown", ...
  std::string_view value() const;

 private:
  enum class Want { kNothing, kOn, kOff };
  struct PauseWaiter {
    Ticket ticket;
    bool paused;
  };

  Request request(std::string_view verb) const;
  void try_start();
  void send_start();
  void send_stop();
  void send_pause(bool paused);
  void check_status(const std::function<void()>& then = {});
  void on_status(const json::Object& data);
  void enter_on(const std::string& why);
  void enter_off(bool has_failed, const std::string& why);
  void end_pause(const Outcome& otherwise);
  void report(const std::string& reason);

  Desk& desk_;
  const OutputKind kind_;
  OutputState state_ = OutputState::kUnknown;
  Want want_ = Want::kNothing;
  bool starting_seen_ = false;  // OBS said STARTING since our start, or on its own
  bool live_ = false;           // it was on since then
  bool failed_ = false;
  bool reconnecting_ = false;
  bool paused_ = false;
  std::uint64_t attempt_ = 0;  // tells late checks of an earlier start or stop
  MonotonicTime start_not_before_{};
  MonotonicTime pause_not_before_{};
  std::string output_path_;
  std::vector<Ticket> for_on_;
  std::vector<Ticket> for_off_;
  std::vector<PauseWaiter> for_pause_;
};

}  // namespace state_engine::obs

#endif  // STATE_ENGINE_INTEGRATIONS_OBS_OUTPUT_CONTROL_H_
