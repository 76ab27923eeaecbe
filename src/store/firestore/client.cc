// Credentials, in this order: an emulator needs none; GOOGLE_APPLICATION_CREDENTIALS names a
// service account, whose key signs a token for each call; else the metadata server of the machine.
// gRPC does the last two under the name of Google's default credentials.

#include "store/firestore/client.h"

#include <chrono>
#include <thread>
#include <unordered_map>

#include <fmt/format.h>
#include <google/firestore/v1/firestore.grpc.pb.h>
#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

namespace state_engine::firestore {
namespace {

namespace fs = google::firestore::v1;

constexpr const char* kService = "firestore.googleapis.com";
constexpr int kMessageBytesMax = 64 * 1024 * 1024;

std::string_view status_name(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::CANCELLED:
      return "CANCELLED";
    case grpc::StatusCode::INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return "DEADLINE_EXCEEDED";
    case grpc::StatusCode::NOT_FOUND:
      return "NOT_FOUND";
    case grpc::StatusCode::ALREADY_EXISTS:
      return "ALREADY_EXISTS";
    case grpc::StatusCode::PERMISSION_DENIED:
      return "PERMISSION_DENIED";
    case grpc::StatusCode::UNAUTHENTICATED:
      return "UNAUTHENTICATED";
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return "RESOURCE_EXHAUSTED";
    case grpc::StatusCode::FAILED_PRECONDITION:
      return "FAILED_PRECONDITION";
    case grpc::StatusCode::ABORTED:
      return "ABORTED";
    case grpc::StatusCode::OUT_OF_RANGE:
      return "OUT_OF_RANGE";
    case grpc::StatusCode::UNIMPLEMENTED:
      return "UNIMPLEMENTED";
    case grpc::StatusCode::INTERNAL:
      return "INTERNAL";
    case grpc::StatusCode::UNAVAILABLE:
      return "UNAVAILABLE";
    case grpc::StatusCode::DATA_LOSS:
      return "DATA_LOSS";
    default:
      return "UNKNOWN";
  }
}

FaultKind kind_of(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::NOT_FOUND:
      return FaultKind::kStale;
    case grpc::StatusCode::ABORTED:
      return FaultKind::kContended;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::UNIMPLEMENTED:
      return FaultKind::kRefused;
    default:
      return FaultKind::kUnknown;
  }
}

Fault to_fault(const grpc::Status& status) {
  std::string message =
      fmt::format("Firestore: {} ({})", status.error_message(), status_name(status.error_code()));
  if (status.error_code() == grpc::StatusCode::PERMISSION_DENIED ||
      status.error_code() == grpc::StatusCode::UNAUTHENTICATED) {
    message += "; the service account needs the role Cloud Datastore User (roles/datastore.user)";
  }
  return {kind_of(status.error_code()), std::move(message)};
}

std::shared_ptr<grpc::ChannelCredentials> credentials_for(const ClientOptions& options) {
  if (!options.emulator.empty()) return grpc::InsecureChannelCredentials();
  if (options.endpoint_for_test.empty()) return grpc::GoogleDefaultCredentials();
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = options.roots_for_test;
  auto channel = grpc::SslCredentials(tls);
  if (options.service_account_for_test.empty()) return channel;
  auto call = grpc::ServiceAccountJWTAccessCredentials(options.service_account_for_test, 3600);
  return call != nullptr ? grpc::CompositeChannelCredentials(channel, call) : nullptr;
}

// Moves a lost connection on. gRPC's blocking calls read and write sockets only while one of them
// waits; a call on a lost connection fails at once, and between such calls nothing but a poller
// that wakes every 5 s would go on with the handshake, whose own time is 5 s: the connection would
// never come back. Waiting for a change of state does that work.
class ConnectionKeeper {
 public:
  explicit ConnectionKeeper(std::shared_ptr<grpc::Channel> channel)
      : thread_([channel = std::move(channel)](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            const auto until = std::chrono::system_clock::now() + kLookEvery;
            channel->WaitForStateChange(channel->GetState(true), until);
          }
        }) {}

 private:
  static constexpr std::chrono::milliseconds kLookEvery{200};  // the most that an end waits

  std::jthread thread_;
};

