// Asking JetStream again is done by making the durable anew from its ack floor, since 2.9 has no
// request for it and redelivery after AckWait would let newer messages overtake. Each attachment is
// a generation with a deliver subject of its own, so that late deliveries of the one before are
// told apart.

#include "bus/nats/consumer.h"

#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

namespace state_engine::nats {
namespace {

constexpr std::size_t kUnsettledBytesMax = 128 * 1024 * 1024;
constexpr std::chrono::milliseconds kAttachRetry{250};
constexpr int kNarrowBy = 4;
constexpr std::chrono::milliseconds kUnboundPoll{100};
constexpr int kUnboundPolls = 30;

JetStream::Requester requester(const std::shared_ptr<NatsCore>& core) {
  return [core](std::string subject, std::string body) {
    return core->request(std::move(subject), std::move(body));
  };
}

std::string ack_text(Settlement how, std::chrono::milliseconds delay) {
  switch (how) {
    case Settlement::kDone:
      return "+ACK";
    case Settlement::kRefuse:
      return "+TERM";
    case Settlement::kLater:
      if (delay.count() <= 0) return "-NAK";
      return fmt::format(R"(-NAK {{"delay":{}}})", delay.count() * 1'000'000);
  }
  SE_UNREACHABLE();
}

// Up to where all is settled. One that began at a later sequence reports 0 until its first ack.
std::uint64_t floor_of(const DurableState& durable) {
  const std::int64_t begin = json::find_int(durable.config, "opt_start_seq").value_or(1);
  return std::max(durable.ack_floor,
                  static_cast<std::uint64_t>(std::max<std::int64_t>(begin, 1)) - 1);
}

BusMessage read_message(Inbound inbound, const std::string& prefix) {
  BusMessage out;
  out.subject = inbound.subject.starts_with(prefix) ? inbound.subject.substr(prefix.size())
                                                    : std::move(inbound.subject);
  out.body = std::move(inbound.body);
  out.headers = std::move(inbound.headers);
  out.message_id = out.header("Nats-Msg-Id");
  return out;
}

}  // namespace

Consumer::Consumer(std::shared_ptr<NatsCore> core, const boost::asio::any_io_executor& strand,
                   ConsumeOptions options, ConsumeHandler handler, StreamMaker make_streams)
    : core_(std::move(core)),
      options_(std::move(options)),
      subject_(core_->options().prefix + options_.subject),
      name_(durable_name(subject_, options_.queue)),
      handler_(std::move(handler)),
      make_streams_(std::move(make_streams)),
      jet_stream_(requester(core_)),
      id_(core_->new_id()),
      wake_(strand) {
  core_->watch_link(id_, wake_);
}

void Consumer::end() {
  {
    const std::lock_guard delivering(delivering_);
    ended_ = true;
  }
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  core_->unwatch_link(id_);
  wake_.notify();
}

boost::asio::awaitable<void> Consumer::run() {
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) break;
    }
    link_ = core_->link();
    if (link_ == nullptr) {
      co_await wake_.wait(std::chrono::hours{1});
      continue;
    }
    const Status attached = co_await attach();
    if (!attached.ok()) {
      complain(attached.error());
      co_await wake_.wait(kAttachRetry);
      continue;
    }
    last_complaint_.clear();
    co_await watch();
    detach();
  }
  detach();
}

// The window as it was, once the backlog is done.
Consumer::Awaitable<void> Consumer::widen(const DurableState& durable) {
  json::Object config = durable.config;
  config["max_ack_pending"] = core_->options().ack_pending_max;
  std::string stream_name = stream_.name;
  const Status updated =
      co_await jet_stream_.create_durable(std::move(stream_name), std::move(config));
  if (updated.ok()) window_.reset();
}

void Consumer::complain(const Error& error) {
  if (error.message == last_complaint_) return;
  last_complaint_ = error.message;
  core_->tell([&](Log& log, NatsObserver&) {
    log.warn("cannot consume yet", {{"subject", subject_}, {"error", error.message}});
  });
}

