// A paced HTTP client: sends one fixed request at a fixed rate over kept-open connections, and
// measures each answer from the moment the request was due, not from when it could be sent. A
// server that stalls is so charged for everybody who would have come meanwhile (no coordinated
// omission), which closed-loop clients such as wrk leave out.
//
//   bench_load PORT REQUEST_FILE RATE CONNECTIONS SECONDS
//
// Request i is due at the first tick of 100 us at or after start + i / RATE, so that a few come at
// once, and belongs to connection i % CONNECTIONS, which sends it once its former answer is
// complete. An answer has come when the kernel has put its last bytes into the socket
// (SO_TIMESTAMPNS), whenever this program reads them: at the next tick. It wakes once a tick and no
// more, as a client that wakes for each request and each answer costs more than the servers do.
//
// REQUEST_FILE holds the whole request as it goes over the wire. The first second is not counted.
// One thread, loopback only; prints one JSON line, latencies in microseconds. Answers must be 200
// and carry Content-Length.

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <vector>

#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

constexpr std::uint64_t kWarmUpSeconds = 1;
constexpr nanoseconds kTick = std::chrono::microseconds(100);
constexpr auto kGrace = std::chrono::seconds(5);  // for answers after the last request was due

struct Options {
  std::uint16_t port = 0;
  std::string request;
  double rate = 0;
  std::size_t connections = 0;
  std::uint64_t seconds = 0;
};

[[noreturn]] void die(const std::string& message) {
  std::fprintf(stderr, "bench_load: %s\n", message.c_str());
  std::exit(1);
}

[[noreturn]] void die_of_errno(const std::string& what) { die(what + ": " + std::strerror(errno)); }

template <typename Number>
Number number_of(const char* text) {
  Number value{};
  const char* end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, value);
  if (error != std::errc() || rest != end || value <= Number{}) {
    die(std::string("\"") + text + "\" is no number above zero");
  }
  return value;
}

Options read_options(int count, char** words) {
  if (count != 6) die("usage: bench_load PORT REQUEST_FILE RATE CONNECTIONS SECONDS");
  std::ifstream file(words[2], std::ios::binary);
  if (!file) die(std::string("cannot read ") + words[2]);
  Options options;
  options.port = number_of<std::uint16_t>(words[1]);
  options.request.assign(std::istreambuf_iterator<char>(file), {});
  options.rate = number_of<double>(words[3]);
  options.connections = number_of<std::size_t>(words[4]);
  options.seconds = number_of<std::uint64_t>(words[5]);
  return options;
}

// The length of the whole answer at the start of `text`, or nothing if its head is incomplete.
std::optional<std::size_t> answer_length(std::string_view text) {
  const std::size_t head = text.find("\r\n\r\n");
  if (head == std::string_view::npos) return std::nullopt;
  if (!text.starts_with("HTTP/1.1 200 ")) {
    die("the server answered " + std::string(text.substr(0, text.find("\r\n"))));
  }
  constexpr std::string_view kName = "\r\ncontent-length:";
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; };
  const auto found = std::search(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(head),
                                 kName.begin(), kName.end(), same);
  std::size_t at = static_cast<std::size_t>(found - text.begin());
  if (at >= head) die("an answer without Content-Length");
  at += kName.size();
  while (at < head && text[at] == ' ') ++at;
  std::size_t length = 0;
  std::from_chars(text.data() + at, text.data() + head, length);
  return head + 4 + length;
}

