// Each call asks the fault plan first; what is to be carried out is, under one lock, by
// FakeDocuments.

#include "tests/support/fake_firestore.h"

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <google/firestore/v1/firestore.grpc.pb.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "tests/support/fake_documents.h"
#include "tests/support/patience.h"

namespace state_engine::test {
namespace {

namespace fs = google::firestore::v1;

constexpr std::chrono::milliseconds kLater{150};

}  // namespace

struct FakeFirestore::Impl final : fs::Firestore::Service {
  using Handler = std::function<grpc::Status()>;

  grpc::Status Commit(grpc::ServerContext* context, const fs::CommitRequest* request,
                      fs::CommitResponse* response) override {
    const auto later = [this, copy = *request] {
      let_pass(kLater);
      const std::scoped_lock lock(mutex);
      fs::CommitResponse nobody_reads;
      databases[copy.database()].commit(copy, nobody_reads);
    };
    const auto now = [this, request, response] {
      const std::scoped_lock lock(mutex);
      return databases[request->database()].commit(*request, *response);
    };
    return answer(*context, CallKind::kCommit, now, later);
  }

  grpc::Status BatchGetDocuments(
      grpc::ServerContext* context, const fs::BatchGetDocumentsRequest* request,
      grpc::ServerWriter<fs::BatchGetDocumentsResponse>* writer) override {
    return answer(*context, CallKind::kGet, [this, request, writer] {
      std::vector<fs::BatchGetDocumentsResponse> responses;
      {
        const std::scoped_lock lock(mutex);
        const FakeDocuments& documents = databases[request->database()];
        for (const std::string& name : request->documents()) {
          auto& response = responses.emplace_back();
          *response.mutable_read_time() = to_proto_time(documents.now());
          if (auto document = documents.find(name, documents.now())) {
            *response.mutable_found() = std::move(*document);
          } else {
            response.set_missing(name);
          }
        }
      }
      for (const auto& response : responses) writer->Write(response);
      return grpc::Status::OK;
    });
  }

  grpc::Status RunQuery(grpc::ServerContext* context, const fs::RunQueryRequest* request,
                        grpc::ServerWriter<fs::RunQueryResponse>* writer) override {
    return answer(*context, CallKind::kQuery, [this, request, writer] {
      constexpr std::string_view kDocuments = "/documents";
      std::vector<fs::Document> found;
      FakeDocuments::Micros at = 0;
      {
        const std::scoped_lock lock(mutex);
        const std::string database =
            request->parent().substr(0, request->parent().size() - kDocuments.size());
        const FakeDocuments& documents = databases[database];
        at = request->has_read_time() ? to_micros(request->read_time()) : documents.now();
        const grpc::Status status =
            documents.query(request->parent(), request->structured_query(), at, found);
        if (!status.ok()) return status;
      }
      fs::RunQueryResponse response;
      *response.mutable_read_time() = to_proto_time(at);
      if (found.empty()) writer->Write(response);
      for (fs::Document& document : found) {
        *response.mutable_document() = std::move(document);
        writer->Write(response);
      }
      return grpc::Status::OK;
    });
  }

  grpc::Status answer(grpc::ServerContext& context, CallKind kind, const Handler& handler,
                      std::function<void()> later = {}) {
    note(context, kind);
    const grpc::Status unavailable(grpc::StatusCode::UNAVAILABLE, "a planned fault");
    switch (planned(kind)) {
      case CallFault::kNone:
        return handler();
      case CallFault::kUnavailable:
        return unavailable;
      case CallFault::kReplyLost: {
        const grpc::Status status = handler();
        return status.ok() ? unavailable : status;
      }
      case CallFault::kAborted:
        return {grpc::StatusCode::ABORTED, "a planned contention"};
      case CallFault::kPermission:
        return {grpc::StatusCode::PERMISSION_DENIED, "a planned refusal"};
      case CallFault::kReplyHangs: {
        const grpc::Status status = handler();
        if (!status.ok()) return status;
        [[fallthrough]];
      }
      case CallFault::kHang:
        while (!context.IsCancelled()) let_pass(std::chrono::milliseconds{5});
        return unavailable;
      case CallFault::kAppliedLater: {
        const std::scoped_lock lock(mutex);
        if (later) under_way.emplace_back(std::move(later));
        return unavailable;
      }
    }
    return unavailable;
  }

