#include "rules/graph.h"

#include <string>

#include <gtest/gtest.h>

#include "rules/rule_set.h"

namespace state_engine {
namespace {

RuleGraph graph_of(std::string_view rules) {
  const auto source = json::parse(rules);
  EXPECT_TRUE(source.ok());
  const RuleSetLoad loaded = RuleSet::load(*source);
  EXPECT_TRUE(loaded.ok());
  return RuleGraph::build(loaded.rules->rules());
}

const char* const kRules = R"([
  {"id": "online", "when": {"and": [{"in": [{"var": "key"}, ["stream.state", "stream.x"]]},
     {"==": [{"var": "state.obs.ok"}, true]}]},
   "actions": [{"type": "publishEgress", "payload": {"type": "online"}},
               {"type": "publishEgress", "payload": {"type": "online"}},
               {"type": "proposeMutation", "key": "stream.live", "value": true}]},
  {"id": "any", "when": true,
   "actions": [{"type": "proposeMutation", "key": {"$logic": {"var": "value"}}, "value": 1}]}])";

TEST(RuleGraphTest, ListsTriggersReadsWritesAndEffectsOnce) {
  EXPECT_EQ(graph_of(kRules).to_text(),
            "rule online\n"
            "  triggered by stream.state\n"
            "  triggered by stream.x\n"
            "  reads obs.ok\n"
            "  emits online\n"
            "  writes stream.live\n"
            "rule any\n"
            "  triggered by *\n"
            "  writes (computed)\n");
}

TEST(RuleGraphTest, WritesJson) {
  EXPECT_EQ(json::write(graph_of(R"([{"id": "r", "when": {"==": ["k", {"var": "key"}]}, "actions": [
                {"type": "publishEgress", "payload": {"type": "t"}}]}])")
                            .to_json()),
            R"({"rules":["r"],"edges":[{"kind":"triggers","rule":"r","key":"k"},)"
            R"({"kind":"emits","rule":"r","effect":"t"}]})");
}

TEST(RuleGraphTest, DrawsForDotAndMermaid) {
  const RuleGraph graph = graph_of(
      R"([{"id": "say \"hi\"", "when": {"==": [{"var": "state.k"}, 1]}, "actions": [
           {"type": "publishEgress", "payload": {}}]}])");
  EXPECT_EQ(graph.to_dot(),
            "digraph rules {\n"
            "  rankdir=LR;\n"
            "  \"effect (no type)\" [shape=cds, label=\"(no type)\"];\n"
            "  \"key *\" [shape=ellipse, label=\"*\"];\n"
            "  \"key k\" [shape=ellipse, label=\"k\"];\n"
            "  \"rule say \\\"hi\\\"\" [shape=box, label=\"say \\\"hi\\\"\"];\n"
            "  \"key *\" -> \"rule say \\\"hi\\\"\";\n"
            "  \"key k\" -> \"rule say \\\"hi\\\"\" [style=dashed, label=\"reads\"];\n"
            "  \"rule say \\\"hi\\\"\" -> \"effect (no type)\";\n"
            "}\n");
  EXPECT_EQ(graph.to_mermaid(),
            "graph LR\n"
            "  n0[\"say #quot;hi#quot;\"]\n"
            "  n1([\"*\"])\n"
            "  n1 --> n0\n"
            "  n2([\"k\"])\n"
            "  n2 -. reads .-> n0\n"
            "  n3>\"(no type)\"]\n"
            "  n0 --> n3\n");
}

}  // namespace
}  // namespace state_engine
