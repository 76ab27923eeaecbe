// Callbacks of the library may come late, after the objects they were made for. They carry numbers,
// not pointers: a number that is no longer in the registry is ignored.

#include "bus/nats/link.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <stop_token>
#include <thread>
#include <unordered_map>

#include <fmt/format.h>
#include <nats/nats.h>
#include <sched.h>

#include "bus/nats/nkey.h"

namespace state_engine::nats {
namespace {

constexpr std::chrono::milliseconds kSendNowMost{100};  // close() may wait as long

// Who receives a callback.
struct Receiver {
  Link::Handler on_message;
  Link::Events events;
};

class Registry {
 public:
  static Registry& instance() {
    static Registry registry;
    return registry;
  }
  std::uintptr_t add(std::shared_ptr<const Receiver> receiver) {
    const std::lock_guard lock(mutex_);
    receivers_.emplace(++last_, std::move(receiver));
    return last_;
  }
  void remove(std::uintptr_t id) {
    const std::lock_guard lock(mutex_);
    receivers_.erase(id);
  }
  std::shared_ptr<const Receiver> find(void* closure) {
    const std::lock_guard lock(mutex_);
    const auto found = receivers_.find(reinterpret_cast<std::uintptr_t>(closure));
    return found == receivers_.end() ? nullptr : found->second;
  }