// ---- Taking over or making the durable -------------------------------------------------------

std::string Consumer::fresh_deliver_subject() {
  return fmt::format("{}.deliver.{}", link_->inbox(), core_->new_id());
}

json::Object Consumer::new_config(const StreamState& stream) {
  json::Object config = durable_config(core_->options(), name_, subject_, options_.queue);
  if (!options_.from_now) return config;
  // A durable that was deleted goes on where it was; a stream that was wiped is all new.
  const std::lock_guard lock(mutex_);
  const bool same_stream = stream.created == stream_.created && last_sequence_ > 0;
  if (same_stream && stream.last_sequence >= last_sequence_) {
    config["deliver_policy"] = "by_start_sequence";
    config["opt_start_seq"] = last_sequence_ + 1;
  } else if (!attached_before_) {
    config["deliver_policy"] = "new";
  }
  return config;
}

Consumer::Awaitable<Result<DurableState>> Consumer::create(const StreamState& stream,
                                                           json::Object config) {
  config["deliver_subject"] = fresh_deliver_subject();
  const Status made = co_await jet_stream_.create_durable(stream.name, std::move(config));
  // Somebody else was faster: theirs is as good.
  if (!made.ok() && made.error().code != ErrorCode::kConflict) co_return made.error();
  co_return co_await jet_stream_.durable(stream.name, name_);
}

Consumer::Awaitable<Result<DurableState>> Consumer::recreate(const StreamState& stream,
                                                             const DurableState& old) {
  json::Object config = old.config;
  const std::uint64_t floor = floor_of(old);
  config.erase("opt_start_time");
  config.erase("opt_start_seq");
  config["deliver_policy"] = "all";
  // After a server lost the end of its stream, sequences begin below the floor again.
  const bool ahead = floor > stream.last_sequence;
  if (stream.retention != "workqueue" && floor > 0 && !ahead) {
    config["deliver_policy"] = "by_start_sequence";
    config["opt_start_seq"] = floor + 1;
  }
  if (last_floor_ == floor) {
    window_ = std::max(1, window_.value_or(core_->options().ack_pending_max) / kNarrowBy);
  }
  last_floor_ = floor;
  if (window_) config["max_ack_pending"] = *window_;
  const Status deleted = co_await jet_stream_.delete_durable(stream.name, name_);
  if (!deleted.ok() && deleted.error().code != ErrorCode::kNotFound) co_return deleted.error();
  core_->tell([&](Log& log, NatsObserver& observer) {
    observer.on_resync();
    log.info("unsettled messages are asked for again",
             {{"durable", name_}, {"count", old.ack_pending}, {"floor", floor}});
  });
  co_return co_await create(stream, std::move(config));
}

Status Consumer::check(const DurableState& durable) const {
  return check_durable(durable, name_, subject_, options_.queue);
}

// The durable as it is once nobody is bound to it, or after a while.
Consumer::Awaitable<Result<DurableState>> Consumer::wait_unbound(std::string stream) {
  auto durable = co_await jet_stream_.durable(stream, name_);
  for (int i = 0; i < kUnboundPolls && durable.ok() && durable->bound; ++i) {
    co_await wake_.wait(kUnboundPoll);
    durable = co_await jet_stream_.durable(stream, name_);
  }
  co_return durable;
}

