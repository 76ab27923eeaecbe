// The scripts are templates with placeholders for what the model knows. They ask the program itself
// for keys, so that they stay right for whatever engine runs; verbs and options are frozen into the
// script, since asking for them at each key press would be slow.

#include "cli/completion.h"

#include <string_view>

#include <fmt/format.h>

namespace state_engine::cli {
namespace {

// `text` inside single quotes of a POSIX shell, or of fish.
std::string quoted(std::string_view text, bool fish = false) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += fish ? "\\'" : "'\\''";
    } else if (c == '\\' && fish) {
      out += "\\\\";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string_view first_word(std::string_view name) { return name.substr(0, name.find(' ')); }

std::string_view second_word(std::string_view name) {
  const std::size_t space = name.find(' ');
  return space == std::string_view::npos ? std::string_view{} : name.substr(space + 1);
}

// The top-level verbs, and the verbs below `parent`, separated by blanks.
std::string verb_names(const CompletionModel& model, std::string_view parent) {
  std::string names;
  std::string_view last;
  for (const CompletionVerb& verb : model) {
    const std::string_view word = parent.empty()                    ? first_word(verb.name)
                                  : first_word(verb.name) == parent ? second_word(verb.name)
                                                                    : std::string_view{};
    if (word.empty() || word == last) continue;
    names += (names.empty() ? "" : " ") + std::string(word);
    last = word;
  }
  return names;
}

std::string option_names(const CompletionVerb& verb) {
  std::string names;
  for (const CompletionOption& option : verb.options) {
    names += (names.empty() ? "" : " ") + option.name;
  }
  return names;
}

// The verbs that have verbs of their own, separated by '|'.
std::string parents(const CompletionModel& model) {
  std::string names;
  std::string_view last;
  for (const CompletionVerb& verb : model) {
    if (second_word(verb.name).empty() || first_word(verb.name) == last) continue;
    last = first_word(verb.name);
    names += (names.empty() ? "" : "|") + std::string(last);
  }
  return names;
}

// "case" branches that set `options`, and `kind` to keys or files.
std::string shell_cases(const CompletionModel& model) {
  std::string text;
  for (const CompletionVerb& verb : model) {
    text += fmt::format("    {}) options={}", quoted(verb.name), quoted(option_names(verb)));
    if (verb.takes_keys) text += " kind=keys";
    if (verb.takes_files) text += " kind=files";
    text += " ;;\n";
  }
  return text;
}

// "case" branches that offer the verbs below a verb.
std::string sub_verb_cases(const CompletionModel& model, std::string_view words) {
  std::string text;
  std::string_view last;
  for (const CompletionVerb& verb : model) {
    const std::string_view parent = first_word(verb.name);
    if (second_word(verb.name).empty() || parent == last) continue;
    last = parent;
    text += fmt::format("    {}) {}={} ;;\n", parent, words, quoted(verb_names(model, parent)));
  }
  return text;
}

constexpr std::string_view kBash = R"sh(# bash completion of state-engine. Try it:
#   source <(state-engine completion bash)
_state_engine() {
  # Bash splits words at ':', which keys may hold: take the word from the line itself.
  local line="${COMP_LINE:0:COMP_POINT}" verb="" word words="" options="" kind=""
  local cur="${line##*[[:space:]]}" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    case "$word" in -*) continue ;; esac
    if [ -z "$verb" ]; then
      verb="$word"
      case "$verb" in @PARENTS@) continue ;; esac
      break
    fi
    verb="$verb $word"
    break
  done
  case "$verb" in
    '') words='@VERBS@ --help --version' ;;
@SUB_VERBS@@CASES@  esac
  case "$cur" in -*) [ -z "$words" ] && words="$options --help" ;; esac
  if [ -z "$words" ] && [ "$kind" = keys ]; then
    words="$(state-engine ls --keys-only "$cur" 2>/dev/null)"
  fi
  if [ -n "$words" ] || [ "$kind" = keys ]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    case "$cur" in *:*) COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}") ;; esac
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  fi
}
complete -F _state_engine state-engine
)sh";

