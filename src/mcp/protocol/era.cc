// The rules are those of revision 2026-07-28 for _meta, MCP-Protocol-Version, Mcp-Method and
// Mcp-Name. The body decides the era, since proxies and older clients may drop headers.

#include "mcp/protocol/era.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace state_engine::mcp {
namespace {

constexpr std::string_view kEncodedPrefix = "=?base64?";

Refusal refuse(int code, std::string message) { return {{code, std::move(message), nullptr}, 400}; }

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int digit = base64_digit(c);
    if (digit < 0) return std::nullopt;
    bits = (bits << 6) | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>((bits >> count) & 0xffU));
    }
  }
  return out;
}

// The parameter that Mcp-Name repeats, by method; empty for methods without one.
std::string_view named_parameter(std::string_view method) {
  if (method == "tools/call" || method == "prompts/get") return "name";
  if (method == "resources/read") return "uri";
  return {};
}

bool is_known_version(std::string_view version) { return version == kModernVersion; }

Refusal unsupported_version(std::string_view asked) {
  Refusal refusal = refuse(rpc::kUnsupportedVersion, "Unsupported protocol version");
  refusal.error.data =
      json::Object{{"supported", json::Array{kModernVersion}}, {"requested", asked.substr(0, 64)}};
  return refusal;
}

// True if a header's value stands for `text`, plainly or encoded.
bool header_says(std::string_view header, std::string_view text) {
  const std::string_view value = net::trim(header);
  return value.starts_with(kEncodedPrefix) ? decode_header_value(value) == text : value == text;
}

}  // namespace

bool is_modern_version(std::string_view version) {
  constexpr std::string_view kShape = "dddd-dd-dd";
  if (version.size() != kShape.size()) return false;
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    const bool digit = version[i] >= '0' && version[i] <= '9';
    if (kShape[i] == 'd' ? !digit : version[i] != '-') return false;
  }
  return version >= kModernVersion;
}

std::optional<Era> era_of_body(const Message& message) {
  const json::Object* meta = message.meta();
  const json::Value* version = meta ? meta->if_contains(kMetaProtocolVersion) : nullptr;
  if (!version) return std::nullopt;
  if (version->is_string() && is_legacy_version(std::string_view{version->get_string()})) {
    return Era::kLegacy;
  }
  return Era::kModern;
}

EraChoice choose_http_era(const Message& message, const net::Headers& headers) {
  if (const auto era = era_of_body(message)) return {*era, std::nullopt};
  const std::string_view version = net::trim(headers.get("MCP-Protocol-Version"));
  if (is_modern_version(version)) {
    if (message.kind == Message::Kind::kNotification) return {Era::kModern, std::nullopt};
    if (message.is("initialize")) {
      return {Era::kModern, refuse(rpc::kHeaderMismatch,
                                   "initialize does not exist in the revision that the "
                                   "MCP-Protocol-Version header names")};
    }
    return {Era::kModern, refuse(rpc::kInvalidParams,
                                 "params._meta must hold " + std::string{kMetaProtocolVersion})};
  }
  if (!version.empty() && !is_legacy_version(version)) {
    return {Era::kLegacy,
            refuse(rpc::kLegacyBadRequest,
                   "Bad Request: Unsupported protocol version; supported: 2026-07-28 (with _meta), "
                   "2025-11-25, 2025-06-18, 2025-03-26")};
  }
  return {Era::kLegacy, std::nullopt};
}

std::optional<Refusal> check_modern(const Message& message,
                                    std::optional<const std::string*> header_version) {
  const json::Object* meta = message.meta();
  const json::Value* version = meta ? meta->if_contains(kMetaProtocolVersion) : nullptr;
  if (!version || !version->is_string()) {
    return refuse(rpc::kInvalidParams,
                  "params._meta must hold " + std::string{kMetaProtocolVersion} + ", a string");
  }
  const std::string_view asked{version->get_string()};
  const json::Value* capabilities = meta->if_contains(kMetaClientCapabilities);
  if (!capabilities || !capabilities->is_object()) {
    return refuse(rpc::kInvalidParams,
                  "params._meta must hold " + std::string{kMetaClientCapabilities} + ", an object");
  }
  const json::Value* info = meta->if_contains(kMetaClientInfo);
  if (info && !info->is_object()) {
    return refuse(rpc::kInvalidParams, std::string{kMetaClientInfo} + " must be an object");
  }
  if (header_version) {
    if (!*header_version) {
      return refuse(rpc::kHeaderMismatch, "the MCP-Protocol-Version header is required");
    }
    if (net::trim(**header_version) != asked) {
      return refuse(rpc::kHeaderMismatch,
                    "the MCP-Protocol-Version header differs from params._meta");
    }
  }
  if (!is_known_version(asked)) return unsupported_version(asked);
  return std::nullopt;
}

