// A flag beats the environment: the environment fills the defaults before the flags are read.

#include "app/bus_cli.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <CLI/CLI.hpp>

#include "app/environment.h"

namespace state_engine {
namespace {

// "a,b" -> {"a", "b"}.
std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> out;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

}  // namespace

NatsOptions default_nats_options() {
  NatsOptions nats;
  nats.servers = split_list(environment("NATS_URL"));
  nats.prefix = environment("BUS_PREFIX");
  nats.user = environment("NATS_USER");
  nats.password = environment("NATS_PASSWORD");
  nats.token = environment("NATS_TOKEN");
  nats.nkey_seed_file = environment("NATS_NKEY");
  nats.creds_file = environment("NATS_CREDS");
  nats.tls_ca_file = environment("NATS_CA");
  nats.tls_cert_file = environment("NATS_CERT");
  nats.tls_key_file = environment("NATS_KEY");
  if (const auto inbox = environment("NATS_INBOX_PREFIX"); !inbox.empty()) {
    nats.inbox_prefix = inbox;
  }
  return nats;
}

void add_nats_options(CLI::App& command, NatsOptions& nats) {
  command.add_option("--nats-url", nats.servers, "NATS servers, nats:// or tls:// (NATS_URL)")
      ->delimiter(',');
  command.add_option("--bus-prefix", nats.prefix,
                     "Before every subject, with its dot, e.g. local. (BUS_PREFIX)");
  command.add_option("--nats-user", nats.user, "User (NATS_USER; the password is NATS_PASSWORD)");
  command.add_option("--nats-nkey", nats.nkey_seed_file, "File with an NKey seed (NATS_NKEY)");
  command.add_option("--nats-creds", nats.creds_file, "File with JWT and seed (NATS_CREDS)");
  command.add_option("--nats-ca", nats.tls_ca_file,
                     "CA that signed the server's certificate; turns TLS on (NATS_CA)");
  command.add_option("--nats-cert", nats.tls_cert_file, "Certificate of the engine (NATS_CERT)");
  command
      .add_option("--nats-inbox-prefix", nats.inbox_prefix,
                  "Where replies come to; one that others may not read (NATS_INBOX_PREFIX)")
      ->capture_default_str();
  command.add_option("--nats-key", nats.tls_key_file, "Its key (NATS_KEY)");
}

void add_bus_options(CLI::App& command, BusOptions& bus) {
  add_nats_options(command, bus.nats);
  command
      .add_option("--nats-queue", bus.queue,
                  "Queue that shares proposals; another name reads all beside the first")
      ->capture_default_str();
  const std::map<std::string, BusActors> actors{{"body", BusActors::kBody},
                                                {"subject", BusActors::kSubject}};
  command
      .add_option("--nats-actors", bus.actors,
                  "Who proposes: what the body says, or the last token of the subject")
      ->transform(CLI::CheckedTransformer(actors, CLI::ignore_case));
  command.add_flag("!--no-nats-rpc", bus.rpc, "Do not answer requests (rpc.state.engine.v1.*)");
  command.add_flag("!--no-register", bus.registers, "Do not register with the tool gateway");
  command.add_option("--register-url", bus.register_url,
                     "How the tool gateway reaches this engine's /sse");
}

}  // namespace state_engine
