#include "cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_command.h"

namespace state_engine::cli {
namespace {

using testing::HasSubstr;

CompletionModel sample() {
  return {{"get", "Show it's value", {{"--json", "as JSON", false}}, true, false},
          {"rules check", "Check", {{"--json", "as JSON", false}}, false, true},
          {"rules eval", "Evaluate", {{"--data", "the data", true}}, false, false}};
}

// Runs `test` in bash after the script was read, with a stand-in for the program.
int bash(const std::string& test) {
  const std::string script =
      "state-engine() { printf '%s\\n' stream.state stream.title user:1.a; }\n" +
      bash_completion(sample()) +
      "run() { COMP_LINE=\"$*\"; COMP_POINT=${#COMP_LINE}; COMP_WORDS=(\"$@\"); "
      "COMP_CWORD=$(($# - 1)); COMPREPLY=(); _state_engine; echo \"${COMPREPLY[*]}\"; }\n" +
      test;
  const auto code = run_command("exec bash -s", {}, script);
  EXPECT_TRUE(code.ok());
  return code.ok() ? *code : -1;
}

TEST(CompletionTest, BashOffersVerbsSubVerbsOptionsAndKeys) {
  EXPECT_EQ(bash("[ \"$(run state-engine ru)\" = rules ]\n"), 0);
  EXPECT_EQ(bash("[ \"$(run state-engine rules '')\" = 'check eval' ]\n"), 0);
  EXPECT_EQ(bash("[ \"$(run state-engine get --)\" = '--json --help' ]\n"), 0);
  EXPECT_EQ(bash("[ \"$(run state-engine rules eval --d)\" = --data ]\n"), 0);
  EXPECT_EQ(bash("[ \"$(run state-engine get stream.t)\" = stream.title ]\n"), 0);
}

TEST(CompletionTest, ZshAndFishKnowTheSameVerbs) {
  const std::string zsh = zsh_completion(sample());
  EXPECT_THAT(zsh, testing::StartsWith("#compdef state-engine\n"));
  EXPECT_THAT(zsh, HasSubstr("'rules eval') options='--data'"));
  EXPECT_THAT(zsh, testing::Not(testing::ContainsRegex("@[A-Z]"))) << "a placeholder is left";
}

TEST(CompletionTest, FishQuotesDescriptions) {
  const std::string fish = fish_completion(sample());
  EXPECT_THAT(fish, HasSubstr(R"(-a get -d 'Show it\'s value')"));
  EXPECT_THAT(fish, HasSubstr("-l data -r -d 'the data'"));
}

}  // namespace
}  // namespace state_engine::cli
