// Completion scripts for bash, zsh and fish, made from the verbs that really exist.

#ifndef STATE_ENGINE_CLI_COMPLETION_H_
#define STATE_ENGINE_CLI_COMPLETION_H_

#include <string>
#include <vector>

namespace state_engine::cli {

struct CompletionOption {
  std::string name;  // "--json"
  std::string description;
  bool takes_value = false;
};

struct CompletionVerb {
  std::string name;  // "rules check": a verb and its own verb
  std::string description;
  std::vector<CompletionOption> options;
  bool takes_keys = false;   // positional arguments are keys of the running engine
  bool takes_files = false;  // positional arguments are files
};

using CompletionModel = std::vector<CompletionVerb>;

// Keys come from `state-engine ls --keys-only`, which stays silent when no engine runs.
std::string bash_completion(const CompletionModel& model);
std::string zsh_completion(const CompletionModel& model);
std::string fish_completion(const CompletionModel& model);

}  // namespace state_engine::cli

#endif  // STATE_ENGINE_CLI_COMPLETION_H_