Consumer::Awaitable<Result<DurableState>> Consumer::find_or_create(const StreamState& stream) {
  auto durable = co_await jet_stream_.durable(stream.name, name_);
  if (!durable.ok() && durable.error().code == ErrorCode::kNotFound) {
    co_return co_await create(stream, new_config(stream));
  }
  if (!durable.ok()) co_return durable.error();
  if (Status fits = check(*durable); !fits.ok()) co_return fits.error();
  const bool ahead = durable->delivered > stream.last_sequence;
  if (durable->ack_pending == 0 && !ahead) co_return durable;
  if (durable->bound) {
    durable = co_await wait_unbound(stream.name);
    if (!durable.ok()) co_return durable.error();
  }
  if (durable->bound || stream.retention == "interest") {
    core_->tell([&](Log& log, NatsObserver&) {
      log.warn("unsettled messages come again after their ack wait only",
               {{"durable", name_},
                {"count", durable->ack_pending},
                {"why", durable->bound ? "another consumer is bound" : "interest retention"}});
    });
    co_return durable;
  }
  if (durable->ack_pending == 0 && !ahead) co_return durable;
  co_return co_await recreate(stream, *durable);
}

Consumer::Awaitable<Status> Consumer::attach() {
  auto name = co_await jet_stream_.stream_of(subject_);
  if (!name.ok()) co_return name.error();
  if (!*name) {
    make_streams_();
    co_return Error{ErrorCode::kNotFound, "no stream takes " + subject_};
  }
  std::string stream_name = **name;
  auto stream = co_await jet_stream_.stream(std::move(stream_name));
  if (!stream.ok()) co_return stream.error();
  auto durable = co_await find_or_create(*stream);
  if (!durable.ok()) co_return durable.error();
  if (Status fits = check(*durable); !fits.ok()) co_return fits.error();
  stream_ = *stream;
  listen(link_, *durable);
  attached_before_ = true;
  co_return Status();
}

void Consumer::listen(const std::shared_ptr<Link>& link, const DurableState& durable) {
  std::uint64_t generation = 0;
  {
    const std::lock_guard delivering(delivering_);
    {
      const std::lock_guard lock(mutex_);
      generation = ++generation_;
      unsettled_.clear();
      unsettled_bytes_ = 0;
      overflowed_ = false;
    }
    if (attached_before_ && !ended_) handler_.on_reset();
  }
  deliver_subject_ = durable.deliver_subject;
  ack_wait_ = std::chrono::nanoseconds(json::find_int(durable.config, "ack_wait").value_or(0));
  auto id = link->subscribe(deliver_subject_, options_.queue,
                            [weak = weak_from_this(), generation](Inbound inbound) {
                              if (const auto self = weak.lock()) {
                                self->on_message(generation, std::move(inbound));
                              }
                            });
  on_link_ = id.ok() ? *id : 0;
  core_->tell([&](Log& log, NatsObserver&) {
    log.info("consuming", {{"subject", subject_},
                           {"durable", name_},
                           {"stream", stream_.name},
                           {"waiting", durable.pending}});
  });
}

void Consumer::detach() {
  if (link_ != nullptr && on_link_ != 0) link_->unsubscribe(on_link_);
  on_link_ = 0;
  link_.reset();
  // From here on settling has no effect: the numbers may mean other messages soon. What was decided
  // comes again and is known then. At the end it still has: the last answers go out.
  const std::lock_guard lock(mutex_);
  if (!stopping_) ++generation_;
}

// ---- While attached --------------------------------------------------------------------------

Consumer::Awaitable<void> Consumer::watch() {
  while (true) {
    co_await wake_.wait(core_->options().check_interval);
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) co_return;
      if (overflowed_ && unsettled_.empty()) co_return;
    }
    if (core_->link() != link_ || on_link_ == 0) co_return;
    extend_unsettled();
    const bool good = co_await still_good();
    if (!good) co_return;
  }
}