  void note(const grpc::ServerContext& context, CallKind kind) {
    const std::scoped_lock lock(mutex);
    ++counts[kind];
    metadata.clear();
    for (const auto& [name, value] : context.client_metadata()) {
      metadata[std::string(name.data(), name.size())] = std::string(value.data(), value.size());
    }
  }

  CallFault planned(CallKind kind) {
    std::function<CallFault(CallKind)> current;
    {
      const std::scoped_lock lock(mutex);
      current = plan;
    }
    return current ? current(kind) : CallFault::kNone;
  }

  void listen() {
    std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
    if (tls) {
      grpc::SslServerCredentialsOptions options;
      options.pem_key_cert_pairs.push_back({tls->key, tls->certificate});
      credentials = grpc::SslServerCredentials(options);
    }
    grpc::ServerBuilder builder;
    int chosen = 0;
    builder.AddListeningPort(fmt::format("127.0.0.1:{}", port), credentials, &chosen);
    builder.RegisterService(this);
    builder.SetMaxReceiveMessageSize(64 * 1024 * 1024);
    server = builder.BuildAndStart();
    if (server == nullptr || chosen == 0) {
      throw std::runtime_error(fmt::format("cannot listen on 127.0.0.1:{}", port));
    }
    port = chosen;
  }

  std::mutex mutex;  // guards all below but the server
  std::map<std::string, FakeDocuments> databases;
  std::function<CallFault(CallKind)> plan;
  std::map<CallKind, std::int64_t> counts;
  std::map<std::string, std::string> metadata;
  std::vector<std::jthread> under_way;  // commits that are carried out later
  std::optional<FakeTls> tls;
  int port = 0;
  std::unique_ptr<grpc::Server> server;
};

FakeFirestore::FakeFirestore(int port) : impl_(std::make_unique<Impl>()) {
  impl_->port = port;
  impl_->listen();
}

FakeFirestore::FakeFirestore(FakeTls tls) : impl_(std::make_unique<Impl>()) {
  impl_->tls = std::move(tls);
  impl_->listen();
}

FakeFirestore::~FakeFirestore() {
  stop();
  finish_late_commits();
}

void FakeFirestore::finish_late_commits() {
  std::vector<std::jthread> late;
  {
    const std::scoped_lock lock(impl_->mutex);
    late.swap(impl_->under_way);
  }
}

std::string FakeFirestore::address() const { return fmt::format("127.0.0.1:{}", impl_->port); }

void FakeFirestore::set_faults(std::function<CallFault(CallKind)> plan) {
  const std::scoped_lock lock(impl_->mutex);
  impl_->plan = std::move(plan);
}

void FakeFirestore::stop() {
  if (impl_->server == nullptr) return;
  impl_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds{50});
  impl_->server->Wait();
  impl_->server.reset();
}

void FakeFirestore::start() {
  if (impl_->server == nullptr) impl_->listen();
}

std::int64_t FakeFirestore::calls(CallKind kind) const {
  const std::scoped_lock lock(impl_->mutex);
  const auto item = impl_->counts.find(kind);
  return item != impl_->counts.end() ? item->second : 0;
}

std::string FakeFirestore::last_metadata(const std::string& name) const {
  const std::scoped_lock lock(impl_->mutex);
  const auto item = impl_->metadata.find(name);
  return item != impl_->metadata.end() ? item->second : "";
}

}  // namespace state_engine::test
