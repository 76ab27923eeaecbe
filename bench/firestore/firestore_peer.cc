// Bare gRPC Commits against the Firestore emulator, with the stubs that the engine uses: what the
// database takes without an engine. Each mutation is one state document (set) and one log document
// (created, with the precondition that it does not exist), about as large as the engine's.
//
//   bench_firestore_peer HOST:PORT PROJECT COLLECTION BATCH SECONDS CONNECTIONS
//
// Prints one JSON object.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <google/firestore/v1/firestore.grpc.pb.h>
#include <grpcpp/grpcpp.h>

namespace {

namespace fs = google::firestore::v1;
using Clock = std::chrono::steady_clock;

struct Load {
  std::string target;
  std::string database;
  std::string collection;
  std::size_t batch = 0;
  Clock::time_point until;
};

void put(fs::Document& document, const char* name, const std::string& text) {
  (*document.mutable_fields())[name].set_string_value(text);
}

void put(fs::Document& document, const char* name, std::int64_t number) {
  (*document.mutable_fields())[name].set_integer_value(number);
}

void put_value(fs::Document& document, std::int64_t number) {
  auto& map = *(*document.mutable_fields())["value"].mutable_map_value()->mutable_fields();
  map["n"].set_integer_value(number);
  map["text"].set_string_value("a fact");
}

void add_state(fs::CommitRequest& request, const std::string& path, std::size_t number) {
  const std::string key = "bench.k" + std::to_string(number % 1000);
  fs::Document& document = *request.add_writes()->mutable_update();
  document.set_name(path + "-state/" + key);
  put_value(document, static_cast<std::int64_t>(number));
  for (const char* name : {"key", "updatedBy", "updatedAt", "mutationId", "reason", "engineId"}) {
    put(document, name, key);
  }
  put(document, "version", static_cast<std::int64_t>(number / 1000 + 1));
  put(document, "seq", static_cast<std::int64_t>(number));
}

void add_log(fs::CommitRequest& request, const std::string& path, const std::string& id,
             std::size_t number) {
  fs::Write& write = *request.add_writes();
  write.mutable_current_document()->set_exists(false);
  fs::Document& document = *write.mutable_update();
  document.set_name(path + "-log/" + id);
  put_value(document, static_cast<std::int64_t>(number));
  const std::string hash(64, 'a');
  for (const char* name : {"salt", "prevHash", "hash", "policyRevision", "ruleRevision"}) {
    put(document, name, hash);
  }
  for (const char* name : {"id", "key", "op", "status", "actor", "reason", "ts", "committedAt",
                           "engineId", "principal", "keySeq", "actorSeq"}) {
    put(document, name, id);
  }
  for (const char* name : {"seq", "version", "previousVersion"}) {
    put(document, name, static_cast<std::int64_t>(number));
  }
}

// One connection: one Commit after the other. Returns how many mutations it wrote.
std::size_t commit_all(const Load& load, std::size_t connection) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto stub = fs::Firestore::NewStub(
      grpc::CreateCustomChannel(load.target, grpc::InsecureChannelCredentials(), arguments));
  // A collection of its own for each connection: they shall not contend.
  const std::string path =
      load.database + "/documents/" + load.collection + std::to_string(connection);
  std::size_t number = 0;
  while (Clock::now() < load.until) {
    fs::CommitRequest request;
    request.set_database(load.database);
    for (std::size_t i = 0; i < load.batch; ++i, ++number) {
      add_state(request, path, number);
      add_log(request, path, "m-" + std::to_string(number), number);
    }
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    context.AddMetadata("authorization", "Bearer owner");
    context.AddMetadata("google-cloud-resource-prefix", load.database);
    fs::CommitResponse response;
    const grpc::Status status = stub->Commit(&context, request, &response);
    if (!status.ok()) {
      std::fprintf(stderr, "bench_firestore_peer: %s\n", status.error_message().c_str());
      std::exit(1);
    }
  }
  return number;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr, "usage: see the top of firestore_peer.cc\n");
    return 2;
  }
  const std::chrono::duration<double> seconds(std::strtod(argv[5], nullptr));
  const std::size_t connections = std::strtoul(argv[6], nullptr, 10);
  Load load;
  load.target = argv[1];
  load.database = "projects/" + std::string(argv[2]) + "/databases/(default)";
  load.collection = argv[3];
  load.batch = std::strtoul(argv[4], nullptr, 10);
  const auto begin = Clock::now();
  load.until = begin + std::chrono::duration_cast<Clock::duration>(seconds);
  std::vector<std::size_t> counts(connections);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < connections; ++i) {
    threads.emplace_back([&, i] { counts[i] = commit_all(load, i); });
  }
  for (std::thread& thread : threads) thread.join();
  std::size_t total = 0;
  for (const std::size_t count : counts) total += count;
  const std::chrono::duration<double> took = Clock::now() - begin;
  std::printf("{\"calls_per_s\": %.1f, \"mutations\": %zu}\n",
              static_cast<double>(total) / took.count(), total);
  return 0;
}
