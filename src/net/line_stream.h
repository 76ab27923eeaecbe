// LineStream: text lines over a Unix socket or a pair of descriptors (stdin and stdout).
//
// Writes have no deadline: a peer that does not read only stops its own stream, whose memory is
// bounded above this layer.
//
// Threads: a stream's own strand only, one read and one write at a time; destroy it there as well.

#ifndef STATE_ENGINE_NET_LINE_STREAM_H_
#define STATE_ENGINE_NET_LINE_STREAM_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "net/io_runtime.h"

namespace state_engine::net {

struct Line {
  std::string text;       // without its line break; "\r" before it is dropped too
  bool too_long = false;  // it was over the limit and was skipped; `text` is empty
};

class LineStream {
 public:
  virtual ~LineStream() = default;

  // The next line, or nullopt at the end of the input, after an error or after stop_reading().
  // Text without a line break at the very end counts as a line.
  virtual boost::asio::awaitable<std::optional<Line>> read_line() = 0;
  // Writes all of `text`, which holds its own line breaks; false once the peer is gone.
  virtual boost::asio::awaitable<bool> write(std::string text) = 0;
  // Ends reading; writing goes on.
  virtual void stop_reading() = 0;
  virtual void close() = 0;
  virtual boost::asio::any_io_executor executor() const = 0;
};

// Serves two descriptors, which are duplicated. Errors: kInvalidArgument if one is not open.
Result<std::unique_ptr<LineStream>> open_descriptor_stream(
    const boost::asio::any_io_executor& strand, int input, int output, std::size_t line_bytes_max);

// The user at the other end of a Unix socket, by SO_PEERCRED.
struct UnixPeer {
  std::uint32_t uid = 0;
  std::string user;  // the name of the uid, or its number
};

UnixPeer unix_peer_of_uid(std::uint32_t uid);

struct AcceptedStream {
  std::unique_ptr<LineStream> stream;
  UnixPeer peer;
};

// A listening Unix socket. The file is removed when the acceptor is destroyed.
// Threads: accept() and close() on one strand.
class UnixAcceptor {
 public:
  // Listens at `path` with mode 0600; a stale socket file is replaced.
  // Errors: kFailedPrecondition if someone listens there, kInvalidArgument if the path is too long
  // or is a file of another kind, kUnavailable otherwise.
  static Result<std::unique_ptr<UnixAcceptor>> open(IoRuntime& runtime, const std::string& path,
                                                    std::size_t line_bytes_max);
  ~UnixAcceptor();

  // The next connection, on a strand of its own. Errors: kCancelled after close(), kUnavailable
  // for a fault that may pass.
  boost::asio::awaitable<Result<AcceptedStream>> accept();
  void close();
  boost::asio::any_io_executor executor() const;

  struct Impl;
  explicit UnixAcceptor(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace state_engine::net

#endif  // STATE_ENGINE_NET_LINE_STREAM_H_
