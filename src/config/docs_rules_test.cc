// docs/rules.md, word for word: every example in it is run.
//
//   ```yaml config    compiles, and holds tests, which pass
//   ```yaml refused   does not compile; the message holds what its first line says ("# says: ...")
//   ```jsonl          each line is {"rule", "data", "result"}
//   ```console        run by tests/process/rules_test.py, not here
//   ```text graph     what `rules graph` prints for the configuration above it

#include <fstream>
#include <iterator>
#include <regex>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/config.h"
#include "rules/graph.h"
#include "rules/json_logic.h"

namespace state_engine::config {
namespace {

struct Block {
  std::string kind;
  std::string text;
};

std::vector<Block> blocks_of_the_page() {
  std::ifstream file(SE_SOURCE_DIR "/docs/rules.md");
  std::vector<Block> blocks;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) blocks.push_back({line.substr(3), ""});
    } else if (inside) {
      blocks.back().text += line + "\n";
    }
  }
  EXPECT_FALSE(inside) << "a block does not end";
  return blocks;
}

void check_lines(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto example = json::parse(line);
    ASSERT_TRUE(example.ok()) << line;
    const json::Object& fields = example->get_object();
    const logic::EvalReport report = logic::eval_once(fields.at("rule"), fields.at("data"));
    ASSERT_FALSE(report.error.has_value()) << line;
    const json::Value result = json::parse(report.result).value();
    EXPECT_TRUE(json::equal(result, fields.at("result"))) << line << " gives " << report.result;
  }
}

TEST(RulesPageTest, EveryExampleDoesWhatThePageSays) {
  std::string config;
  int run = 0;
  for (const Block& block : blocks_of_the_page()) {
    const ConfigCompilation compiled = compile_config(
        load_config_text("page.yaml", block.kind == "text graph" ? config : block.text));
    if (block.kind == "yaml config") {
      EXPECT_TRUE(compiled.ok()) << block.text << to_text(compiled.problems);
      EXPECT_THAT(block.text, testing::HasSubstr("\ntests:\n")) << "an example proves itself";
      config = block.text;
    } else if (block.kind == "yaml refused") {
      const std::string says = "# says: ";
      ASSERT_TRUE(block.text.starts_with(says)) << block.text;
      const std::string said = block.text.substr(says.size(), block.text.find('\n') - says.size());
      EXPECT_THAT(to_text(compiled.problems), testing::HasSubstr(said));
    } else if (block.kind == "text graph") {
      ASSERT_TRUE(compiled.ok());
      EXPECT_EQ(RuleGraph::build(compiled.config->rules->rules()).to_text(), block.text);
    } else if (block.kind == "jsonl") {
      check_lines(block.text);
    } else {
      // Sessions are run by tests/process/rules_test.py.
      EXPECT_EQ(block.kind, "console") << "a block that nothing runs";
      continue;
    }
    ++run;
  }
  EXPECT_GE(run, 6);
}

}  // namespace
}  // namespace state_engine::config
