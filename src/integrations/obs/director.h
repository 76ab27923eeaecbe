// Director: everything that is known and wanted of one OBS, without sockets, threads or clocks.
//
// It runs the handshake, reads the whole state after each connection, carries out commands one by
// one against what OBS really does, and reports observations: obs.connected, obs.scene,
// obs.stream, obs.recording. Reports begin once the state was read and pause while OBS changes its
// scene collection, so that nothing in between is ever told.
//
// A command that may wait is kept while OBS is away, up to its deadline. After a restart of OBS the
// scene that we last put on air comes back, unless somebody switched since.
//
// Ownership: the host outlives the director. Threads: one.

#ifndef STATE_ENGINE_INTEGRATIONS_OBS_DIRECTOR_H_
#define STATE_ENGINE_INTEGRATIONS_OBS_DIRECTOR_H_

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "integrations/obs/output_control.h"
#include "integrations/obs/scene_control.h"
#include "integrations/obs/session.h"

namespace state_engine::obs {

inline constexpr std::string_view kConnectedKey = "obs.connected";

struct DirectorHost {
  virtual ~DirectorHost() = default;
  virtual void send(std::string text) = 0;
  virtual void on_outcome(Ticket ticket, const Command& command, const Outcome& outcome) = 0;
  virtual void on_observed(std::string_view key, const json::Value& value,
                           const std::string& reason) = 0;
  virtual void on_answered(std::string_view type, MonotonicTime took, bool ok) = 0;
  // The state was read: commands are carried out from now on.
  virtual void on_ready() = 0;
};

struct DirectorOptions {
  std::string password;
  bool restore_scene = true;  // after a restart of OBS
};

class Director final : private SessionHost, private Desk {
 public:
  Director(DirectorHost& host, DirectorOptions options);

  // The connection. on_text: an error says to close it.
  void on_connected(MonotonicTime now);
  Status on_text(std::string_view text, MonotonicTime now);
  void on_disconnected(MonotonicTime now);

  // Lets time pass. False if OBS no longer answers: drop the connection.
  bool on_time(MonotonicTime now);
  // When on_time has to be called next, at the latest.
  MonotonicTime next_wake(MonotonicTime now) const;

  struct CommandOptions {
    MonotonicTime deadline{};
    bool may_wait = false;  // for OBS to come back
  };
  // Returns at once; the outcome is told to the host, possibly before this returns.
  Ticket submit(Command command, CommandOptions options, MonotonicTime now);

  bool ready() const { return ready_ && !holding_; }
  const SceneControl& scene() const { return scene_; }
  const OutputControl& stream() const { return stream_; }
  const OutputControl& recording() const { return recording_; }
  const std::string& obs_version() const { return obs_version_; }

 private:
  struct Open {
    Command command;
    CommandOptions options;
    bool waiting = false;  // not begun
  };

  // SessionHost.
  void send(std::string text) override { host_.send(std::move(text)); }
  void on_identified(const Hello& hello) override;
  void on_event(const Event& event) override;
  void on_answered(std::string_view type, MonotonicTime took, bool ok) override {
    host_.on_answered(type, took, ok);
  }

  // Desk.
  void ask(std::vector<Request> requests, Continuation then) override;
  void after(std::chrono::milliseconds wait, std::function<void()> then) override;
  MonotonicTime now() const override { return now_; }
  void finish(Ticket ticket, Outcome outcome) override;
  void observe(std::string_view key, json::Value value, std::string reason) override;

  void read_state();
  void on_state_part(const Reply& reply, void (Director::*use)(const json::Object&));
  void use_version(const json::Object& data);
  void use_scenes(const json::Object& data) { scene_.on_list(data, restarted_); }
  void use_stream(const json::Object& data) { stream_.on_first_status(data); }
  void use_recording(const json::Object& data) { recording_.on_first_status(data); }
  void become_ready();
  void restore_scene();
  void begin(Ticket ticket);
  void begin_waiting();
  void flush_observations();

  DirectorHost& host_;
  const DirectorOptions options_;
  Session session_;
  SceneControl scene_;
  OutputControl stream_;
  OutputControl recording_;
  MonotonicTime now_{};
  bool ready_ = false;      // the state was read
  bool holding_ = false;    // OBS changes its scene collection
  bool restarted_ = false;  // this is another run of OBS than before
  int parts_missing_ = 0;   // of the state that is being read
  std::string run_;         // the salt of this run of OBS; empty without a password
  std::string obs_version_;
  Ticket next_ticket_ = 1;
  std::map<Ticket, Open> open_;
  std::multimap<MonotonicTime, std::function<void()>> timers_;
  struct Observation {
    json::Value value;
    std::string reason;
  };
  std::map<std::string, json::Value, std::less<>> told_;       // what the host knows
  std::map<std::string, Observation, std::less<>> held_back_;  // what it will be told when ready
};

}  // namespace state_engine::obs

#endif  // STATE_ENGINE_INTEGRATIONS_OBS_DIRECTOR_H_
