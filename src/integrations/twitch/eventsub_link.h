// EventSubLink: EventSub over WebSocket as a machine without sockets: what happened goes in, what
// to do comes out.
//
// Invariants, checked by eventsub_link_test.cc:
//   (1) A notification is passed on once, whatever was delivered how often over which socket.
//   (2) After a session_reconnect the old socket is read until drain_time after the new one's
//   welcome,
//       and what the new one brings meanwhile is passed on after it: the order of sending.
//   (3) Whenever messages may have been lost, kReconcile follows (a new session implies it).
//   (4) At every moment there is a socket or a time at which one will be opened.
//   (5) Nothing that the peer sends ends the machine.
//
// Threads: one at a time. Time comes in with every call.

#ifndef STATE_ENGINE_INTEGRATIONS_TWITCH_EVENTSUB_LINK_H_
#define STATE_ENGINE_INTEGRATIONS_TWITCH_EVENTSUB_LINK_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/random.h"
#include "integrations/twitch/frames.h"
#include "net/backoff.h"

namespace state_engine::twitch {

// Wall and monotonic time of one moment.
struct Now {
  Timestamp wall{};
  std::chrono::nanoseconds steady{};
};

using SocketId = int;

// Open a socket to `url`; report with on_text and on_closed.
struct ConnectSocket {
  SocketId socket = 0;
  std::string url;
};
// Close it; nothing needs to be reported of it any more, though it may.
struct CloseSocket {
  SocketId socket = 0;
  std::string why;  // for the log
};
// A new session without subscriptions: subscribe, then reconcile.
struct SessionStarted {
  std::string session_id;
};
// Something may have been missed while the subscriptions live on: reconcile.
struct ReconcileNeeded {
  std::string why;
};
struct Noticed {
  Notice notice;
};
struct SubscriptionRevoked {
  std::string type;
  std::string status;
};
// A message that was not passed on.
enum class DropReason { kDuplicate, kStale, kFromTheFuture, kMalformed, kUnknownKind };
struct MessageDropped {
  DropReason reason{};
  std::string detail;
};
// The session ended; another one will be opened in `retry_in`.
struct SessionLost {
  std::string why;
  std::chrono::milliseconds retry_in{};
};

using LinkAction = std::variant<ConnectSocket, CloseSocket, SessionStarted, ReconcileNeeded,
                                Noticed, SubscriptionRevoked, MessageDropped, SessionLost>;
using LinkActions = std::vector<LinkAction>;

struct LinkOptions {
  std::string url;
  std::chrono::seconds keepalive{10};         // asked for; the welcome says what it became
  std::chrono::seconds welcome_timeout{15};   // from connecting to the welcome
  std::chrono::seconds handover_timeout{30};  // Twitch closes the old socket then
  // What is still on its way over the old socket when the new one has its welcome comes within
  // this.
  std::chrono::milliseconds drain_time{1'000};
  net::BackoffOptions backoff{std::chrono::milliseconds{500}, std::chrono::milliseconds{60'000}, 2,
                              0.5};
};

std::string_view to_string(DropReason reason);

// What a close code of Twitch means, for people.
std::string describe_close(std::uint16_t code);

class EventSubLink {
 public:
  EventSubLink(LinkOptions options, Random& random);

  LinkActions start(Now now);
  LinkActions on_text(SocketId socket, std::string_view text, Now now);
  // Also when a socket could not be opened; `code` is then 0.
  LinkActions on_closed(SocketId socket, std::uint16_t code, Now now);
  // Call it at next_deadline(), or more often.
  LinkActions on_time(Now now);
  std::chrono::nanoseconds next_deadline() const;

  bool live() const { return main_ && main_->welcomed; }
  const std::string& session_id() const { return session_id_; }

 private:
  struct Socket {
    SocketId id = 0;
    bool welcomed = false;
    std::chrono::nanoseconds deadline{};  // for the welcome, then for the next message
  };

  Socket open(const std::string& url, std::chrono::nanoseconds deadline, LinkActions& actions);
  void connect_fresh(Now now, LinkActions& actions);
  void lose(std::string why, Now now, LinkActions& actions);
  void on_welcome(SocketId socket, const Frame& frame, Now now, LinkActions& actions);
  void on_reconnect(SocketId socket, const Frame& frame, Now now, LinkActions& actions);
  void on_notification(SocketId socket, Frame frame, Now now, LinkActions& actions);
  void pass_on(Frame frame, Now now, LinkActions& actions);
  void end_drain(Now now, LinkActions& actions);
  bool may_reconnect_to(std::string_view url) const;
  bool knows(SocketId socket) const;
  void heard_from(SocketId socket, Now now);

  const LinkOptions options_;
  net::Backoff backoff_;
  SeenMessages seen_;
  SocketId last_id_ = 0;
  std::optional<Socket> main_;
  std::optional<Socket> next_;   // after session_reconnect, until its welcome
  std::optional<SocketId> old_;  // the old socket after a handover, until it has closed
  std::optional<std::chrono::nanoseconds> drain_until_;  // while old_ comes first
  std::vector<Frame> held_;  // notifications of main_ while old_ comes first
  std::optional<std::chrono::nanoseconds> retry_at_;
  std::string session_id_;
  std::chrono::nanoseconds silence_max_{};
};

}  // namespace state_engine::twitch

#endif  // STATE_ENGINE_INTEGRATIONS_TWITCH_EVENTSUB_LINK_H_
