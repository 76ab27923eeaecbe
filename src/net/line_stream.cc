// Sockets and descriptors share one reader, which cuts lines and skips those over the limit without
// keeping them.

#include "net/line_stream.h"

#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

namespace state_engine::net {
namespace {

namespace asio = boost::asio;
using local = asio::local::stream_protocol;

constexpr auto kAwaitTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kReadChunk = 64 * 1024;

// Cuts bytes into lines; a line over the limit is skipped, not kept.
class LineSplitter {
 public:
  explicit LineSplitter(std::size_t line_bytes_max) : line_bytes_max_(line_bytes_max) {}

  void feed(std::string_view bytes) { pending_.append(bytes); }

  // The next whole line; at the end of the input also the rest.
  std::optional<Line> next(bool at_end) {
    const auto end = pending_.find('\n', scanned_);
    if (end == std::string::npos) {
      scanned_ = pending_.size();
      if (pending_.size() > line_bytes_max_) {
        skipping_ = true;
        drop_all();
      }
      if (!at_end || (pending_.empty() && !skipping_)) return std::nullopt;
      return finish(std::exchange(pending_, {}));
    }
    std::string text = pending_.substr(0, end);
    pending_.erase(0, end + 1);
    scanned_ = 0;
    return finish(std::move(text));
  }

 private:
  Line finish(std::string text) {
    scanned_ = 0;
    if (std::exchange(skipping_, false) || text.size() > line_bytes_max_) return {{}, true};
    if (text.ends_with('\r')) text.pop_back();
    return {std::move(text), false};
  }

  void drop_all() {
    pending_.clear();
    scanned_ = 0;
  }

  const std::size_t line_bytes_max_;
  std::string pending_;
  std::size_t scanned_ = 0;
  bool skipping_ = false;
};

template <typename In, typename Out>
class StreamBase : public LineStream {
 public:
  StreamBase(In& in, Out& out, std::size_t line_bytes_max)
      : in_(in), out_(out), lines_(line_bytes_max) {}

  asio::awaitable<std::optional<Line>> read_line() override {
    while (true) {
      if (auto line = lines_.next(at_end_)) co_return line;
      if (at_end_) co_return std::nullopt;
      const auto [error, count] = co_await in_.async_read_some(asio::buffer(chunk_), kAwaitTuple);
      lines_.feed({chunk_.data(), count});
      if (error || stopped_) at_end_ = true;
    }
  }

  asio::awaitable<bool> write(std::string text) override {
    const auto [error, count] = co_await asio::async_write(out_, asio::buffer(text), kAwaitTuple);
    co_return !error;
  }

  asio::any_io_executor executor() const override { return in_.get_executor(); }

 protected:
  bool stopped_ = false;

 private:
  In& in_;
  Out& out_;
  LineSplitter lines_;
  std::array<char, kReadChunk> chunk_;
  bool at_end_ = false;
};

struct SocketHolder {
  local::socket socket;
};

class SocketStream final : private SocketHolder, public StreamBase<local::socket, local::socket> {
 public:
  SocketStream(local::socket peer, std::size_t line_bytes_max)
      : SocketHolder{std::move(peer)}, StreamBase(socket, socket, line_bytes_max) {}

  void stop_reading() override {
    stopped_ = true;
    boost::system::error_code ignored;  // The peer may be gone already.
    socket.shutdown(asio::socket_base::shutdown_receive, ignored);
  }

  void close() override {
    boost::system::error_code ignored;  // Whatever close says, the descriptor is gone.
    socket.shutdown(asio::socket_base::shutdown_both, ignored);
    socket.close(ignored);
  }
};

// Keeps the blocking mode of a descriptor that other processes may share.
class SavedFlags {
 public:
  explicit SavedFlags(int descriptor)
      : descriptor_(descriptor), flags_(fcntl(descriptor, F_GETFL)) {}
  ~SavedFlags() {
    if (flags_ >= 0) fcntl(descriptor_, F_SETFL, flags_);
  }
  SavedFlags(const SavedFlags&) = delete;
  SavedFlags& operator=(const SavedFlags&) = delete;

 private:
  const int descriptor_;
  const int flags_;
};

struct DescriptorHolder {
  DescriptorHolder(const asio::any_io_executor& strand, int input, int output)
      : saved_in(input), saved_out(output), in(strand), out(strand) {}

  SavedFlags saved_in;
  SavedFlags saved_out;
  asio::posix::stream_descriptor in;
  asio::posix::stream_descriptor out;
};

using DescriptorBase = StreamBase<asio::posix::stream_descriptor, asio::posix::stream_descriptor>;

// Regular files work too: Asio tries each read before it waits, and on files it never has to wait.
class DescriptorStream final : private DescriptorHolder, public DescriptorBase {
 public:
  DescriptorStream(const asio::any_io_executor& strand, int input, int output,
                   std::size_t line_bytes_max)
      : DescriptorHolder(strand, input, output), DescriptorBase(in, out, line_bytes_max) {}

  boost::system::error_code assign(int input_copy, int output_copy) {
    boost::system::error_code error;
    in.assign(input_copy, error);
    if (!error) out.assign(output_copy, error);
    return error;
  }