 private:
  std::mutex mutex_;
  std::uintptr_t last_ = 0;
  std::unordered_map<std::uintptr_t, std::shared_ptr<const Receiver>> receivers_;
};

void* as_closure(std::uintptr_t id) {
  return reinterpret_cast<void*>(id);  // NOLINT(performance-no-int-to-ptr): a number, no pointer
}

std::string text_of(natsStatus status) { return natsStatus_GetText(status); }

// The library keeps the last error of the calling thread.
std::string last_error(natsStatus status) {
  natsStatus kept = NATS_OK;
  const char* text = nats_GetLastError(&kept);
  return text != nullptr && *text != '\0' ? text : text_of(status);
}

// The library frees messages on a thread of its own and wakes it for each of them. Its threads are
// scheduled as the one that opened it, here as a batch: so that thread waits for its turn, instead
// of taking the processor from the one that woke it. A failure comes again with the first call.
void open_library() {
  static std::once_flag once;
  std::call_once(once, [] {
    std::jthread([] {
      const sched_param none{};
      static_cast<void>(::sched_setscheduler(0, SCHED_BATCH, &none));  // where refused, as it was
      static_cast<void>(nats_Open(-1));
    }).join();
  });
}

Inbound read_message(natsMsg* message) {
  Inbound out;
  const auto text = [](const char* from) { return std::string(from != nullptr ? from : ""); };
  out.subject = text(natsMsg_GetSubject(message));
  out.reply = text(natsMsg_GetReply(message));
  if (const int size = natsMsg_GetDataLength(message); size > 0) {
    out.body.assign(natsMsg_GetData(message), static_cast<std::size_t>(size));
  }
  const char** names = nullptr;
  int count = 0;
  if (natsMsgHeader_Keys(message, &names, &count) != NATS_OK) return out;
  for (int i = 0; i < count; ++i) {
    const char* value = nullptr;
    if (natsMsgHeader_Get(message, names[i], &value) != NATS_OK) continue;
    if (std::string_view(names[i]) == "Status") out.status = text(value);
    out.headers.emplace_back(names[i], text(value));
  }
  std::free(names);  // The names themselves belong to the message.
  return out;
}

void message_callback(natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
  Inbound inbound = read_message(message);
  natsMsg_Destroy(message);
  if (const auto receiver = Registry::instance().find(closure)) {
    receiver->on_message(std::move(inbound));
  }
}

void closed_callback(natsConnection* connection, void* closure) {
  const char* error = nullptr;
  natsConnection_GetLastError(connection, &error);
  const std::string why = error != nullptr && *error != '\0' ? error : "the connection ended";
  if (const auto receiver = Registry::instance().find(closure)) receiver->events.on_closed(why);
}

void error_callback(natsConnection* connection, natsSubscription*, natsStatus status,
                    void* closure) {
  const auto receiver = Registry::instance().find(closure);
  if (receiver == nullptr) return;
  if (status == NATS_SLOW_CONSUMER) {
    receiver->events.on_slow();
    return;
  }
  const char* error = nullptr;
  natsConnection_GetLastError(connection, &error);
  receiver->events.on_error(error != nullptr && *error != '\0' ? error : text_of(status));
}

struct OptionsDeleter {
  void operator()(natsOptions* options) const { natsOptions_Destroy(options); }
};
using OptionsPtr = std::unique_ptr<natsOptions, OptionsDeleter>;

bool wants_tls(const NatsOptions& options) {
  if (options.tls || !options.tls_ca_file.empty() || !options.tls_cert_file.empty()) return true;
  for (const std::string& server : options.servers) {
    if (server.starts_with("tls://")) return true;
  }
  return false;
}

// The host of "scheme://user@host:port".
std::string host_of(std::string server) {
  if (const auto scheme = server.find("://"); scheme != std::string::npos) {
    server.erase(0, scheme + 3);
  }
  if (const auto at = server.rfind('@'); at != std::string::npos) server.erase(0, at + 1);
  if (server.starts_with('[')) return server.substr(1, server.find(']') - 1);
  return server.substr(0, server.find(':'));
}

natsStatus set_tls(natsOptions* out, const NatsOptions& options) {
  if (!wants_tls(options)) return NATS_OK;
  natsStatus status = natsOptions_SetSecure(out, true);
  if (status == NATS_OK && !options.tls_ca_file.empty()) {
    status = natsOptions_LoadCATrustedCertificates(out, options.tls_ca_file.c_str());
  }
  if (status == NATS_OK && !options.tls_cert_file.empty()) {
    status = natsOptions_LoadCertificatesChain(out, options.tls_cert_file.c_str(),
                                               options.tls_key_file.c_str());
  }
  if (status == NATS_OK && options.servers.size() == 1) {
    status = natsOptions_SetExpectedHostname(out, host_of(options.servers.front()).c_str());
  }
  return status;
}

natsStatus set_times(natsOptions* out, const NatsOptions& options) {
  const auto ms = [](std::chrono::milliseconds time) { return time.count(); };
  natsStatus status = natsOptions_SetTimeout(out, ms(options.connect_timeout));
  if (status == NATS_OK) status = natsOptions_SetPingInterval(out, ms(options.ping_interval));
  if (status == NATS_OK) status = natsOptions_SetMaxPingsOut(out, 2);
  if (status == NATS_OK) status = natsOptions_SetAllowReconnect(out, false);
  // What waits is bounded by the consumer's unsettled bytes, not by a silent drop in the library.
  if (status == NATS_OK) status = natsOptions_SetMaxPendingMsgs(out, 1'000'000);
  return status;
}

Status set_credentials(natsOptions* out, const NatsOptions& options) {
  natsStatus status = NATS_OK;
  if (!options.user.empty()) {
    status = natsOptions_SetUserInfo(out, options.user.c_str(), options.password.c_str());
  } else if (!options.token.empty()) {
    status = natsOptions_SetToken(out, options.token.c_str());
  } else if (!options.creds_file.empty()) {
    if (!std::ifstream(options.creds_file).is_open()) {
      return invalid_argument("cannot read the NATS credentials file " + options.creds_file);
    }
    status = natsOptions_SetUserCredentialsFromFiles(out, options.creds_file.c_str(), nullptr);
  } else if (!options.nkey_seed_file.empty()) {
    auto key = nkey_public_of_file(options.nkey_seed_file);
    if (!key.ok()) return key.error();
    status = natsOptions_SetNKeyFromSeed(out, key->c_str(), options.nkey_seed_file.c_str());
  }
  if (status == NATS_OK) return {};
  return invalid_argument("NATS credentials cannot be used: " + last_error(status));
}

Result<OptionsPtr> make_options(const NatsOptions& options, void* closure) {
  natsOptions* raw = nullptr;
  natsStatus status = natsOptions_Create(&raw);
  OptionsPtr out(raw);
  std::vector<const char*> servers;
  servers.reserve(options.servers.size());
  for (const std::string& server : options.servers) servers.push_back(server.c_str());
  if (status == NATS_OK) {
    status = natsOptions_SetServers(raw, servers.data(), static_cast<int>(servers.size()));
  }
  if (status != NATS_OK) {
    return invalid_argument(fmt::format(
        "--nats-url: {} (expected nats://HOST:PORT or tls://HOST:PORT)", last_error(status)));
  }
  if (status == NATS_OK) status = natsOptions_SetName(raw, options.client_name.c_str());
  if (status == NATS_OK) status = set_times(raw, options);
  if (status == NATS_OK) status = natsOptions_SetClosedCB(raw, closed_callback, closure);
  if (status == NATS_OK) status = natsOptions_SetErrorHandler(raw, error_callback, closure);
  if (status == NATS_OK) status = set_tls(raw, options);
  if (status != NATS_OK) return invalid_argument("NATS options: " + last_error(status));
  if (Status set = set_credentials(raw, options); !set.ok()) return set.error();
  return out;
}

Error connect_error(natsStatus status, const NatsOptions& options) {
  const std::string error = last_error(status);
  if (status == NATS_CONNECTION_AUTH_FAILED) {
    return {ErrorCode::kPermissionDenied,
            fmt::format("NATS at {} refuses the credentials: {}", server_name(options), error)};
  }
  return {ErrorCode::kUnavailable,
          fmt::format("no NATS server answers at {}: {}", server_name(options), error)};
}

// Asks for a flush from any thread and does it on its own: the library's own flush waits for more
// first, and the only call that does not wait for more waits for the server.
class Flusher {
 public:
  explicit Flusher(std::function<void()> flush)
      : flush_(std::move(flush)),
        thread_([this](const std::stop_token& ending) { loop(ending); }) {}

