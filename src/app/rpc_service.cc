// Reads are answered at once on the bus's thread from the snapshot index; proposals wait for their
// commit in a task of their own.

#include "app/rpc_service.h"

#include <algorithm>

#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "base/limits.h"
#include "bus/nats/names.h"
#include "core/validate.h"
#include "engine/answers.h"
#include "wire/json_codec.h"

namespace state_engine {
namespace {

constexpr std::chrono::seconds kStopMost{5};
constexpr std::size_t kPageBytesMax = 256 * 1024;
constexpr std::size_t kRequestsMax = 1024;  // proposals under way

std::string fault_text(std::string message) {
  json::Object error{{"code", "invalid_argument"}, {"message", std::move(message)}};
  return json::write(json::Value(json::Object{{"error", std::move(error)}}));
}

std::string text_of(const json::Object& object) { return json::write(object); }

Result<json::Object> read_object(const BusMessage& request) {
  auto value = json::parse(request.body);
  if (!value.ok()) return value.error();
  if (!value->is_object()) return invalid_argument("the request is no JSON object");
  return std::move(value->get_object());
}

json::Value snapshot_or_null(const SnapshotPtr& snapshot, Timestamp now) {
  if (snapshot == nullptr || !snapshot->visible_at(now)) return nullptr;
  return wire::encode_snapshot(*snapshot);
}

MutationResult invalid(const std::string& id, std::string why) {
  MutationResult out;
  out.mutation_id = id;
  out.code = RejectionCode::kInvalidProposal;
  out.error = std::move(why);
  return out;
}

}  // namespace

RpcService::RpcService(Engine& engine, NatsBus& bus, boost::asio::any_io_executor executor,
                       Random& random, Log& log, IntakeOptions options)
    : engine_(engine),
      bus_(bus),
      executor_(std::move(executor)),
      random_(random),
      options_(std::move(options)),
      tasks_("nats requests", log) {}

boost::asio::awaitable<Status> RpcService::check() {
  for (const char* verb : {"get", "prefix", "propose"}) {
    const std::string subject = nats::rpc_subject(bus_.prefix(), verb);
    auto stream = co_await bus_.stream_of(subject);
    if (!stream.ok()) co_return stream.error();
    if (!*stream) continue;
    co_return Error{
        ErrorCode::kFailedPrecondition,
        fmt::format("the NATS stream {} takes {}: its confirmation would reach callers before the "
                    "engine's answer. Take rpc.> out of the stream, or start with --no-nats-rpc",
                    **stream, subject)};
  }
  co_return Status();
}

void RpcService::serve(std::string subject, std::function<std::string(const BusMessage&)> answer) {
  subscriptions_.push_back(bus_.answer(
      std::move(subject), options_.queue,
      [answer = std::move(answer)](const BusMessage& request, const NatsBus::Responder& respond) {
        respond(answer(request));
      }));
}

void RpcService::start() {
  serve(nats::rpc_subject(bus_.prefix(), "get"),
        [this](const BusMessage& request) { return get(request); });
  serve(nats::rpc_subject(bus_.prefix(), "prefix"),
        [this](const BusMessage& request) { return prefix(request); });
  std::string subject = nats::rpc_subject(bus_.prefix(), "propose");
  if (options_.actors == BusActors::kSubject) subject += ".*";
  subscriptions_.push_back(bus_.answer(
      std::move(subject), options_.queue, [this](BusMessage request, NatsBus::Responder respond) {
        if (tasks_.running() >= kRequestsMax) {
          MutationResult busy = invalid("", "Too many requests are under way");
          busy.code = RejectionCode::kUnavailable;
          busy.retry_after = std::chrono::milliseconds{100};
          respond(text_of(wire::encode_result(busy)));
          return;
        }
        auto task = [this, request = std::move(request),
                     respond = std::move(respond)]() -> boost::asio::awaitable<void> {
          BusMessage copy = request;
          const std::string answer = co_await propose(std::move(copy));
          respond(answer);
        };
        tasks_.spawn(executor_, std::move(task));
      }));
}

boost::asio::awaitable<void> RpcService::stop() {
  subscriptions_.clear();
  static_cast<void>(co_await tasks_.wait(kStopMost));
}

std::string RpcService::get(const BusMessage& request) const {
  const auto object = read_object(request);
  if (!object.ok()) return fault_text(object.error().message);
  const json::Value* keys = json::find(*object, "keys");
  if (keys == nullptr || !keys->is_array() || keys->get_array().size() > limits::kReadKeysMax) {
    return fault_text(fmt::format("keys must be a list of at most {} keys", limits::kReadKeysMax));
  }
  const SnapshotView view = engine_.view();
  const Timestamp now = engine_.now();
  json::Object snapshots;
  for (const json::Value& key : keys->get_array()) {
    if (!key.is_string()) return fault_text("keys must be a list of strings");
    snapshots[key.get_string()] = snapshot_or_null(view.find(key.get_string()), now);
  }
  return text_of({{"snapshots", std::move(snapshots)}, {"asOfSeq", view.seq()}});
}

std::string RpcService::prefix(const BusMessage& request) const {
  const auto object = read_object(request);
  if (!object.ok()) return fault_text(object.error().message);
  const std::string wanted = json::find_string(*object, "prefix").value_or("");
  const std::string after = json::find_string(*object, "after").value_or("");
  const std::int64_t limit = json::find_int(*object, "limit").value_or(limits::kPrefixPageDefault);
  if (limit < 1 || limit > static_cast<std::int64_t>(limits::kPrefixPageMax)) {
    return fault_text(fmt::format("limit must be 1 to {}", limits::kPrefixPageMax));
  }
  const SnapshotView view = engine_.view();
  const Timestamp now = engine_.now();
  json::Object snapshots;
  std::string last;
  std::size_t bytes = 0;
  bool truncated = false;
  view.scan(std::max(wanted, after), [&](SnapshotRef there) {
    if (!there.key().starts_with(wanted)) return false;
    if (there.key() == after || !there.visible_at(now)) return true;
    truncated = snapshots.size() == static_cast<std::size_t>(limit) || bytes > kPageBytesMax;
    if (truncated) return false;
    last = there.key();
    json::Object encoded = wire::encode_snapshot(*there.share());
    bytes += json::written_bytes(encoded);
    snapshots[last] = std::move(encoded);
    return true;
  });
  json::Object out{{"count", snapshots.size()}, {"truncated", truncated}, {"asOfSeq", view.seq()}};
  out["snapshots"] = std::move(snapshots);
  if (truncated) out["nextAfter"] = last;
  return text_of(out);
}

boost::asio::awaitable<std::string> RpcService::propose(BusMessage request) {
  const bool by_subject = options_.actors == BusActors::kSubject;
  const auto value = json::parse(request.body);
  if (!value.ok()) co_return text_of(wire::encode_result(invalid("", value.error().message)));
  wire::ProposalRules rules;
  rules.needs_actor = !by_subject;
  rules.default_op = Op::kSet;
  auto decoded = wire::decode_proposal(*value, rules);
  if (!decoded.ok()) co_return text_of(wire::encode_result(invalid("", decoded.error().message)));
  const bool new_id = !decoded->has_id && json::find(value->get_object(), "id") == nullptr;
  Proposal proposal = std::move(decoded->proposal);
  const std::string fault = decoded->fault_text(!decoded->has_id && !new_id);
  if (!fault.empty()) co_return text_of(wire::encode_result(invalid(proposal.id, fault)));
  if (new_id) proposal.id = new_ordered_uuid(random_, engine_.now());
  if (!decoded->has_ts) proposal.ts = engine_.now();
  if (by_subject) proposal.actor = request.subject.substr(request.subject.rfind('.') + 1);
  Origin origin{options_.principal, by_subject};
  ProposeOptions options;
  options.fresh_id = new_id;
  const MutationResult result =
      co_await engine_.propose(std::move(proposal), std::move(origin), std::move(options));
  co_return text_of(wire::encode_result(result));
}

}  // namespace state_engine
