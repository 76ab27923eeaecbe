// YamlDocument: YAML text as a JSON value that remembers where each part stands.
//
// Plain scalars resolve by the YAML 1.2 core schema: only true and false are booleans, so that
// `value: on` is the string "on". Quoted scalars are strings. Anchors, aliases and `<<` merges
// work; duplicate keys, a second document, infinities and unknown tags are refused.
//
// Threads: immutable once parsed.

#ifndef STATE_ENGINE_CONFIG_YAML_DOCUMENT_H_
#define STATE_ENGINE_CONFIG_YAML_DOCUMENT_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace state_engine::config {

// A place in a file, counted from 1. Line 0: no particular place.
struct Position {
  int line = 0;
  int column = 0;
};

// Member names and list indices that lead from the root to a value.
using Path = std::vector<std::string>;

// A fault of the text itself.
struct YamlFault {
  Position position;
  Path path;
  std::string message;
};

class YamlDocument {
 public:
  struct TreeNode;  // yaml_reader.h

  // An empty document: null.
  YamlDocument() = default;

  // Reads `text`. Faults are appended; the document then holds what could be read. Limits: see
  // limits::kConfig*; aliases cannot make a small text large. Cost: O(text + expanded nodes).
  static YamlDocument parse(std::string_view text, std::vector<YamlFault>& faults);

  const json::Value& value() const { return value_; }

  // Where `path` stands: the key of a member, the beginning of a list item. A path that leads
  // nowhere gives its deepest existing part.
  Position locate(const Path& path) const;

  // `path` as people read it: policy[2].rate.burst. Cost: O(path x members).
  std::string display(const Path& path) const;

 private:
  std::shared_ptr<const TreeNode> root_;
  json::Value value_;
};

// Splits "policy[2].rate" into its steps.
Path split_display_path(std::string_view text);

// Splits a JSON pointer (RFC 6901) into its steps.
Path split_json_pointer(std::string_view text);

}  // namespace state_engine::config

#endif  // STATE_ENGINE_CONFIG_YAML_DOCUMENT_H_