grpc::ChannelArguments channel_arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // Despite its name this is how long one attempt to connect may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  arguments.SetMaxSendMessageSize(kMessageBytesMax);
  return arguments;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    if (plain) {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace

Error Fault::to_error() const {
  switch (kind) {
    case FaultKind::kRefused:
    case FaultKind::kStale:
      return {ErrorCode::kFailedPrecondition, message};
    case FaultKind::kContended:
    case FaultKind::kUnknown:
      break;
  }
  return {ErrorCode::kUnavailable, message};
}

struct Client::Impl {
  void prepare(grpc::ClientContext& context, Deadline deadline) const {
    context.set_deadline(deadline);
    context.AddMetadata("google-cloud-resource-prefix", database);
    context.AddMetadata("x-goog-request-params", routing);
    // What the emulator takes for an administrator; security rules then do not apply.
    if (emulator) context.AddMetadata("authorization", "Bearer owner");
  }

  std::string database;
  std::string routing;
  bool emulator = false;
  std::unique_ptr<fs::Firestore::Stub> stub;
  std::unique_ptr<ConnectionKeeper> keeper;
};

Client::Client(std::string database, std::unique_ptr<Impl> impl)
    : database_(std::move(database)), impl_(std::move(impl)) {}

Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::create(const ClientOptions& options) {
  const auto credentials = credentials_for(options);
  if (credentials == nullptr) {
    return Error{ErrorCode::kFailedPrecondition,
                 "no credentials for Firestore: set GOOGLE_APPLICATION_CREDENTIALS to the JSON "
                 "file of a service account, run on a machine with a metadata server, or set "
                 "FIRESTORE_EMULATOR_HOST for an emulator"};
  }
  const std::string target = !options.emulator.empty()            ? options.emulator
                             : !options.endpoint_for_test.empty() ? options.endpoint_for_test
                                                                  : std::string(kService);
  auto impl = std::make_unique<Impl>();
  impl->database = fmt::format("projects/{}/databases/{}", options.project, options.database);
  impl->routing = fmt::format("project_id={}&database_id={}", percent_encoded(options.project),
                              percent_encoded(options.database));
  impl->emulator = !options.emulator.empty();
  auto channel = grpc::CreateCustomChannel(target, credentials, channel_arguments());
  impl->stub = fs::Firestore::NewStub(channel);
  impl->keeper = std::make_unique<ConnectionKeeper>(std::move(channel));
  std::string database = impl->database;
  return std::unique_ptr<Client>(new Client(std::move(database), std::move(impl)));
}

std::string Client::name(std::string_view collection, std::string_view id) const {
  return fmt::format("{}/documents/{}/{}", database_, collection, id);
}

Reply<fs::CommitResponse> Client::commit(fs::CommitRequest request, Deadline deadline) {
  grpc::ClientContext context;
  impl_->prepare(context, deadline);
  request.set_database(database_);
  fs::CommitResponse response;
  const grpc::Status status = impl_->stub->Commit(&context, request, &response);
  if (!status.ok()) return to_fault(status);
  return response;
}

Reply<std::vector<std::optional<fs::Document>>> Client::get(const std::vector<std::string>& names,
                                                            Deadline deadline) {
  std::vector<std::optional<fs::Document>> out(names.size());
  if (names.empty()) return out;
  std::unordered_map<std::string, std::vector<std::size_t>> places;
  fs::BatchGetDocumentsRequest request;
  request.set_database(database_);
  for (std::size_t i = 0; i < names.size(); ++i) {
    auto& wanted = places[names[i]];
    if (wanted.empty()) request.add_documents(names[i]);
    wanted.push_back(i);
  }
  grpc::ClientContext context;
  impl_->prepare(context, deadline);
  const auto reader = impl_->stub->BatchGetDocuments(&context, request);
  fs::BatchGetDocumentsResponse response;
  while (reader->Read(&response)) {
    if (!response.has_found()) continue;
    const auto place = places.find(response.found().name());
    if (place == places.end()) continue;
    for (const std::size_t i : place->second) out[i] = response.found();
  }
  if (const grpc::Status status = reader->Finish(); !status.ok()) return to_fault(status);
  return out;
}

Reply<QueryAnswer> Client::query(const fs::StructuredQuery& query,
                                 const std::optional<google::protobuf::Timestamp>& read_time,
                                 Deadline deadline) {
  fs::RunQueryRequest request;
  request.set_parent(database_ + "/documents");
  *request.mutable_structured_query() = query;
  if (read_time) *request.mutable_read_time() = *read_time;
  grpc::ClientContext context;
  impl_->prepare(context, deadline);
  const auto reader = impl_->stub->RunQuery(&context, request);
  QueryAnswer answer;
  fs::RunQueryResponse response;
  while (reader->Read(&response)) {
    answer.read_time = response.read_time();
    if (response.has_document()) {
      answer.documents.push_back(std::move(*response.mutable_document()));
    }
  }
  if (const grpc::Status status = reader->Finish(); !status.ok()) return to_fault(status);
  return answer;
}

}  // namespace state_engine::firestore
