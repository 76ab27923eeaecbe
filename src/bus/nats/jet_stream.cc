// The JSON API of JetStream as of server 2.9; what newer servers add is ignored. The calls of
// nats.c for this are not used: they block a thread each.

#include "bus/nats/jet_stream.h"

#include <fmt/format.h>

namespace state_engine::nats {
namespace {

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::int64_t kNotFoundCode = 404;
constexpr std::int64_t kNameInUse = 10058;
constexpr std::int64_t kSubjectsOverlap = 10065;
constexpr std::int64_t kConsumerNameInUse = 10013;

const json::Object* object_at(const json::Object& object, std::string_view name) {
  const json::Value* value = json::find(object, name);
  return value != nullptr ? value->if_object() : nullptr;
}

std::string text_at(const json::Object& object, std::string_view name) {
  return json::find_string(object, name).value_or("");
}

std::int64_t number_at(const json::Object& object, std::string_view name) {
  return json::find_int(object, name).value_or(0);
}

std::uint64_t sequence_at(const json::Object& object, std::string_view part) {
  const json::Object* inner = object_at(object, part);
  return inner != nullptr ? static_cast<std::uint64_t>(number_at(*inner, "stream_seq")) : 0;
}

std::vector<std::string> texts_at(const json::Object& object, std::string_view name) {
  std::vector<std::string> out;
  const json::Value* list = json::find(object, name);
  if (list == nullptr || !list->is_array()) return out;
  for (const json::Value& item : list->get_array()) {
    if (item.is_string()) out.emplace_back(item.get_string());
  }
  return out;
}

Error api_error(std::string_view verb, const json::Object& error) {
  const std::int64_t status = number_at(error, "code");
  const std::int64_t code = number_at(error, "err_code");
  const std::string message =
      fmt::format("JetStream refuses {}: {} ({})", verb, text_at(error, "description"), code);
  if (status == kNotFoundCode) return {ErrorCode::kNotFound, message};
  if (code == kNameInUse || code == kSubjectsOverlap || code == kConsumerNameInUse) {
    return {ErrorCode::kConflict, message};
  }
  return {ErrorCode::kFailedPrecondition, message};
}

DurableState read_durable(const json::Object& info) {
  DurableState out;
  if (const json::Object* config = object_at(info, "config")) {
    out.config = *config;
    out.deliver_subject = text_at(*config, "deliver_subject");
    out.deliver_group = text_at(*config, "deliver_group");
    out.filter_subject = text_at(*config, "filter_subject");
    out.ack_policy = text_at(*config, "ack_policy");
  }
  out.delivered = sequence_at(info, "delivered");
  out.ack_floor = sequence_at(info, "ack_floor");
  out.ack_pending = number_at(info, "num_ack_pending");
  out.pending = number_at(info, "num_pending");
  const json::Value* bound = json::find(info, "push_bound");
  out.bound = bound != nullptr && bound->is_bool() && bound->get_bool();
  return out;
}

}  // namespace

json::Object stream_config(const StreamSpec& spec) {
  const auto age = std::chrono::duration_cast<std::chrono::nanoseconds>(spec.age_max).count();
  return {{"name", spec.name},     {"subjects", json::Array{json::Value(spec.subject)}},
          {"retention", "limits"}, {"storage", "file"},
          {"discard", "old"},      {"max_age", age},
          {"num_replicas", 1},     {"duplicate_window", 120 * kNanosecondsPerSecond}};
}

json::Object durable_config(const NatsOptions& options, const std::string& name,
                            const std::string& subject, const std::string& queue) {
  const auto wait = std::chrono::duration_cast<std::chrono::nanoseconds>(options.ack_wait).count();
  return {{"durable_name", name},      {"deliver_group", queue},
          {"filter_subject", subject}, {"deliver_policy", "all"},
          {"ack_policy", "explicit"},  {"ack_wait", wait},
          {"max_deliver", -1},         {"max_ack_pending", options.ack_pending_max},
          {"replay_policy", "instant"}};
}

Status check_durable(const DurableState& durable, const std::string& name,
                     const std::string& subject, const std::string& queue) {
  const auto wrong = [&](std::string_view what) {
    return Error{ErrorCode::kFailedPrecondition,
                 fmt::format("the durable {} exists and {}; delete it, or use another queue name",
                             name, what)};
  };
  if (durable.deliver_subject.empty()) return wrong("is a pull consumer");
  if (durable.deliver_group != queue) return wrong("has another queue group");
  if (durable.filter_subject != subject) return wrong("filters another subject");
  if (durable.ack_policy != "explicit") return wrong("does not want explicit acks");
  return {};
}

JetStream::Awaitable<Result<json::Object>> JetStream::call(std::string verb,
                                                           json::Object body) const {
  std::string subject = "$JS.API." + verb;
  std::string text = body.empty() ? "" : json::write(body);
  auto answer = co_await requester_(std::move(subject), std::move(text));
  if (!answer.ok()) co_return answer.error();
  if (answer->status == "503") {
    co_return Error{ErrorCode::kUnavailable,
                    "JetStream is not enabled on this NATS server: start it with -js"};
  }
  auto value = json::parse(answer->body, json::trusted_limits());
  if (!value.ok() || !value->is_object()) {
    co_return Error{ErrorCode::kFailedPrecondition,
                    fmt::format("JetStream answered {} with something that is no object", verb)};
  }
  json::Object object = std::move(value->get_object());
  if (const json::Object* error = object_at(object, "error")) co_return api_error(verb, *error);
  co_return object;
}

JetStream::Awaitable<Result<std::optional<std::string>>> JetStream::stream_of(
    std::string subject) const {
  json::Object body{{"subject", subject}};
  auto answer = co_await call("STREAM.NAMES", std::move(body));
  if (!answer.ok()) co_return answer.error();
  const auto names = texts_at(*answer, "streams");
  if (names.empty()) co_return std::optional<std::string>();
  co_return std::optional<std::string>(names.front());
}

JetStream::Awaitable<Result<StreamState>> JetStream::stream(std::string name) const {
  auto answer = co_await call("STREAM.INFO." + name, {});
  if (!answer.ok()) co_return answer.error();
  StreamState out;
  out.name = name;
  out.created = text_at(*answer, "created");
  if (const json::Object* config = object_at(*answer, "config")) {
    out.subjects = texts_at(*config, "subjects");
    out.retention = text_at(*config, "retention");
  }
  if (const json::Object* state = object_at(*answer, "state")) {
    out.last_sequence = static_cast<std::uint64_t>(number_at(*state, "last_seq"));
  }
  co_return out;
}

JetStream::Awaitable<Status> JetStream::create_stream(StreamSpec spec) const {
  auto answer = co_await call("STREAM.CREATE." + spec.name, stream_config(spec));
  co_return answer.ok() ? Status() : Status(answer.error());
}

JetStream::Awaitable<Result<DurableState>> JetStream::durable(std::string stream,
                                                              std::string name) const {
  auto answer = co_await call(fmt::format("CONSUMER.INFO.{}.{}", stream, name), {});
  if (!answer.ok()) co_return answer.error();
  if (object_at(*answer, "config") == nullptr) {
    // 2.9 answers so for a consumer that is just being deleted.
    co_return Error{ErrorCode::kNotFound, "the consumer is being deleted"};
  }
  co_return read_durable(*answer);
}

JetStream::Awaitable<Status> JetStream::create_durable(std::string stream,
                                                       json::Object config) const {
  const std::string name = text_at(config, "durable_name");
  json::Object body{{"stream_name", stream}, {"config", std::move(config)}};
  auto answer =
      co_await call(fmt::format("CONSUMER.DURABLE.CREATE.{}.{}", stream, name), std::move(body));
  co_return answer.ok() ? Status() : Status(answer.error());
}

JetStream::Awaitable<Status> JetStream::delete_durable(std::string stream, std::string name) const {
  auto answer = co_await call(fmt::format("CONSUMER.DELETE.{}.{}", stream, name), {});
  co_return answer.ok() ? Status() : Status(answer.error());
}

}  // namespace state_engine::nats