std::optional<Refusal> check_modern_headers(const Message& message, const net::Headers& headers) {
  const std::string* method = headers.find("Mcp-Method");
  if (!method) return refuse(rpc::kHeaderMismatch, "the Mcp-Method header is required");
  if (headers.count("Mcp-Method") > 1 || !header_says(*method, message.method)) {
    return refuse(rpc::kHeaderMismatch, "the Mcp-Method header differs from the body's method");
  }
  const std::string_view parameter = named_parameter(message.method);
  if (parameter.empty()) return std::nullopt;
  const auto named = find_text(message.params, parameter);
  if (!named) return std::nullopt;  // The method itself answers this.
  const std::string* name = headers.find("Mcp-Name");
  if (!name) return refuse(rpc::kHeaderMismatch, "the Mcp-Name header is required");
  if (headers.count("Mcp-Name") > 1 || !header_says(*name, *named)) {
    return refuse(rpc::kHeaderMismatch,
                  "the Mcp-Name header differs from params." + std::string{parameter});
  }
  return std::nullopt;
}

std::optional<Refusal> check_parameter_headers(const Message& message, const net::Headers& headers,
                                               const std::vector<HeaderParameter>& parameters) {
  const json::Value* given = message.params.if_contains("arguments");
  const json::Object none;
  const json::Object& arguments = given && given->is_object() ? given->get_object() : none;
  for (const HeaderParameter& parameter : parameters) {
    const json::Value* value = arguments.if_contains(parameter.property);
    const std::string* header = headers.find(parameter.header);
    const bool has_value = value && !value->is_null();
    if (!has_value && !header) continue;
    if (!has_value || !header) {
      return refuse(rpc::kHeaderMismatch, "the " + parameter.header + " header and arguments." +
                                              parameter.property +
                                              " must both be there, or neither");
    }
    const std::string text = value->is_string() ? std::string{std::string_view{value->get_string()}}
                                                : json::write(*value);
    if (headers.count(parameter.header) > 1 || !header_says(*header, text)) {
      return refuse(
          rpc::kHeaderMismatch,
          "the " + parameter.header + " header differs from arguments." + parameter.property);
    }
  }
  return std::nullopt;
}

void fill_context(const Message& message, RequestContext& context) {
  const json::Object* meta = message.meta();
  if (!meta) return;
  context.meta = meta;
  if (const auto trace = find_text(*meta, "traceparent")) {
    context.traceparent = trace->substr(0, limits::kTraceBytesMax);
  }
  if (context.era != Era::kModern) return;
  context.protocol_version = find_text(*meta, kMetaProtocolVersion).value_or("");
  const json::Value* capabilities = meta->if_contains(kMetaClientCapabilities);
  if (capabilities && capabilities->is_object()) {
    context.client_capabilities = capabilities->get_object();
  }
  if (const auto level = find_text(*meta, kMetaLogLevel)) {
    context.request_log_level = log_level_rank(*level);
  }
}

std::string progress_token(const Message& message) {
  const json::Object* meta = message.meta();
  const json::Value* token = meta ? meta->if_contains("progressToken") : nullptr;
  if (!token || !(token->is_string() || json::as_int64(*token))) return {};
  return json::write(*token);
}

std::optional<std::string> decode_header_value(std::string_view value) {
  constexpr std::string_view kSuffix = "?=";
  if (!value.starts_with(kEncodedPrefix) || !value.ends_with(kSuffix) ||
      value.size() < kEncodedPrefix.size() + kSuffix.size()) {
    return std::string{value};
  }
  value.remove_prefix(kEncodedPrefix.size());
  value.remove_suffix(kSuffix.size());
  auto decoded = decode_base64(value);
  if (decoded && !json::is_utf8(*decoded)) return std::nullopt;
  return decoded;
}

}  // namespace state_engine::mcp
