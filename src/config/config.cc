// Each section has a table of its keys and readers; a new section is a new row. Readers collect
// faults by path and go on; lines are looked up in the document at the end, when a fault is shown.
// The policy and rule compilers report paths of their own form, which are translated here.

#include "config/config.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/limits.h"
#include "config/section_reader.h"
#include "rules/fixtures.h"
#include "rules/lint.h"

namespace state_engine::config {
namespace {

constexpr std::array kProposableOps = {Op::kSet, Op::kDelete, Op::kIncrement, Op::kPush,
                                       Op::kMerge};

ConfigProblem problem_at(const LoadedConfig& loaded, const Path& path, std::string message) {
  return {loaded.file, loaded.document.locate(path), loaded.document.display(path),
          std::move(message)};
}

// Reads the sections of a file into a LoadedConfig.
class FileReader {
 public:
  FileReader(LoadedConfig& loaded, std::vector<PathFault>& faults)
      : loaded_(loaded), reader_(faults) {}

  void read(const json::Value& root) {
    bool has_keys = false;
    const std::array<SectionKey, 7> keys = {{
        {"allowedKeys",
         [&](const json::Value& value, const Path& path) {
           has_keys = true;
           loaded_.policy.allowed_keys = reader_.strings(value, path, "key patterns");
         }},
        {"policy", [&](const json::Value& value, const Path& path) { read_policy(value, path); }},
        {"rules",
         [&](const json::Value& value, const Path& path) {
           if (reader_.list(value, path, "rules") != nullptr) loaded_.rules = value;
         }},
        // Read by the program that runs the ingest (src/app/twitch_host).
        {"twitch", [](const json::Value&, const Path&) {}},
        // Read by the program that runs the bridge (src/app/obs_config).
        {"obs", [](const json::Value&, const Path&) {}},
        // Read by the program that runs the bot (src/app/bot_config).
        {"bot", [](const json::Value&, const Path&) {}},
        {"tests",
         [&](const json::Value& value, const Path& path) {
           if (reader_.list(value, path, "tests") != nullptr) loaded_.tests = value;
         }},
    }};
    if (!root.is_null()) {
      const json::Object* object = reader_.object(root, {});
      if (object == nullptr) return;
      read_members(*object, {}, keys, reader_);
    }
    if (has_keys) return;
    loaded_.policy.allowed_keys = default_allowed_keys();
    loaded_.warnings.push_back(fmt::format("{}: no allowedKeys; using the default ones: {}",
                                           loaded_.file,
                                           fmt::join(loaded_.policy.allowed_keys, ", ")));
  }

 private:
  void read_policy(const json::Value& value, const Path& path) {
    const json::Array* entries = reader_.list(value, path, "policy entries");
    if (entries == nullptr) return;
    for (std::size_t i = 0; i < entries->size(); ++i) {
      // A faulty entry is kept, so that the indices of later ones stay right.
      loaded_.policy.rules.push_back(read_entry((*entries)[i], path / i));
    }
  }

  PolicyRuleConfig read_entry(const json::Value& value, const Path& at) {
    PolicyRuleConfig entry;
    const json::Object* object = reader_.object(value, at);
    if (object == nullptr) return entry;
    const std::array<SectionKey, 8> keys = {{
        {"keys", [&](const json::Value& v,
                     const Path& path) { entry.keys = reader_.strings(v, path, "key patterns"); }},
        {"writers",
         [&](const json::Value& v, const Path& path) {
           entry.writers = reader_.strings(v, path, "actor patterns");
         }},
        {"ops", [&](const json::Value& v, const Path& path) { entry.ops = read_ops(v, path); }},
        {"requires",
         [&](const json::Value& v, const Path& path) {
           if (const json::Object* wanted = reader_.object(v, path)) {
             for (const auto& item : *wanted) {
               entry.requirements.push_back({std::string(item.key()), item.value()});
             }
           }
         }},
        {"schema", [&](const json::Value& v, const Path&) { entry.schema = v; }},
        {"rate", [&](const json::Value& v, const Path& path) { entry.rate = read_rate(v, path); }},
        {"ttlDefault", [&](const json::Value& v,
                           const Path& path) { entry.ttl_default = reader_.seconds(v, path); }},
        {"ttlMax",
         [&](const json::Value& v, const Path& path) { entry.ttl_max = reader_.seconds(v, path); }},
    }};
    read_members(*object, at, keys, reader_);
    if (!object->contains("keys")) {
      reader_.fault(at, "keys is missing; expected the key patterns that this entry is about");
    }
    return entry;
  }

