// `state-engine serve`: the engine as a service on this machine.

#ifndef STATE_ENGINE_APP_SERVE_H_
#define STATE_ENGINE_APP_SERVE_H_

#include <string>
#include <vector>

#include "app/firestore_store.h"
#include "app/mutation_intake.h"
#include "bus/nats/nats_options.h"

namespace state_engine {

// Where proposals come from and effects go to beside MCP. Without a NATS server: this process.
struct BusOptions {
  NatsOptions nats;
  std::string queue = "state-engine";  // names the durable; another one for a shadow engine
  BusActors actors = BusActors::kBody;
  bool rpc = true;           // answer requests
  bool registers = true;     // with the tool gateway
  std::string register_url;  // how the gateway reaches this engine's /sse; empty = made of --listen
};

struct ServeOptions {
  std::string config_file;  // empty = the reference's default keys, no rules
  std::string data_dir;
  std::string store = "sqlite";  // or "memory", "firestore"
  FirestoreSettings firestore;
  std::string listen = "127.0.0.1:4270";
  std::string tokens_file;
  std::string shared_token;
  std::string jwks_file;
  std::string jwt_issuer;
  std::string jwt_audience;  // empty = the URL of the MCP endpoint, by public_url
  std::string public_url;
  std::string tls_cert_file;  // empty = plain HTTP
  std::string tls_key_file;
  std::vector<std::string> authorization_servers;  // empty = jwt_issuer
  std::string log_level = "info";
  std::vector<std::string> allowed_hosts;
  std::vector<std::string> allowed_origins;
  bool raw_egress = false;
  BusOptions bus;
  bool show_clients = false;
  bool stdio = true;  // of `mcp`, which knows no other transport
};

// Serves until a signal ends it. Returns the exit code.
int serve(const ServeOptions& options);

// Serves one MCP client on stdin and stdout with the store opened by this process.
int serve_stdio(const ServeOptions& options);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_SERVE_H_
