// The configuration file: allowed keys, policy and rules, read and compiled.
//
// Two steps, so that `rules check` and a reload on SIGHUP say everything that is wrong in one run:
// load_config reads the YAML and checks its shape; compile_config makes the policy and the rules
// of it and reports the problems of both steps, each with file, line and path.
//
// The reference service's file (allowedKeys and rules) is a valid one.

#ifndef STATE_ENGINE_CONFIG_CONFIG_H_
#define STATE_ENGINE_CONFIG_CONFIG_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "config/yaml_document.h"
#include "core/policy.h"
#include "rules/rule_set.h"

namespace state_engine::config {

// Something wrong in a configuration: where, what, and what was expected.
struct ConfigProblem {
  std::string file;
  Position position;
  std::string path;  // "policy[2].rate.burst"; empty = the file as a whole
  std::string message;

  // "stream.yaml:12: policy[2].rate.burst: must be at least 1"
  std::string str() const;
};
using ConfigProblems = std::vector<ConfigProblem>;

// All problems, one a line.
std::string to_text(const ConfigProblems& problems);

// A file as far as it could be read.
struct LoadedConfig {
  std::string file;
  PolicyConfig policy;
  json::Value rules = json::Array();  // as RuleSet::load wants them
  json::Value tests = json::Array();  // as run_fixtures wants them
  YamlDocument document;              // for the lines of later faults
  ConfigProblems problems;
  std::vector<std::string> warnings;  // what is allowed but may surprise
};

// Reads the file at `path`. A file that cannot be read is one problem. Cost: file I/O.
LoadedConfig load_config(const std::string& path);

// Reads `text`; `file` names it in problems.
LoadedConfig load_config_text(std::string file, std::string_view text);

// Any other YAML file, with its faults as problems.
struct LoadedYaml {
  YamlDocument document;
  ConfigProblems problems;
};
LoadedYaml load_yaml(const std::string& path);

// What runs without a file: the reference's default keys, no policy, no rules; one warning.
LoadedConfig default_config();

struct CompiledConfig {
  std::shared_ptr<const Policy> policy;
  RuleSetPtr rules;
  std::string rules_source;  // canonical JSON of the rules array
  std::vector<std::string> warnings;
};

// A compiled configuration, or every problem in file order.
struct ConfigCompilation {
  std::optional<CompiledConfig> config;
  ConfigProblems problems;

  bool ok() const { return config.has_value(); }
};

ConfigCompilation compile_config(const LoadedConfig& loaded);

}  // namespace state_engine::config

#endif  // STATE_ENGINE_CONFIG_CONFIG_H_
