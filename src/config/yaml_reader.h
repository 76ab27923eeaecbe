// YamlReader: yaml-cpp's events made into a tree of nodes with positions. Inside src/config only.
//
// Aliases share the node of their anchor, so the tree is never larger than the text; the expansion
// to a JSON value (yaml_document.cc) counts what it makes.

#ifndef STATE_ENGINE_CONFIG_YAML_READER_H_
#define STATE_ENGINE_CONFIG_YAML_READER_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/mark.h>

#include "config/yaml_document.h"

namespace state_engine::config {

struct YamlDocument::TreeNode {
  enum class Kind { kScalar, kList, kMap };
  struct Member {
    std::string name;
    Position position;  // of the name
    std::shared_ptr<const TreeNode> node;
    bool merged = false;  // came from a `<<` merge: an explicit member wins
  };

  Kind kind = Kind::kScalar;
  Position position;
  json::Value scalar;
  std::vector<std::shared_ptr<const TreeNode>> items;
  std::vector<Member> members;

  const Member* find(std::string_view name) const;
};

// What the core schema makes of a plain scalar. Infinities and NaN have no JSON value: kNoJson.
enum class Scalar { kValue, kNoJson };
Scalar resolve_plain_scalar(const std::string& text, json::Value& out);

class YamlReader final : public YAML::EventHandler {
 public:
  using TreeNode = YamlDocument::TreeNode;

  explicit YamlReader(std::vector<YamlFault>& faults) : faults_(faults) {}

  // The root, or null for a document without content.
  std::shared_ptr<const TreeNode> root() const { return root_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override;
  void OnSequenceEnd() override;
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override;
  void OnMapEnd() override;

 private:
  // A collection that is still being read.
  struct Open {
    std::shared_ptr<TreeNode> node;
    YAML::anchor_t anchor = 0;
    bool has_name = false;  // maps: the name is read, its value comes next
    bool merge = false;     // that name is a plain `<<`
    bool skip = false;      // that name is a duplicate: drop its value
    std::string name;
    Position name_position;
  };

  void open(TreeNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor);
  void close();
  // Puts a complete node where the text has it: root, list item, name or value of a member.
  void place(std::shared_ptr<const TreeNode> node, bool plain_merge_name);
  void place_name(Open& map, const TreeNode& name, bool plain_merge_name);
  void place_member(Open& map, std::shared_ptr<const TreeNode> node);
  void merge(Open& map, const TreeNode& source);
  void fault(Position position, std::string message);
  Path path() const;

  std::vector<YamlFault>& faults_;
  std::vector<Open> stack_;
  std::map<YAML::anchor_t, std::shared_ptr<const TreeNode>> anchors_;
  std::shared_ptr<const TreeNode> root_;
};

}  // namespace state_engine::config

#endif  // STATE_ENGINE_CONFIG_YAML_READER_H_
