// What the commands of the services beside the engine (ingress, obs, bot) share.

#ifndef STATE_ENGINE_APP_SERVICE_CLI_H_
#define STATE_ENGINE_APP_SERVICE_CLI_H_

#include <string>
#include <string_view>

#include "app/service.h"
#include "base/result.h"
#include "config/config.h"

namespace state_engine {

// The options of a service that listens only if `listen` is given. Errors: kInvalidArgument for a
// level or an address that is none; says what to write instead.
Result<ServiceOptions> service_options_of(std::string name, const std::string& log_level,
                                          const std::string& listen);

// True if a section was `found` in `file` without problems; else they are on stderr, or that the
// section is missing and which page describes it.
bool section_is_good(const std::string& file, std::string_view section, bool found,
                     const config::ConfigProblems& problems);

}  // namespace state_engine

#endif  // STATE_ENGINE_APP_SERVICE_CLI_H_
