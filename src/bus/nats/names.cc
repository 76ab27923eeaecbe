// Names follow what the platform was seen to make, so that either side can take over from the
// other.

#include "bus/nats/names.h"

#include <charconv>

#include <fmt/format.h>

#include "bus/nats/nats_options.h"
#include "ports/bus.h"

namespace state_engine {

std::string server_name(const NatsOptions& options) {
  if (options.servers.empty()) return "";
  std::string name = options.servers.front();
  const std::size_t scheme = name.find("://");
  const std::size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  if (const std::size_t at = name.rfind('@'); at != std::string::npos && at >= begin) {
    name.erase(begin, at + 1 - begin);
  }
  return name;
}

namespace nats {
namespace {

constexpr std::chrono::hours kEventsKept{24};  // as the platform's own streams

std::string dashes(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c == '.') c = '-';
    if (c == '*' || c == '>') c = '_';  // not allowed in a name
  }
  return out;
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t dot = text.find('.');
    out.push_back(text.substr(0, dot));
    if (dot == std::string_view::npos) return out;
    text.remove_prefix(dot + 1);
  }
}

template <typename T>
bool read_number(std::string_view text, T& out) {
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), out);
  return fault == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::string durable_name(std::string_view subject, std::string_view queue) {
  return fmt::format("{}-{}-durable", dashes(subject), dashes(queue));
}

std::vector<StreamSpec> stream_plan(const std::string& prefix) {
  const std::string_view needed[] = {
      subjects::kMutation,   subjects::kMutationResult, subjects::kChanged,     subjects::kEgress,
      subjects::kDeadLetter, subjects::kLlmBot,         subjects::kRegistration};
  std::vector<StreamSpec> out;
  for (const std::string_view subject : needed) {
    if (!prefix.empty()) {
      out.push_back({prefix + std::string(subject), "BITBRAT", prefix + ">", {}});
      continue;
    }
    // "internal.egress.v1" -> stream "internal-egress" of "internal.egress.>".
    const auto tokens = split(subject);
    const std::string family(tokens[1]);
    out.push_back({std::string(subject), "internal-" + family, "internal." + family + ".>",
                   family == "state" ? std::chrono::hours{0} : kEventsKept});
  }
  return out;
}

std::string rpc_subject(const std::string& prefix, std::string_view verb) {
  return fmt::format("rpc.{}state.engine.v1.{}", prefix, verb);
}

std::optional<AckSubject> parse_ack_subject(std::string_view subject) {
  // $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>, and since
  // 2.10 optionally with <domain>.<account> before the stream and more at the end.
  const auto tokens = split(subject);
  if (tokens.size() < 9 || tokens[0] != "$JS" || tokens[1] != "ACK") return std::nullopt;
  const std::size_t at = tokens.size() >= 11 ? 4 : 2;
  AckSubject out;
  out.stream = tokens[at];
  out.consumer = tokens[at + 1];
  std::int64_t nanoseconds = 0;
  if (!read_number(tokens[at + 2], out.attempt) ||
      !read_number(tokens[at + 3], out.stream_sequence) ||
      !read_number(tokens[at + 4], out.consumer_sequence) ||
      !read_number(tokens[at + 5], nanoseconds) || !read_number(tokens[at + 6], out.pending)) {
    return std::nullopt;
  }
  out.stored_at = timestamp_from_ms(nanoseconds / 1'000'000);
  return out;
}

}  // namespace nats
}  // namespace state_engine