  void notify() {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(wanted_, true)) return;
    }
    changed_.notify_one();
  }
  // Afterwards notify() does nothing. Blocks until a flush under way ends.
  void stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void loop(const std::stop_token& ending) {
    while (!ending.stop_requested()) {
      {
        std::unique_lock lock(mutex_);
        if (!changed_.wait(lock, ending, [this] { return wanted_; })) return;
        wanted_ = false;
      }
      flush_();
    }
  }

  const std::function<void()> flush_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool wanted_ = false;
  std::jthread thread_;  // the last member: it uses the others
};

}  // namespace

struct Link::Impl {
  struct Entry {
    natsSubscription* subscription = nullptr;
    std::uintptr_t receiver = 0;
    bool ended = false;
  };

  natsConnection* connection = nullptr;
  std::uintptr_t receiver = 0;
  std::shared_mutex life;  // held shared while the connection is used, alone to destroy it
  std::mutex mutex;        // guards the two below
  std::map<std::uint64_t, Entry> subscriptions;
  std::uint64_t next_id = 1;
  std::atomic<bool> closed{false};
  std::unique_ptr<Flusher> flusher;
};

Link::Link(std::unique_ptr<Impl> impl, std::string inbox)
    : impl_(std::move(impl)), inbox_(std::move(inbox)) {
  impl_->flusher = std::make_unique<Flusher>([this] { static_cast<void>(flush(kSendNowMost)); });
}

Link::~Link() { close(); }

Result<std::shared_ptr<Link>> Link::connect(const NatsOptions& options, Events events) {
  open_library();
  auto receiver = std::make_shared<Receiver>();
  receiver->events = std::move(events);
  const std::uintptr_t id = Registry::instance().add(std::move(receiver));
  auto impl = std::make_unique<Impl>();
  impl->receiver = id;
  auto prepared = make_options(options, as_closure(id));
  if (!prepared.ok()) {
    Registry::instance().remove(id);
    return prepared.error();
  }
  const natsStatus status = natsConnection_Connect(&impl->connection, prepared->get());
  if (status != NATS_OK) {
    Registry::instance().remove(id);
    return connect_error(status, options);
  }
  natsInbox* inbox = nullptr;
  std::string name = options.inbox_prefix;
  if (natsInbox_Create(&inbox) == NATS_OK) {
    const std::string_view made = inbox;  // "_INBOX." and something unique
    name += made.substr(std::min(made.find('.'), made.size()));
    natsInbox_Destroy(inbox);
  }
  return std::shared_ptr<Link>(new Link(std::move(impl), std::move(name)));
}

