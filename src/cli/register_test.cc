#include <CLI/CLI.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/fake_link_test.h"

namespace state_engine::cli {
namespace {

struct Program {
  Terminal terminal;
  int exit_code = -1;

  // As main() does it.
  int run(const std::vector<std::string>& words) {
    CLI::App app("state-engine");
    app.require_subcommand(1);
    terminal.context.exit_code = &exit_code;
    add_cli_commands(app, terminal.context);
    try {
      app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    } catch (const CLI::ParseError& fault) {
      return app.exit(fault, terminal.out, terminal.err) == 0 ? kExitOk : kExitUsage;
    }
    return exit_code;
  }
};

constexpr const char* kAccepted =
    R"({"mutationId":"m","status":"accepted","key":"k","version":1,"previousVersion":0})";

TEST(CommandLineTest, AWordIsAStringAndABracketedListStaysWhole) {
  Program program;
  program.terminal.script.answer(kAccepted);
  EXPECT_EQ(program.run({"propose", "k", R"(["a","b"])", "--reason", "r", "--meta", "x=1"}),
            kExitOk);
  EXPECT_EQ(program.terminal.script.calls.at(0),
            R"(propose_mutation {"key":"k","op":"set","reason":"r","value":["a","b"],)"
            R"("metadata":{"x":1}})");
}

TEST(CommandLineTest, ANegativeNumberIsAValue) {
  Program program;
  program.terminal.script.answer(kAccepted);
  EXPECT_EQ(program.run({"propose", "k", "-5", "--op", "increment", "--reason", "r"}), kExitOk);
  EXPECT_THAT(program.terminal.script.calls.at(0), testing::HasSubstr(R"("value":-5)"));
}

TEST(CommandLineTest, ProposeNeedsValueAndReason) {
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"propose", "k", "--reason", "r"},
                                             {"propose", "k", "on"},
                                             {"propose"},
                                             {"propose", "k", "--jsonl", "f"},
                                             {"propose", "k", "on", "--reason", "r", "--strict"},
                                             {"get"},
                                             {"explain"},
                                             {"errors", "--markdown", "--json"},
                                             {"ls", "--data-dir", "d", "--url", "u"},
                                             {"no-such-verb"}}) {
    Program program;
    EXPECT_EQ(program.run(words), kExitUsage) << testing::PrintToString(words);
    EXPECT_FALSE(program.terminal.err.str().empty());
    EXPECT_EQ(program.terminal.script.connections, 0);
  }
}

TEST(CommandLineTest, DeleteSendsNoValue) {
  Program program;
  program.terminal.script.answer(kAccepted);
  EXPECT_EQ(program.run({"delete", "k", "--reason", "r", "--expect", "2"}), kExitOk);
  EXPECT_EQ(program.terminal.script.calls.at(0),
            R"(propose_mutation {"key":"k","op":"delete","reason":"r","expectedVersion":2})");
}

TEST(CommandLineTest, EveryVerbHasHelpWithExamples) {
  CLI::App app("state-engine");
  Terminal terminal;
  add_cli_commands(app, terminal.context);
  std::vector<CLI::App*> verbs = app.get_subcommands([](CLI::App*) { return true; });
  for (std::size_t i = 0; i < verbs.size(); ++i) {
    const auto below = verbs[i]->get_subcommands([](CLI::App*) { return true; });
    if (below.empty()) {
      EXPECT_THAT(verbs[i]->help(), testing::HasSubstr("Examples:")) << verbs[i]->get_name();
    }
    verbs.insert(verbs.end(), below.begin(), below.end());
  }
  EXPECT_GE(verbs.size(), 14U);
}

TEST(CommandLineTest, CompletionKnowsEveryVerb) {
  Program program;
  EXPECT_EQ(program.run({"completion", "bash"}), kExitOk);
  for (const char* verb : {"propose", "history", "'rules check'", "completion"}) {
    EXPECT_THAT(program.terminal.out.str(), testing::HasSubstr(verb));
  }
}

}  // namespace
}  // namespace state_engine::cli
