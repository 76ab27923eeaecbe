// Order of members is order of use: what ends waits comes first, the desk that uses all comes last
// and is stopped first.

#include "app/bot_host.h"

#include <cstdlib>

#include <fmt/format.h>

#include "net/origin.h"
#include "net/url.h"

namespace state_engine {
namespace {

Status check_endpoint(const llm::EndpointSettings& endpoint, Log& log) {
  if (endpoint.base_url.empty()) {
    return invalid_argument(
        "no language model is named: set LLM_BASE_URL to any OpenAI-compatible server, for example "
        "http://127.0.0.1:11434/v1, and LLM_MODEL");
  }
  const auto url = net::parse_url(endpoint.base_url);
  if (!url.ok() || url->is_websocket()) {
    return invalid_argument("LLM_BASE_URL is no http or https address" +
                            (url.ok() ? std::string{} : ": " + url.error().message));
  }
  if (endpoint.model.model.empty()) {
    return invalid_argument("no model is named: set LLM_MODEL to a model that " + url->display() +
                            " has");
  }
  if (!json::is_utf8(endpoint.model.model)) {
    return invalid_argument("LLM_MODEL is no UTF-8");
  }
  for (const char c : endpoint.api_key) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) > 0x7e) {
      return invalid_argument("LLM_API_KEY must be one line of visible characters");
    }
  }
  if (!endpoint.api_key.empty() && !url->is_tls() &&
      !net::is_loopback_authority(url->authority())) {
    log.warn("the key of the language model goes over the network unencrypted; use https",
             {{"baseUrl", url->display()}});
  }
  return {};
}

// A wait that a stop cuts short.
llm::ActionRunner::Sleep sleep_until_stopped(llm::StopSignal& stop) {
  return [&stop](std::chrono::milliseconds duration) { return stop.sleep(duration); };
}

void take_variable(const char* name, std::string& into) {
  const char* const value = std::getenv(name);
  if (value != nullptr && *value != '\0') into = value;
}

}  // namespace

void apply_llm_environment(llm::EndpointSettings& endpoint) {
  take_variable("LLM_BASE_URL", endpoint.base_url);
  take_variable("LLM_MODEL", endpoint.model.model);
  take_variable("LLM_API_KEY", endpoint.api_key);
}

Result<std::unique_ptr<BotHost>> BotHost::create(BotConfig config, mcp::ClientOptions engine,
                                                 const BotParts& parts) {
  SE_RETURN_IF_ERROR(check_endpoint(config.endpoint, parts.log));
  auto tls = net::TlsContext::create({});
  if (!tls.ok()) return tls.error();
  return std::unique_ptr<BotHost>(
      new BotHost(std::move(config), std::move(engine), parts, std::move(tls).value()));
}

BotHost::BotHost(BotConfig config, mcp::ClientOptions engine, const BotParts& parts,
                 net::TlsContext tls)
    : config_(std::move(config)),
      parts_(parts),
      engine_(std::move(engine), parts.observer),
      transport_(parts.runtime, std::move(tls), cancel_.token()),
      model_(config_.endpoint, transport_, sleep_until_stopped(stop_), parts.clock, parts.random,
             parts.log),
      runner_(engine_, parts.clock, parts.random, sleep_until_stopped(stop_)),
      tools_(config_.tools, engine_, runner_, parts.clock, parts.observer, parts.log),
      bot_(config_.bot, model_, tools_, parts.clock, parts.observer, parts.log) {}

BotHost::~BotHost() { stop(); }

void BotHost::attach(Bus& bus) {
  llm::ChatDeskSettings settings;
  settings.age_max = config_.age_max;
  settings.waiting_max = config_.waiting_max;
  const llm::ChatDeskParts parts{
      bus, bot_, parts_.runtime.make_strand(), parts_.clock, stop_, parts_.observer, parts_.log};
  desk_ = std::make_unique<llm::ChatDesk>(std::move(settings), parts);
  desk_->start();
}

void BotHost::stop() {
  stop_.stop();
  cancel_.cancel();
  if (desk_ != nullptr) desk_->stop();
}

}  // namespace state_engine