  std::optional<std::vector<Op>> read_ops(const json::Value& value, const Path& path) {
    std::vector<std::string_view> names;
    names.reserve(std::size(kProposableOps));
    for (const Op op : kProposableOps) names.push_back(to_string(op));
    const std::vector<std::string> texts = reader_.strings(value, path, "operations");
    std::vector<Op> ops;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const auto op = parse_op(texts[i]);
      if (op && *op != Op::kExpire) {
        ops.push_back(*op);
      } else if (!texts[i].empty()) {
        reader_.fault(path / i,
                      fmt::format("unknown operation '{}'{}; expected {}", texts[i],
                                  logic::suggestion(texts[i], names), fmt::join(names, ", ")));
      }
    }
    return ops;
  }

  std::optional<RateLimit> read_rate(const json::Value& value, const Path& at) {
    const json::Object* object = reader_.object(value, at);
    if (object == nullptr) return std::nullopt;
    std::optional<double> per_second;
    std::optional<double> burst;
    const std::array<SectionKey, 2> keys = {{
        {"perSecond",
         [&](const json::Value& v, const Path& path) { per_second = reader_.number(v, path); }},
        {"burst", [&](const json::Value& v, const Path& path) { burst = reader_.number(v, path); }},
    }};
    read_members(*object, at, keys, reader_);
    for (const SectionKey& key : keys) {
      if (!object->contains(key.name)) {
        reader_.fault(at, fmt::format("{} is missing; expected a number", key.name));
      }
    }
    if (!per_second || !burst) return std::nullopt;
    return RateLimit{*per_second, *burst};
  }

  LoadedConfig& loaded_;
  SectionReader reader_;
};

// True if a problem at `path` or above it was reported already.
bool already_reported(const std::vector<Path>& reported, const Path& path) {
  return std::any_of(reported.begin(), reported.end(), [&](const Path& other) {
    return other.size() <= path.size() && std::equal(other.begin(), other.end(), path.begin());
  });
}

// A fault of the policy compiler as a path into the file. Schema faults begin with a JSON pointer
// into the schema: "/properties/x/typ: 'typ' is no keyword ...".
Path policy_fault_path(const ConfigFault& fault, std::string& message) {
  Path path = split_display_path(fault.path);
  message = fault.message;
  if (path.empty() || path.back() != "schema" || !message.starts_with('/')) return path;
  const std::size_t end = message.find(": ");
  if (end == std::string::npos) return path;
  for (std::string& step : split_json_pointer(std::string_view(message).substr(0, end))) {
    if (!step.empty()) path.push_back(std::move(step));
  }
  message = message.substr(end + 2);
  return path;
}

// A rule whose condition bounds no key costs its evaluation at every commit, whatever it changes.
std::optional<std::string> unbounded_warning(const std::string& file, const RuleSet& rules) {
  const std::size_t count = rules.index().unbounded_count();
  if (count == 0) return std::nullopt;
  constexpr std::size_t kNamed = 5;
  std::vector<std::string> names;
  for (const Rule& rule : rules.rules()) {
    if (!rule.dependencies.guard_keys.has_value() && names.size() < kNamed)
      names.push_back(rule.id);
  }
  return fmt::format(
      "{}: {} of {} rules run at every commit, since their conditions bound no key: {}{}; add "
      "{{\"==\": [{{\"var\": \"key\"}}, ...]}} to an `and` where that is not meant",
      file, count, rules.rules().size(), fmt::join(names, ", "), count > kNamed ? ", ..." : "");
}

void sort_by_line(ConfigProblems& problems) {
  std::stable_sort(problems.begin(), problems.end(),
                   [](const auto& a, const auto& b) { return a.position.line < b.position.line; });
}

}  // namespace

std::string ConfigProblem::str() const {
  std::string text = file;
  if (position.line > 0) text += fmt::format(":{}", position.line);
  if (!path.empty()) text += ": " + path;
  return text + ": " + message;
}

std::string to_text(const ConfigProblems& problems) {
  std::string text;
  for (const ConfigProblem& problem : problems) text += problem.str() + "\n";
  return text;
}