std::size_t Link::payload_max() const {
  const std::shared_lock alive(impl_->life);
  if (impl_->closed.load()) return 1024 * 1024;
  const auto most = natsConnection_GetMaxPayload(impl_->connection);
  return most > 0 ? static_cast<std::size_t>(most) : 1024 * 1024;
}

bool Link::publish(const std::string& subject, const std::string& reply, std::string_view body,
                   const Headers& headers) {
  const std::shared_lock alive(impl_->life);
  if (impl_->closed.load()) return false;
  const auto size = static_cast<int>(body.size());
  if (headers.empty()) {
    // Without a message object, which the library would hand to another thread to free.
    const natsStatus sent =
        reply.empty()
            ? natsConnection_Publish(impl_->connection, subject.c_str(), body.data(), size)
            : natsConnection_PublishRequest(impl_->connection, subject.c_str(), reply.c_str(),
                                            body.data(), size);
    return sent == NATS_OK;
  }
  natsMsg* message = nullptr;
  natsStatus status = natsMsg_Create(&message, subject.c_str(),
                                     reply.empty() ? nullptr : reply.c_str(), body.data(), size);
  for (const auto& [name, value] : headers) {
    if (status == NATS_OK) status = natsMsgHeader_Set(message, name.c_str(), value.c_str());
  }
  if (status == NATS_OK) status = natsConnection_PublishMsg(impl_->connection, message);
  natsMsg_Destroy(message);
  return status == NATS_OK;
}

Result<std::uint64_t> Link::subscribe(const std::string& subject, const std::string& queue,
                                      Handler handler) {
  auto receiver = std::make_shared<Receiver>();
  receiver->on_message = std::move(handler);
  const std::uintptr_t id = Registry::instance().add(std::move(receiver));
  const std::shared_lock alive(impl_->life);
  const std::lock_guard lock(impl_->mutex);
  Impl::Entry entry;
  entry.receiver = id;
  natsStatus status = impl_->closed.load() ? NATS_CONNECTION_CLOSED : NATS_OK;
  if (status == NATS_OK && queue.empty()) {
    status = natsConnection_Subscribe(&entry.subscription, impl_->connection, subject.c_str(),
                                      message_callback, as_closure(id));
  } else if (status == NATS_OK) {
    status = natsConnection_QueueSubscribe(&entry.subscription, impl_->connection, subject.c_str(),
                                           queue.c_str(), message_callback, as_closure(id));
  }
  if (status == NATS_OK) {
    status = natsSubscription_SetPendingLimits(entry.subscription, -1, -1);
  }
  if (status != NATS_OK) {
    Registry::instance().remove(id);
    return Error{ErrorCode::kUnavailable, "cannot subscribe: " + last_error(status)};
  }
  impl_->subscriptions.emplace(impl_->next_id, entry);
  return impl_->next_id++;
}

void Link::unsubscribe(std::uint64_t id) {
  const std::shared_lock alive(impl_->life);
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->subscriptions.find(id);
  if (found == impl_->subscriptions.end() || found->second.ended) return;
  found->second.ended = true;
  Registry::instance().remove(found->second.receiver);
  // Fails only on a closed connection, where it makes no difference.
  static_cast<void>(natsSubscription_Unsubscribe(found->second.subscription));
}

bool Link::flush(std::chrono::milliseconds timeout) {
  const std::shared_lock alive(impl_->life);
  if (impl_->closed.load()) return false;
  return natsConnection_FlushTimeout(impl_->connection, timeout.count()) == NATS_OK;
}

void Link::send_now() { impl_->flusher->notify(); }

void Link::close() {
  if (impl_->closed.exchange(true)) return;
  impl_->flusher->stop();
  const std::unique_lock alone(impl_->life);
  Registry::instance().remove(impl_->receiver);
  natsConnection_Close(impl_->connection);
  const std::lock_guard lock(impl_->mutex);
  for (auto& [id, entry] : impl_->subscriptions) {
    Registry::instance().remove(entry.receiver);
    natsSubscription_Destroy(entry.subscription);
  }
  impl_->subscriptions.clear();
  natsConnection_Destroy(impl_->connection);
}

}  // namespace state_engine::nats