  void stop_reading() override {
    stopped_ = true;
    boost::system::error_code ignored;  // Nothing may be pending.
    in.cancel(ignored);
  }

  void close() override {
    boost::system::error_code ignored;  // Whatever close says, the descriptor is gone.
    in.close(ignored);
    out.close(ignored);
  }
};

Error unavailable(std::string what, int error_number) {
  return {ErrorCode::kUnavailable,
          std::move(what) + ": " + std::generic_category().message(error_number)};
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

// Makes room at `path`: removes a socket file that nobody listens at.
Status clear_stale(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return {};
    return unavailable("cannot look at " + path, errno);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return invalid_argument(path + " exists and is no socket; remove it or choose another path");
  }
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return unavailable("cannot open a Unix socket", errno);
  const sockaddr_un address = address_of(path);
  const int connected =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int connect_errno = errno;
  ::close(probe);
  if (connected == 0) {
    return Error{ErrorCode::kFailedPrecondition,
                 "another process listens at " + path + "; stop it first"};
  }
  if (connect_errno != ECONNREFUSED) {
    return unavailable("cannot tell whether " + path + " is in use", connect_errno);
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return unavailable("cannot remove the stale socket " + path, errno);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<LineStream>> open_descriptor_stream(const asio::any_io_executor& strand,
                                                           int input, int output,
                                                           std::size_t line_bytes_max) {
  const int input_copy = ::fcntl(input, F_DUPFD_CLOEXEC, 0);
  const int output_copy = input_copy < 0 ? -1 : ::fcntl(output, F_DUPFD_CLOEXEC, 0);
  if (output_copy < 0) {
    if (input_copy >= 0) ::close(input_copy);
    return invalid_argument("descriptor " + std::to_string(input_copy < 0 ? input : output) +
                            " is not open");
  }
  auto stream = std::make_unique<DescriptorStream>(strand, input, output, line_bytes_max);
  if (const auto error = stream->assign(input_copy, output_copy)) {
    return Error{ErrorCode::kUnavailable, "cannot use the descriptors: " + error.message()};
  }
  return std::unique_ptr<LineStream>{std::move(stream)};
}

UnixPeer unix_peer_of_uid(std::uint32_t uid) {
  std::array<char, 4096> storage{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(uid, &entry, storage.data(), storage.size(), &found) == 0 && found) {
    return {uid, found->pw_name};
  }
  return {uid, std::to_string(uid)};
}

struct UnixAcceptor::Impl {
  Impl(IoRuntime& io, std::string socket_path, std::size_t bytes_max)
      : runtime(io),
        path(std::move(socket_path)),
        line_bytes_max(bytes_max),
        acceptor(io.make_strand()) {}

  IoRuntime& runtime;
  const std::string path;
  const std::size_t line_bytes_max;
  asio::basic_socket_acceptor<local> acceptor;
};

UnixAcceptor::UnixAcceptor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

UnixAcceptor::~UnixAcceptor() { ::unlink(impl_->path.c_str()); }

Result<std::unique_ptr<UnixAcceptor>> UnixAcceptor::open(IoRuntime& runtime,
                                                         const std::string& path,
                                                         std::size_t line_bytes_max) {
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
    return invalid_argument("the socket path '" + path + "' must have 1 to " +
                            std::to_string(sizeof(sockaddr_un::sun_path) - 1) +
                            " bytes; choose a shorter data directory");
  }
  if (auto status = clear_stale(path); !status.ok()) return status.error();
  auto impl = std::make_unique<Impl>(runtime, path, line_bytes_max);
  boost::system::error_code error;
  impl->acceptor.open(local(), error);
  if (!error) impl->acceptor.bind(local::endpoint(path), error);
  if (error) return Error{ErrorCode::kUnavailable, "cannot bind " + path + ": " + error.message()};
  auto acceptor = std::make_unique<UnixAcceptor>(std::move(impl));
  // Nobody can connect before listen(), so there is no moment with a wider mode.
  if (::chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0) {
    return unavailable("cannot protect " + path, errno);
  }
  acceptor->impl_->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return Error{ErrorCode::kUnavailable, "cannot listen at " + path + ": " + error.message()};
  }
  return acceptor;
}

asio::awaitable<Result<AcceptedStream>> UnixAcceptor::accept() {
  auto [error, socket] =
      co_await impl_->acceptor.async_accept(impl_->runtime.make_strand(), kAwaitTuple);
  if (error) {
    const bool closed = !impl_->acceptor.is_open() || error == asio::error::operation_aborted;
    co_return Error{closed ? ErrorCode::kCancelled : ErrorCode::kUnavailable, error.message()};
  }
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    co_return unavailable("cannot learn who connected", errno);
  }
  AcceptedStream accepted;
  accepted.peer = unix_peer_of_uid(credentials.uid);
  accepted.stream = std::make_unique<SocketStream>(std::move(socket), impl_->line_bytes_max);
  co_return accepted;
}

void UnixAcceptor::close() {
  boost::system::error_code ignored;  // Closing twice is harmless.
  impl_->acceptor.close(ignored);
}

asio::any_io_executor UnixAcceptor::executor() const { return impl_->acceptor.get_executor(); }

}  // namespace state_engine::net
