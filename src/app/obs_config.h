// The `obs:` section of a configuration file: which OBS, and which effects it carries out.

#ifndef STATE_ENGINE_APP_OBS_CONFIG_H_
#define STATE_ENGINE_APP_OBS_CONFIG_H_

#include <optional>
#include <string>

#include "config/config.h"
#include "integrations/obs/bridge.h"
#include "net/tls.h"

namespace state_engine {

struct ObsConfig {
  obs::BridgeSettings bridge;
  net::TlsOptions tls;
  std::string password_file;  // read by complete_obs_config
  bool url_is_final = false;  // a flag named it: the environment does not win
};

// Nothing if there is no such section; else the section as far as it could be read, with its
// faults appended to `problems`.
std::optional<ObsConfig> read_obs_config(const config::LoadedConfig& loaded,
                                         config::ConfigProblems& problems);

// Lets OBS_WEBSOCKET_URL and OBS_WEBSOCKET_PASSWORD win, and reads the password file.
// Errors: kNotFound for a file that cannot be read.
Status complete_obs_config(ObsConfig& config);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_OBS_CONFIG_H_
