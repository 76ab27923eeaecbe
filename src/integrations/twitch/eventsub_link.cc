// EventSub's WebSocket rules (Twitch, "Handling WebSocket Events"). A lost link is not replayed, so
// everything that ends in a new session ends in reconciling; session_reconnect loses nothing.

#include "integrations/twitch/eventsub_link.h"

#include <algorithm>
#include <utility>

namespace state_engine::twitch {
namespace {

using std::chrono::nanoseconds;

constexpr std::chrono::seconds kKeepaliveDefault{10};
constexpr std::size_t kHeldMax = 1'000;

// "wss://host/..." as {"wss", "host"}; the port belongs to the host.
std::pair<std::string_view, std::string_view> scheme_and_host(std::string_view url) {
  const auto colon = url.find("://");
  if (colon == std::string_view::npos) return {};
  const std::string_view rest = url.substr(colon + 3);
  return {url.substr(0, colon), rest.substr(0, rest.find_first_of("/?#"))};
}

std::string_view without_port(std::string_view host) { return host.substr(0, host.rfind(':')); }

bool same_or_below(std::string_view host, std::string_view parent) {
  return host == parent || (host.ends_with(parent) && host[host.size() - parent.size() - 1] == '.');
}

}  // namespace

std::string_view to_string(DropReason reason) {
  switch (reason) {
    case DropReason::kDuplicate:
      return "duplicate";
    case DropReason::kStale:
      return "stale";
    case DropReason::kFromTheFuture:
      return "from_the_future";
    case DropReason::kMalformed:
      return "malformed";
    case DropReason::kUnknownKind:
      return "unknown_kind";
  }
  SE_UNREACHABLE();
}

std::string describe_close(std::uint16_t code) {
  switch (code) {
    case 0:
      return "no connection";
    case 1006:
      return "the connection broke";
    case 4000:
      return "4000 internal server error";
    case 4001:
      return "4001 client sent inbound traffic";
    case 4002:
      return "4002 client failed ping-pong";
    case 4003:
      return "4003 connection unused: no subscription was made in time";
    case 4004:
      return "4004 reconnect grace time expired";
    case 4005:
      return "4005 network timeout";
    case 4006:
      return "4006 network error";
    case 4007:
      return "4007 invalid reconnect";
    default:
      return "close code " + std::to_string(code);
  }
}

EventSubLink::EventSubLink(LinkOptions options, Random& random)
    : options_(std::move(options)), backoff_(options_.backoff, random) {}

EventSubLink::Socket EventSubLink::open(const std::string& url, nanoseconds deadline,
                                        LinkActions& actions) {
  const SocketId id = ++last_id_;
  actions.emplace_back(ConnectSocket{id, url});
  return {id, false, deadline};
}

void EventSubLink::connect_fresh(Now now, LinkActions& actions) {
  retry_at_.reset();
  const char joint = options_.url.find('?') == std::string::npos ? '?' : '&';
  const std::string url = options_.url + joint +
                          "keepalive_timeout_seconds=" + std::to_string(options_.keepalive.count());
  main_ = open(url, now.steady + options_.welcome_timeout, actions);
}

LinkActions EventSubLink::start(Now now) {
  LinkActions actions;
  connect_fresh(now, actions);
  return actions;
}

// Gives up every socket and plans the next try.
void EventSubLink::lose(std::string why, Now now, LinkActions& actions) {
  end_drain(now, actions);
  if (main_) actions.emplace_back(CloseSocket{main_->id, why});
  if (next_) actions.emplace_back(CloseSocket{next_->id, why});
  main_.reset();
  next_.reset();
  session_id_.clear();
  const auto wait = backoff_.next();
  retry_at_ = now.steady + wait;
  actions.emplace_back(SessionLost{std::move(why), wait});
}

bool EventSubLink::knows(SocketId socket) const {
  return (main_ && main_->id == socket) || (next_ && next_->id == socket) || old_ == socket;
}

void EventSubLink::heard_from(SocketId socket, Now now) {
  for (auto* one : {&main_, &next_}) {
    if (*one && (*one)->id == socket && (*one)->welcomed) {
      (*one)->deadline = now.steady + silence_max_;
    }
  }
}

LinkActions EventSubLink::on_text(SocketId socket, std::string_view text, Now now) {
  LinkActions actions;
  if (!knows(socket)) return actions;
  auto frame = decode_frame(text);
  if (!frame.ok()) {
    actions.emplace_back(MessageDropped{DropReason::kMalformed, frame.error().message});
    return actions;
  }
  heard_from(socket, now);
  switch (frame->kind) {
    case FrameKind::kWelcome:
      on_welcome(socket, *frame, now, actions);
      break;
    case FrameKind::kKeepalive:
      break;
    case FrameKind::kReconnect:
      on_reconnect(socket, *frame, now, actions);
      break;
    case FrameKind::kNotification:
      on_notification(socket, std::move(*frame), now, actions);
      break;
    case FrameKind::kRevocation:
      if (!seen_.first_time(frame->message_id)) {
        actions.emplace_back(MessageDropped{DropReason::kDuplicate, frame->message_id});
      } else {
        actions.emplace_back(
            SubscriptionRevoked{frame->subscription_type, frame->subscription_status});
      }
      break;
    case FrameKind::kUnknown:
      actions.emplace_back(
          MessageDropped{DropReason::kUnknownKind, frame->kind_text.substr(0, 64)});
      break;
  }
  return actions;
}

void EventSubLink::on_welcome(SocketId socket, const Frame& frame, Now now, LinkActions& actions) {
  const bool handover = next_ && next_->id == socket;
  if (!handover && !(main_ && main_->id == socket && !main_->welcomed)) return;
  // Twitch's own clients allow a fifth more than it promises.
  silence_max_ =
      std::chrono::duration_cast<nanoseconds>(frame.keepalive.value_or(kKeepaliveDefault)) * 6 / 5;
  const bool old_one_lives = main_.has_value();
  if (handover) {
    end_drain(now, actions);
    if (old_one_lives) {
      // Not closed yet: closing throws away what is on its way.
      old_ = main_->id;
      drain_until_ = now.steady + options_.drain_time;
    }
    main_ = std::exchange(next_, std::nullopt);
  }
  main_->welcomed = true;
  main_->deadline = now.steady + silence_max_;
  session_id_ = frame.session_id;
  backoff_.reset();
  if (!handover) {
    actions.emplace_back(SessionStarted{session_id_});
  } else if (!old_one_lives) {
    actions.emplace_back(ReconcileNeeded{"the old connection ended before the new one was ready"});
  }
}

// The address must be one of the service that we connected to: nobody may send us elsewhere, or
// from TLS to plain text.
bool EventSubLink::may_reconnect_to(std::string_view url) const {
  const auto [scheme, host] = scheme_and_host(url);
  const auto [own_scheme, own_host] = scheme_and_host(options_.url);
  if (scheme != own_scheme || host.empty() || host.find('@') != std::string_view::npos) {
    return false;
  }
  if (host == own_host) return true;
  return same_or_below(without_port(own_host), "twitch.tv") &&
         same_or_below(without_port(host), "twitch.tv");
}

void EventSubLink::on_reconnect(SocketId socket, const Frame& frame, Now now,
                                LinkActions& actions) {
  if (!main_ || main_->id != socket || !main_->welcomed || next_) return;
  if (!may_reconnect_to(frame.reconnect_url)) {
    lose("asked to reconnect to an address that is not Twitch's", now, actions);
    return;
  }
  next_ = open(frame.reconnect_url, now.steady + options_.handover_timeout, actions);
}

void EventSubLink::on_notification(SocketId socket, Frame frame, Now now, LinkActions& actions) {
  const bool hold = drain_until_ && socket != old_;
  if (hold && held_.size() < kHeldMax) {
    held_.push_back(std::move(frame));
    return;
  }
  if (hold) end_drain(now, actions);
  pass_on(std::move(frame), now, actions);
}

// The old socket has had its time, or has ended: it is closed and the new one's turn comes.
void EventSubLink::end_drain(Now now, LinkActions& actions) {
  if (!drain_until_) return;
  drain_until_.reset();
  actions.emplace_back(CloseSocket{*old_, "handed over"});
  for (Frame& frame : std::exchange(held_, {})) pass_on(std::move(frame), now, actions);
}

void EventSubLink::pass_on(Frame frame, Now now, LinkActions& actions) {
  const Freshness age = freshness(frame.sent_at, now.wall);
  for (Notice& notice : frame.notices) {
    if (!seen_.first_time(notice.message_id)) {
      actions.emplace_back(MessageDropped{DropReason::kDuplicate, notice.message_id});
    } else if (age != Freshness::kFresh) {
      const bool stale = age == Freshness::kStale;
      actions.emplace_back(
          MessageDropped{stale ? DropReason::kStale : DropReason::kFromTheFuture, notice.type});
      actions.emplace_back(ReconcileNeeded{"a message was dropped for its time"});
    } else {
      actions.emplace_back(Noticed{std::move(notice)});
    }
  }
}

LinkActions EventSubLink::on_closed(SocketId socket, std::uint16_t code, Now now) {
  LinkActions actions;
  if (old_ == socket) {
    end_drain(now, actions);
    old_.reset();
  } else if (next_ && next_->id == socket) {
    next_.reset();
    lose("the handover failed: " + describe_close(code), now, actions);
  } else if (main_ && main_->id == socket) {
    main_.reset();
    // During a handover the new socket carries on; else this is the end of the session.
    if (!next_) lose(describe_close(code), now, actions);
  }
  return actions;
}

LinkActions EventSubLink::on_time(Now now) {
  LinkActions actions;
  if (drain_until_ && now.steady >= *drain_until_) end_drain(now, actions);
  if (retry_at_ && now.steady >= *retry_at_) {
    connect_fresh(now, actions);
  } else if (next_ && now.steady >= next_->deadline) {
    lose("the handover took too long", now, actions);
  } else if (main_ && !next_ && now.steady >= main_->deadline) {
    lose(main_->welcomed ? "nothing was heard for longer than the keepalive time"
                         : "no welcome came in time",
         now, actions);
  }
  return actions;
}

nanoseconds EventSubLink::next_deadline() const {
  nanoseconds at = nanoseconds::max();
  if (retry_at_) at = std::min(at, *retry_at_);
  if (main_ && !next_) at = std::min(at, main_->deadline);
  if (next_) at = std::min(at, next_->deadline);
  if (drain_until_) at = std::min(at, *drain_until_);
  return at;
}

}  // namespace state_engine::twitch
