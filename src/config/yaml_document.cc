// The tree keeps positions and shares aliased nodes; the JSON value is expanded from it under a
// budget, so that a few lines of nested aliases cannot fill the memory.

#include "config/yaml_document.h"

#include <algorithm>
#include <charconv>
#include <exception>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "base/limits.h"
#include "config/yaml_reader.h"

namespace state_engine::config {
namespace {

using TreeNode = YamlDocument::TreeNode;

// Expands the tree to a JSON value. Aliases are copied; the budget bounds the copies.
class Expansion {
 public:
  bool expand(const TreeNode& node, json::Value& out, int depth) {
    if (++nodes_ > limits::kConfigNodesMax || depth > limits::kConfigDepthMax) return false;
    switch (node.kind) {
      case TreeNode::Kind::kScalar:
        out = node.scalar;
        return true;
      case TreeNode::Kind::kList: {
        json::Array& array = out.emplace_array();
        array.reserve(node.items.size());
        return std::all_of(node.items.begin(), node.items.end(), [&](const auto& item) {
          return expand(*item, array.emplace_back(nullptr), depth + 1);
        });
      }
      case TreeNode::Kind::kMap: {
        json::Object& object = out.emplace_object();
        object.reserve(node.members.size());
        return std::all_of(node.members.begin(), node.members.end(), [&](const auto& member) {
          return expand(*member.node, object[member.name], depth + 1);
        });
      }
    }
    return false;
  }

 private:
  std::size_t nodes_ = 0;
};

std::optional<std::size_t> list_index(std::string_view step) {
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
  if (error != std::errc() || end != step.data() + step.size()) return std::nullopt;
  return index;
}

// The child of `node` that `step` names, and where it stands; null if there is none.
const TreeNode* child_of(const TreeNode& node, const std::string& step, Position& position) {
  if (node.kind == TreeNode::Kind::kMap) {
    const TreeNode::Member* member = node.find(step);
    if (member == nullptr) return nullptr;
    position = member->position;
    return member->node.get();
  }
  const auto index = list_index(step);
  if (node.kind != TreeNode::Kind::kList || !index || *index >= node.items.size()) return nullptr;
  position = node.items[*index]->position;
  return node.items[*index].get();
}

void parse_events(std::string_view text, YamlReader& reader, std::vector<YamlFault>& faults) {
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    parser.HandleNextDocument(reader);
    const auto first_root = reader.root();
    std::vector<YamlFault> ignored;
    YamlReader rest(ignored);
    if (parser.HandleNextDocument(rest)) {
      const Position where = rest.root() ? rest.root()->position : Position{};
      faults.push_back({where, {}, "a second document begins here; expected only one"});
    }
  } catch (const YAML::Exception& error) {
    const Position where =
        error.mark.is_null() ? Position{} : Position{error.mark.line + 1, error.mark.column + 1};
    faults.push_back({where, {}, fmt::format("this is not YAML: {}", error.msg)});
  } catch (const std::exception& error) {
    if (faults.empty()) faults.push_back({{}, {}, fmt::format("cannot read: {}", error.what())});
  }
}

}  // namespace

YamlDocument YamlDocument::parse(std::string_view text, std::vector<YamlFault>& faults) {
  YamlDocument document;
  if (text.size() > limits::kConfigBytesMax) {
    faults.push_back({{},
                      {},
                      fmt::format("the file has {} bytes; at most {} are read", text.size(),
                                  limits::kConfigBytesMax)});
    return document;
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (!json::is_utf8(text) || text.find('\0') != std::string_view::npos) {
    faults.push_back({{}, {}, "the file is not UTF-8 text"});
    return document;
  }
  YamlReader reader(faults);
  parse_events(text, reader, faults);
  document.root_ = reader.root();
  if (document.root_ == nullptr) return document;
  Expansion expansion;
  if (!expansion.expand(*document.root_, document.value_, 0)) {
    faults.push_back(
        {document.root_->position,
         {},
         fmt::format("aliases make this larger than {} values or deeper than {} levels",
                     limits::kConfigNodesMax, limits::kConfigDepthMax)});
    document.value_ = nullptr;
  }
  return document;
}

Position YamlDocument::locate(const Path& path) const {
  if (root_ == nullptr) return {};
  Position position = root_->position;
  const TreeNode* node = root_.get();
  for (const std::string& step : path) {
    node = child_of(*node, step, position);
    if (node == nullptr) break;
  }
  return position;
}

std::string YamlDocument::display(const Path& path) const {
  std::string text;
  const TreeNode* node = root_.get();
  Position ignored;
  for (const std::string& step : path) {
    if (node != nullptr && node->kind == TreeNode::Kind::kList) {
      text += fmt::format("[{}]", step);
    } else {
      text += text.empty() ? step : "." + step;
    }
    if (node != nullptr) node = child_of(*node, step, ignored);
  }
  return text;
}

Path split_display_path(std::string_view text) {
  Path path;
  std::string step;
  const auto flush = [&] {
    if (!step.empty()) path.push_back(std::move(step));
    step.clear();
  };
  for (const char c : text) {
    if (c == '.' || c == '[' || c == ']') {
      flush();
    } else {
      step += c;
    }
  }
  flush();
  return path;
}

Path split_json_pointer(std::string_view text) {
  Path path;
  while (text.starts_with('/')) {
    text.remove_prefix(1);
    const std::size_t end = std::min(text.find('/'), text.size());
    std::string step;
    for (std::size_t i = 0; i < end; ++i) {
      const bool escaped =
          text[i] == '~' && i + 1 < end && (text[i + 1] == '0' || text[i + 1] == '1');
      step += escaped ? (text[i + 1] == '0' ? '~' : '/') : text[i];
      if (escaped) ++i;
    }
    path.push_back(std::move(step));
    text.remove_prefix(end);
  }
  return path;
}

}  // namespace state_engine::config