// One kept-open connection: at most one request under way.
struct Connection {
  int socket = -1;
  bool busy = false;
  std::uint64_t request = 0;  // the number of the one under way
  std::uint64_t next = 0;     // the number of the one after it
  std::string received;
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options) {
    poll_ = epoll_create1(EPOLL_CLOEXEC);
    if (poll_ < 0) die_of_errno("epoll_create1");
    total_ = static_cast<std::uint64_t>(options_.rate * static_cast<double>(options_.seconds));
    warm_up_ = static_cast<std::uint64_t>(options_.rate * kWarmUpSeconds);
    connections_.resize(options_.connections);
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      connections_[i].socket = connect_to(options_.port);
      connections_[i].next = i;
      epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
      if (epoll_ctl(poll_, EPOLL_CTL_ADD, connections_[i].socket, &event) != 0) {
        die_of_errno("epoll_ctl");
      }
    }
  }

  // Sends everything when it is due and reads the answers.
  void run() {
    start_ = Clock::now();
    ahead_ = std::chrono::system_clock::now().time_since_epoch() - Clock::now().time_since_epoch();
    const auto end = due(total_) + kGrace;
    while (answered_ < total_) {
      const auto now = Clock::now();
      if (now > end) break;
      send_what_is_due(now);
      wait();
    }
  }

  void print() {
    std::sort(latencies_.begin(), latencies_.end());
    const auto at = [this](double share) {
      if (latencies_.empty()) return 0.0;
      const auto index = static_cast<std::size_t>(share * static_cast<double>(latencies_.size()));
      return static_cast<double>(latencies_[std::min(index, latencies_.size() - 1)].count()) / 1e3;
    };
    std::printf(
        "{\"offered_per_s\":%.1f,\"sent\":%llu,\"answered\":%llu,\"counted\":%zu,"
        "\"send_delay_p99_us\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,"
        "\"max_us\":%.1f,\"client_cpu_us_per_call\":%.2f}\n",
        options_.rate, static_cast<unsigned long long>(sent_),
        static_cast<unsigned long long>(answered_), latencies_.size(), send_delay_p99(), at(0.5),
        at(0.99), at(0.999), at(1), cpu_us_per_call());
  }

 private:
  double cpu_us_per_call() const {
    timespec used{};
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0) die_of_errno("clock_gettime");
    return (static_cast<double>(used.tv_sec) * 1e6 + static_cast<double>(used.tv_nsec) / 1e3) /
           static_cast<double>(std::max<std::uint64_t>(answered_, 1));
  }

  static int connect_to(std::uint16_t port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket < 0) die_of_errno("socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      die_of_errno("connect to port " + std::to_string(port));
    }
    const int on = 1;
    if (setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
      die_of_errno("TCP_NODELAY");
    }
    if (setsockopt(socket, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0) {
      die_of_errno("SO_TIMESTAMPNS");
    }
    return socket;
  }

  Clock::time_point due(std::uint64_t request) const {
    const double ns = static_cast<double>(request) * 1e9 / options_.rate;
    const double ticks = std::ceil(ns / static_cast<double>(kTick.count()));
    return start_ + static_cast<std::int64_t>(ticks) * kTick;
  }

  void send_what_is_due(Clock::time_point now) {
    for (Connection& connection : connections_) {
      if (!connection.busy && connection.next < total_ && due(connection.next) <= now) {
        send_next(connection, now);
      }
    }
  }

  void send_next(Connection& connection, Clock::time_point now) {
    connection.request = connection.next;
    connection.next += connections_.size();
    connection.busy = true;
    if (connection.request >= warm_up_) send_delays_.push_back(now - due(connection.request));
    // Requests are far smaller than a socket's buffer, and only one is under way.
    const ssize_t written =
        ::send(connection.socket, options_.request.data(), options_.request.size(), MSG_NOSIGNAL);
    if (written != static_cast<ssize_t>(options_.request.size())) die_of_errno("send");
    ++sent_;
  }

  // Sleeps until the next tick, then reads what has come meanwhile.
  void wait() {
    const nanoseconds until =
        (start_ + ((Clock::now() - start_) / kTick + 1) * kTick).time_since_epoch();
    const timespec at{.tv_sec = until.count() / 1'000'000'000,
                      .tv_nsec = until.count() % 1'000'000'000};
    const int failed = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
    if (failed != 0 && failed != EINTR) die("clock_nanosleep failed");
    epoll_event events[64];
    const int ready = epoll_wait(poll_, events, std::size(events), 0);
    if (ready < 0 && errno != EINTR) die_of_errno("epoll_wait");
    for (int i = 0; i < ready; ++i) receive(connections_[events[i].data.u64]);
  }

  void receive(Connection& connection) {
    char buffer[65536];
    alignas(cmsghdr) char control[128];
    iovec part{.iov_base = buffer, .iov_len = sizeof buffer};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = ::recvmsg(connection.socket, &message, 0);
    if (got <= 0) die("the server closed a connection");
    connection.received.append(buffer, static_cast<std::size_t>(got));
    const auto length = answer_length(connection.received);
    if (!length || connection.received.size() < *length) return;
    if (connection.received.size() > *length || !connection.busy) die("more than one answer");
    connection.received.clear();
    connection.busy = false;
    ++answered_;
    if (connection.request >= warm_up_) {
      latencies_.push_back(arrival_of(message) - due(connection.request));
    }
  }

  // When the kernel got the last bytes of `message`.
  Clock::time_point arrival_of(msghdr& message) const {
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
      if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS) continue;
      timespec at{};
      std::memcpy(&at, CMSG_DATA(part), sizeof at);
      return Clock::time_point(std::chrono::seconds(at.tv_sec) + nanoseconds(at.tv_nsec) - ahead_);
    }
    die("an answer came without the kernel's time");
  }

  // How late the client itself was, waiting for the connection's former answer included.
  double send_delay_p99() {
    if (send_delays_.empty()) return 0;
    const auto at =
        send_delays_.begin() + static_cast<std::ptrdiff_t>((send_delays_.size() - 1) * 99 / 100);
    std::nth_element(send_delays_.begin(), at, send_delays_.end());
    return static_cast<double>(at->count()) / 1e3;
  }

  const Options& options_;
  int poll_ = -1;
  std::uint64_t total_ = 0;
  std::uint64_t warm_up_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t answered_ = 0;
  Clock::time_point start_;
  nanoseconds ahead_{0};  // the clock of the kernel's timestamps before ours
  std::vector<Connection> connections_;
  std::vector<nanoseconds> latencies_;
  std::vector<nanoseconds> send_delays_;
};

}  // namespace

int main(int count, char** words) {
  const Options options = read_options(count, words);
  prctl(PR_SET_TIMERSLACK, 1UL);  // The default of 50 us would be a good part of what is measured.
  Load load(options);
  load.run();
  load.print();
  return 0;
}
