// One wording of each complaint, whichever service makes it.

#include "app/service_cli.h"

#include <cstdio>

#include <fmt/format.h>

#include "app/address.h"

namespace state_engine {

Result<ServiceOptions> service_options_of(std::string name, const std::string& log_level,
                                          const std::string& listen) {
  ServiceOptions out;
  out.name = std::move(name);
  const auto level = parse_log_level(log_level);
  if (!level) {
    return invalid_argument("log level '" + log_level + "' is none of debug, info, warn, error");
  }
  out.log_level = *level;
  if (listen.empty()) return out;
  const auto address = parse_address(listen);
  if (!address) {
    return invalid_argument("--listen '" + listen +
                            "' is no HOST:PORT, for example 127.0.0.1:4272");
  }
  out.host = address->host;
  out.port = address->port;
  return out;
}

bool section_is_good(const std::string& file, std::string_view section, bool found,
                     const config::ConfigProblems& problems) {
  if (!problems.empty()) {
    fmt::print(stderr, "{}", config::to_text(problems));
    return false;
  }
  if (!found) {
    fmt::print(stderr, "{}: there is no section {}; docs/{}.md describes it\n", file, section,
               section);
  }
  return found;
}

}  // namespace state_engine
