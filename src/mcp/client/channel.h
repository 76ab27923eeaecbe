// Channel: how the client's messages reach a server and come back. Internal to src/mcp/client.

#ifndef STATE_ENGINE_MCP_CLIENT_CHANNEL_H_
#define STATE_ENGINE_MCP_CLIENT_CHANNEL_H_

#include <memory>
#include <string>
#include <string_view>

#include "mcp/client/client.h"
#include "net/blocking_socket.h"

namespace state_engine::mcp {

// One request goes out, then messages come in until its answer did.
class Channel {
 public:
  using Deadline = net::BlockingSocket::Deadline;

  virtual ~Channel() = default;
  // `name` is what Mcp-Name repeats; empty when the method has none.
  virtual Status send(std::string_view text, std::string_view method, std::string_view name,
                      Deadline deadline) = 0;
  // The next message as text.
  virtual Result<std::string> receive(Deadline deadline) = 0;
};

// Opens the channel that `options` describe.
Result<std::unique_ptr<Channel>> open_channel(const ClientOptions& options);

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_CLIENT_CHANNEL_H_