// False if the durable is not the one that this consumer listens to.
Consumer::Awaitable<bool> Consumer::still_good() {
  auto durable = co_await jet_stream_.durable(stream_.name, name_);
  if (!durable.ok()) {
    if (durable.error().code != ErrorCode::kNotFound) co_return true;
    core_->tell([&](Log& log, NatsObserver&) {
      log.warn("the durable is gone and is made again", {{"durable", name_}});
    });
    co_return false;
  }
  std::size_t unsettled = 0;
  {
    const std::lock_guard lock(mutex_);
    unsettled = unsettled_.size();
  }
  core_->tell([&](Log&, NatsObserver& observer) {
    observer.on_backlog(options_.queue, durable->pending, static_cast<std::int64_t>(unsettled));
  });
  const bool same = durable->deliver_subject == deliver_subject_;
  if (same && window_ && durable->pending == 0 && durable->ack_pending == 0) {
    co_await widen(*durable);
  }
  co_return same;
}

// Tells the server that what is held here is being worked on.
void Consumer::extend_unsettled() {
  const auto now = std::chrono::steady_clock::now();
  std::vector<std::string> replies;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [sequence, item] : unsettled_) {
      if (now - item.extended < ack_wait_ / 3) continue;
      item.extended = now;
      replies.push_back(item.reply);
    }
  }
  for (const std::string& reply : replies) static_cast<void>(link_->publish(reply, "", "+WPI"));
}

void Consumer::on_message(std::uint64_t generation, Inbound inbound) {
  if (inbound.status == "100") {  // Flow control of a durable that was configured elsewhere.
    if (const auto link = core_->link(); link != nullptr && !inbound.reply.empty()) {
      static_cast<void>(link->publish(inbound.reply, "", ""));
    }
    return;
  }
  const auto ack = parse_ack_subject(inbound.reply);
  if (!ack) return;
  const std::lock_guard delivering(delivering_);
  if (ended_) return;
  {
    const std::lock_guard lock(mutex_);
    if (generation != generation_) return;
    if (const auto held = unsettled_.find(ack->stream_sequence); held != unsettled_.end()) {
      held->second.reply = inbound.reply;  // Comes again while it is worked on.
      return;
    }
    // What is dropped, and all behind it, comes again once the rest is settled.
    overflowed_ = overflowed_ || unsettled_bytes_ > kUnsettledBytesMax;
    if (overflowed_) {
      core_->tell([](Log&, NatsObserver& observer) { observer.on_slow_consumer(); });
      return;
    }
    unsettled_bytes_ += inbound.body.size();
    last_sequence_ = std::max(last_sequence_, ack->stream_sequence);
    unsettled_[ack->stream_sequence] = {inbound.reply, inbound.body.size(),
                                        std::chrono::steady_clock::now()};
  }
  if (ack->attempt > 1) {
    core_->tell([](Log&, NatsObserver& observer) { observer.on_redelivered(); });
  }
  BusDelivery delivery;
  delivery.position = ack->stream_sequence;
  delivery.attempt = ack->attempt;
  delivery.stored_at = ack->stored_at;
  delivery.settle = [weak = weak_from_this(), generation, sequence = ack->stream_sequence](
                        Settlement how, std::chrono::milliseconds delay) {
    if (const auto self = weak.lock()) self->settle(generation, sequence, how, delay);
  };
  const auto age = std::chrono::system_clock::now() - ack->stored_at;
  if (options_.age_max.count() > 0 && age > options_.age_max) {
    delivery.done();
    return;
  }
  delivery.message = read_message(std::move(inbound), core_->options().prefix);
  handler_.on_message(std::move(delivery));
}

void Consumer::settle(std::uint64_t generation, std::uint64_t sequence, Settlement how,
                      std::chrono::milliseconds delay) {
  // Held while the ack goes out, so that none follows a detach().
  const std::lock_guard lock(mutex_);
  if (generation != generation_) return;
  const auto found = unsettled_.find(sequence);
  if (found == unsettled_.end()) return;
  if (const auto link = core_->link()) {
    static_cast<void>(link->publish(found->second.reply, "", ack_text(how, delay)));
  }
  unsettled_bytes_ -= found->second.bytes;
  unsettled_.erase(found);
  if (overflowed_ && unsettled_.empty()) wake_.notify();
}

}  // namespace state_engine::nats
