// NatsOptions: how to reach a NATS server, as whom, and what to expect of it.

#ifndef STATE_ENGINE_BUS_NATS_NATS_OPTIONS_H_
#define STATE_ENGINE_BUS_NATS_NATS_OPTIONS_H_

#include <chrono>
#include <string>
#include <vector>

namespace state_engine {

// Give at most one of user, token, nkey_seed_file and creds_file.
struct NatsOptions {
  std::vector<std::string> servers;  // "nats://host:port", "tls://host:port"
  std::string prefix;                // before every subject, with its dot: "local."
  std::string client_name = "state-engine";

  std::string user;
  std::string password;
  std::string token;
  std::string nkey_seed_file;  // holds a seed, "SU..."
  std::string creds_file;      // a JWT and its seed, as the NATS tools write them

  bool tls = false;         // implied by tls:// and by the files below
  std::string tls_ca_file;  // who signed the server's certificate
  std::string tls_cert_file;
  std::string tls_key_file;

  std::string inbox_prefix = "_INBOX";  // of replies and deliveries; one that others may not read

  bool create_streams = true;  // make what is missing

  std::chrono::milliseconds connect_timeout{2000};
  std::chrono::milliseconds reply_timeout{5000};  // of a publish or an API request
  std::chrono::milliseconds retry_most{2000};     // between attempts to connect
  std::chrono::milliseconds ping_interval{10'000};
  std::chrono::milliseconds check_interval{2000};  // is the durable still there?
  std::chrono::seconds ack_wait{60};               // of durables that are made here
  int ack_pending_max = 1000;
};

// The first server without user and password, for people.
std::string server_name(const NatsOptions& options);

}  // namespace state_engine

#endif  // STATE_ENGINE_BUS_NATS_NATS_OPTIONS_H_