constexpr std::string_view kZsh = R"sh(#compdef state-engine
# zsh completion of state-engine. Install it:
#   state-engine completion zsh > "${fpath[1]}/_state-engine"
_state-engine() {
  local verb="" word choices="" options="" kind=""
  local -i i
  for ((i = 2; i < CURRENT; i++)); do
    word="${words[i]}"
    [[ "$word" == -* ]] && continue
    if [[ -z "$verb" ]]; then
      verb="$word"
      case "$verb" in @PARENTS@) continue ;; esac
      break
    fi
    verb="$verb $word"
    break
  done
  case "$verb" in
    '') choices='@VERBS@ --help --version' ;;
@SUB_VERBS@@CASES@  esac
  [[ -z "$choices" && "${words[CURRENT]}" == -* ]] && choices="$options --help"
  if [[ -n "$choices" ]]; then
    compadd -- ${=choices}
  elif [[ "$kind" == keys ]]; then
    compadd -- ${(f)"$(state-engine ls --keys-only "${words[CURRENT]}" 2>/dev/null)"}
  else
    _files
  fi
}
# Works from a file on fpath as well as with `source`.
if [[ "${funcstack[1]}" == _state-engine ]]; then
  _state-engine "$@"
else
  compdef _state-engine state-engine
fi
)sh";

void replace_all(std::string& text, std::string_view what, const std::string& with) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

// Fills in a template; `words` is the shell variable that holds the verbs to offer.
std::string fill(std::string_view shell_template, const CompletionModel& model,
                 std::string_view words) {
  std::string text(shell_template);
  const std::string with_verbs = parents(model);
  replace_all(text, "@PARENTS@", with_verbs.empty() ? "''" : with_verbs);
  replace_all(text, "@VERBS@", verb_names(model, ""));
  replace_all(text, "@SUB_VERBS@", sub_verb_cases(model, words));
  replace_all(text, "@CASES@", shell_cases(model));
  return text;
}

}  // namespace

std::string bash_completion(const CompletionModel& model) { return fill(kBash, model, "words"); }

std::string zsh_completion(const CompletionModel& model) { return fill(kZsh, model, "choices"); }

std::string fish_completion(const CompletionModel& model) {
  std::string text =
      "# fish completion of state-engine. Install it:\n"
      "#   state-engine completion fish > ~/.config/fish/completions/state-engine.fish\n"
      "complete -c state-engine -f\n";
  std::string_view last;
  for (const CompletionVerb& verb : model) {
    const std::string_view parent = first_word(verb.name);
    const std::string_view child = second_word(verb.name);
    if (parent != last) {
      text += fmt::format("complete -c state-engine -n __fish_use_subcommand -a {} -d {}\n", parent,
                          quoted(child.empty() ? verb.description : std::string(parent), true));
    }
    last = parent;
    std::string condition = fmt::format("__fish_seen_subcommand_from {}", parent);
    if (!child.empty()) {
      text += fmt::format(
          "complete -c state-engine -n '{}; and not __fish_seen_subcommand_from {}' -a {} -d {}\n",
          condition, verb_names(model, parent), child, quoted(verb.description, true));
      condition += fmt::format("; and __fish_seen_subcommand_from {}", child);
    }
    for (const CompletionOption& option : verb.options) {
      if (!option.name.starts_with("--")) continue;
      text += fmt::format("complete -c state-engine -n '{}' -l {} {}-d {}\n", condition,
                          option.name.substr(2), option.takes_value ? "-r " : "",
                          quoted(option.description, true));
    }
    if (verb.takes_keys) {
      text += fmt::format(
          "complete -c state-engine -n '{}' -a '(state-engine ls --keys-only (commandline -ct) "
          "2>/dev/null)'\n",
          condition);
    }
    if (verb.takes_files) text += fmt::format("complete -c state-engine -n '{}' -F\n", condition);
  }
  return text;
}

}  // namespace state_engine::cli
