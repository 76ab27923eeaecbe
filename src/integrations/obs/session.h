// Session: one connection to OBS as a machine without a socket: the handshake, and which answer
// belongs to which request.
//
// Invariants, checked by session_test.cc:
//   (1) Nothing but Identify is sent before OBS said Identified.
//   (2) Each request's continuation runs once, or never if the connection ends first.
//
// Ownership: the host outlives the session. Threads: one.

#ifndef STATE_ENGINE_INTEGRATIONS_OBS_SESSION_H_
#define STATE_ENGINE_INTEGRATIONS_OBS_SESSION_H_

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "integrations/obs/messages.h"

namespace state_engine::obs {

using MonotonicTime = std::chrono::nanoseconds;
using Continuation = std::function<void(std::vector<Reply> replies)>;

struct SessionHost {
  virtual ~SessionHost() = default;
  virtual void send(std::string text) = 0;
  virtual void on_identified(const Hello& hello) = 0;
  virtual void on_event(const Event& event) = 0;
  // `type` of the first request, how long the answer took.
  virtual void on_answered(std::string_view type, MonotonicTime took, bool ok) = 0;
};

class Session {
 public:
  // How long OBS may take for an answer; it answers in milliseconds unless it hangs.
  static constexpr std::chrono::seconds kAnswerTime{5};

  Session(SessionHost& host, std::string password) : host_(host), password_(std::move(password)) {}

  // A new connection has opened.
  void begin(MonotonicTime now);
  // A message came. Errors: kInvalidArgument for what no OBS would say; kFailedPrecondition if it
  // wants a password and we have none, or speaks another version. Close the connection then.
  Status on_text(std::string_view text, MonotonicTime now);
  // The connection is gone; continuations are dropped.
  void end();

  // Sends `requests`, several as one batch. `then` gets the replies, fewer than asked if one
  // failed. REQUIRES: identified().
  void ask(std::vector<Request> requests, Continuation then, MonotonicTime now);

  bool identified() const { return state_ == State::kIdentified; }
  // False once OBS has owed an answer for longer than kAnswerTime.
  bool responsive(MonotonicTime now) const { return !oldest_ || now - *oldest_ < kAnswerTime; }

 private:
  enum class State { kClosed, kWaitingForHello, kWaitingForIdentified, kIdentified };
  struct Open {
    std::string type;
    MonotonicTime asked{};
    Continuation then;
  };

  Status on_hello(const Hello& hello);
  void on_response(Response response, MonotonicTime now);
  void find_oldest();

  SessionHost& host_;
  const std::string password_;
  State state_ = State::kClosed;
  Hello hello_;
  std::uint64_t next_id_ = 1;
  std::map<std::string, Open, std::less<>> open_;
  std::optional<MonotonicTime> oldest_;  // what OBS owes for longest: an answer, or the handshake
};

}  // namespace state_engine::obs

#endif  // STATE_ENGINE_INTEGRATIONS_OBS_SESSION_H_
