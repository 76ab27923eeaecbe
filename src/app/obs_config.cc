// Tables of keys and readers, as in src/config. Secrets are not among them: a configuration file is
// shown, shared and committed.

#include "app/obs_config.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "config/section_reader.h"
#include "net/url.h"

namespace state_engine {
namespace {

using config::Path;
using config::PathFault;
using config::SectionKey;
using config::SectionReader;
using config::operator/;  // NOLINT(misc-unused-using-decls): clang-tidy 16 overlooks operators

constexpr std::size_t kPasswordBytesMax = 1024;

class ObsReader {
 public:
  ObsReader(ObsConfig& out, std::vector<PathFault>& faults) : out_(out), reader_(faults) {}

  void read(const json::Value& value, const Path& at) {
    const json::Object* const object = reader_.object(value, at);
    if (object == nullptr) return;
    const std::array<SectionKey, 8> keys = {{
        {"url", [&](const json::Value& v, const Path& p) { read_url(v, p); }},
        {"passwordFile",
         [&](const json::Value& v, const Path& p) { out_.password_file = reader_.text(v, p); }},
        {"password",
         [&](const json::Value&, const Path& p) {
           reader_.fault(p,
                         "a password does not belong here: put it into a file of its own and "
                         "name that as passwordFile, or set OBS_WEBSOCKET_PASSWORD");
         }},
        {"caFile",
         [&](const json::Value& v, const Path& p) { out_.tls.ca_file = reader_.text(v, p); }},
        {"verifyTls",
         [&](const json::Value& v, const Path& p) { out_.tls.verify = reader_.flag(v, p); }},
        {"maxAgeSeconds",
         [&](const json::Value& v, const Path& p) {
           out_.bridge.effect_age_max = reader_.seconds(v, p).value_or(out_.bridge.effect_age_max);
         }},
        {"restoreScene", [&](const json::Value& v,
                             const Path& p) { out_.bridge.restore_scene = reader_.flag(v, p); }},
        {"effects", [&](const json::Value& v, const Path& p) { read_effects(v, p); }},
    }};
    read_members(*object, at, keys, reader_);
  }

 private:
  void read_url(const json::Value& value, const Path& at) {
    const std::string url = reader_.text(value, at);
    const auto parsed = net::parse_url(url);
    if (!parsed.ok()) {
      reader_.fault(at, parsed.error().message);
    } else if (!parsed->is_websocket()) {
      reader_.fault(at, "expected a WebSocket address, for example ws://127.0.0.1:4455");
    } else {
      out_.bridge.url = url;
    }
  }

  void read_effects(const json::Value& value, const Path& at) {
    const json::Array* const list = reader_.list(value, at, "effects");
    if (list == nullptr) return;
    for (std::size_t i = 0; i < list->size(); ++i) read_effect((*list)[i], at / i);
  }

  void read_effect(const json::Value& value, const Path& at) {
    const json::Object* const object = reader_.object(value, at);
    if (object == nullptr) return;
    std::string type;
    const json::Value* actions = nullptr;
    const std::array<SectionKey, 2> keys = {{
        {"type", [&](const json::Value& v, const Path& p) { type = reader_.text(v, p); }},
        {"do", [&](const json::Value& v, const Path&) { actions = &v; }},
    }};
    read_members(*object, at, keys, reader_);
    if (type.empty()) reader_.fault(at, "type is missing: the type of the event to act on");
    if (actions == nullptr) {
      reader_.fault(at,
                    "do is missing: what OBS shall do, for example "
                    "[{action: switch_scene, scene: Live}]");
      return;
    }
    const json::Array* const list = reader_.list(*actions, at / "do", "actions");
    if (list == nullptr || type.empty()) return;
    for (std::size_t i = 0; i < list->size(); ++i) {
      read_action((*list)[i], at / "do" / i, type);
    }
  }

  void read_action(const json::Value& value, const Path& at, const std::string& type) {
    const json::Object* const object = reader_.object(value, at);
    if (object == nullptr) return;
    obs::EffectMap::Action action;
    action.parameters = *object;
    const std::string name = json::find_string(*object, "action").value_or("");
    const auto kind = obs::parse_command_kind(name);
    if (!kind) {
      reader_.fault(at, fmt::format("action '{}' is unknown; expected one of {}", name,
                                    obs::command_names()));
      return;
    }
    action.kind = *kind;
    action.parameters.erase("action");
    if (const Status added = out_.bridge.effects.add(type, std::move(action)); !added.ok()) {
      reader_.fault(at, added.error().message);
    }
  }

  ObsConfig& out_;
  SectionReader reader_;
};

// Without the line break that editors put at the end.
Result<std::string> read_password(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string password(std::istreambuf_iterator<char>(file), {});
  if (!file.is_open() || file.bad()) {
    return Error{ErrorCode::kNotFound, "cannot read the OBS password file " + path};
  }
  while (!password.empty() && (password.back() == '\n' || password.back() == '\r')) {
    password.pop_back();
  }
  if (password.empty() || password.size() > kPasswordBytesMax) {
    return invalid_argument("the OBS password file " + path + " holds no password");
  }
  return password;
}

}  // namespace

std::optional<ObsConfig> read_obs_config(const config::LoadedConfig& loaded,
                                         config::ConfigProblems& problems) {
  const json::Object* const root = loaded.document.value().if_object();
  const json::Value* const section = root != nullptr ? json::find(*root, "obs") : nullptr;
  if (section == nullptr) return std::nullopt;
  ObsConfig out;
  std::vector<PathFault> faults;
  // `obs:` with nothing below it means the defaults.
  if (!section->is_null()) ObsReader(out, faults).read(*section, {"obs"});
  for (PathFault& fault : faults) {
    problems.push_back({loaded.file, loaded.document.locate(fault.path),
                        loaded.document.display(fault.path), std::move(fault.message)});
  }
  return out;
}

Status complete_obs_config(ObsConfig& config) {
  const char* const url = std::getenv("OBS_WEBSOCKET_URL");
  if (url != nullptr && *url != '\0' && !config.url_is_final) {
    auto parsed = net::parse_url(url);
    if (!parsed.ok()) return invalid_argument("OBS_WEBSOCKET_URL: " + parsed.error().message);
    config.bridge.url = url;
  }
  const char* password = std::getenv("OBS_WEBSOCKET_PASSWORD");
  if (password != nullptr && *password != '\0') {
    config.bridge.password = password;
  } else if (!config.password_file.empty()) {
    auto read = read_password(config.password_file);
    if (!read.ok()) return read.error();
    config.bridge.password = std::move(*read);
  }
  return {};
}

}  // namespace state_engine