LoadedConfig load_config_text(std::string file, std::string_view text) {
  LoadedConfig loaded;
  loaded.file = std::move(file);
  std::vector<YamlFault> yaml_faults;
  loaded.document = YamlDocument::parse(text, yaml_faults);
  for (YamlFault& fault : yaml_faults) {
    loaded.problems.push_back({loaded.file, fault.position, loaded.document.display(fault.path),
                               std::move(fault.message)});
  }
  std::vector<PathFault> faults;
  FileReader(loaded, faults).read(loaded.document.value());
  for (PathFault& fault : faults) {
    loaded.problems.push_back(problem_at(loaded, fault.path, std::move(fault.message)));
  }
  sort_by_line(loaded.problems);
  return loaded;
}

namespace {

// The text of a file, or why it cannot be read.
std::optional<std::string> read_text(const std::string& path, int& error) {
  std::error_code ignored;
  error = EISDIR;
  if (std::filesystem::is_directory(path, ignored)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  error = errno;
  if (!file) return std::nullopt;
  std::string text(std::istreambuf_iterator<char>(file), {});
  error = EIO;
  if (file.bad()) return std::nullopt;
  return text;
}

ConfigProblem unreadable(const std::string& path, int error) {
  return {path, {}, "", fmt::format("cannot read: {}", std::strerror(error))};
}

}  // namespace

LoadedConfig load_config(const std::string& path) {
  int error = 0;
  if (const auto text = read_text(path, error)) return load_config_text(path, *text);
  LoadedConfig loaded;
  loaded.file = path;
  loaded.problems.push_back(unreadable(path, error));
  return loaded;
}

LoadedYaml load_yaml(const std::string& path) {
  LoadedYaml loaded;
  int error = 0;
  const auto text = read_text(path, error);
  if (!text) {
    loaded.problems.push_back(unreadable(path, error));
    return loaded;
  }
  std::vector<YamlFault> faults;
  loaded.document = YamlDocument::parse(*text, faults);
  for (YamlFault& fault : faults) {
    loaded.problems.push_back(
        {path, fault.position, loaded.document.display(fault.path), std::move(fault.message)});
  }
  return loaded;
}

LoadedConfig default_config() {
  LoadedConfig loaded;
  loaded.file = "(no configuration file)";
  loaded.policy.allowed_keys = default_allowed_keys();
  loaded.warnings.push_back(
      fmt::format("no --config given: any actor may write {}; there are no rules",
                  fmt::join(loaded.policy.allowed_keys, ", ")));
  return loaded;
}

ConfigCompilation compile_config(const LoadedConfig& loaded) {
  ConfigCompilation out;
  out.problems = loaded.problems;
  std::vector<Path> reported;
  for (const ConfigProblem& problem : loaded.problems) {
    reported.push_back(split_display_path(problem.path));
  }
  // Below a text that could not be read, nothing that is missing means anything.
  const bool readable = !already_reported(reported, {});

  auto policy = Policy::compile(loaded.policy);
  if (const auto* faults = std::get_if<std::vector<ConfigFault>>(&policy); faults && readable) {
    for (const ConfigFault& fault : *faults) {
      std::string message;
      const Path path = policy_fault_path(fault, message);
      if (already_reported(reported, path)) continue;
      out.problems.push_back(problem_at(loaded, path, std::move(message)));
    }
  }
  const auto report = [&](std::string_view section, RuleProblem problem) {
    Path path = split_json_pointer(problem.path);
    path.insert(path.begin(), std::string(section));
    out.problems.push_back(problem_at(loaded, path, std::move(problem.message)));
  };
  RuleSetLoad rules = RuleSet::load(loaded.rules);
  for (RuleProblem& problem : rules.problems) report("rules", std::move(problem));
  if (rules.ok()) {
    for (FixtureResult& fixture : run_fixtures(*rules.rules, loaded.tests)) {
      for (RuleProblem& problem : fixture.problems) {
        problem.message = fmt::format("test \"{}\": {}", fixture.name, problem.message);
        report("tests", std::move(problem));
      }
    }
  }
  sort_by_line(out.problems);
  if (!out.problems.empty()) return out;
  std::vector<std::string> warnings = loaded.warnings;
  if (auto warning = unbounded_warning(loaded.file, *rules.rules)) {
    warnings.push_back(*std::move(warning));
  }
  out.config = CompiledConfig{std::get<std::shared_ptr<const Policy>>(std::move(policy)),
                              std::move(rules.rules), json::write_canonical(loaded.rules),
                              std::move(warnings)};
  return out;
}

}  // namespace state_engine::config
