// The tree behind a YamlDocument, from yaml-cpp's events. yaml-cpp tells a plain scalar ("?") from
// a quoted one ("!") by its tag; the meaning of plain scalars is decided here, not by yaml-cpp,
// whose conversions follow YAML 1.1 ("on" and "yes" would be booleans).

#include "config/yaml_reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

#include "base/limits.h"

namespace state_engine::config {
namespace {

constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

Position position_of(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

bool all_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

template <typename Number>
std::optional<Number> read_number(std::string_view text, int base) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<json::Value> read_double(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range || !std::isfinite(number)) return std::nullopt;
  return json::Value(number);
}

std::optional<json::Value> read_integer(std::string_view text, int base) {
  if (const auto number = read_number<std::int64_t>(text, base)) return json::Value(*number);
  if (const auto number = read_number<std::uint64_t>(text, base)) return json::Value(*number);
  return std::nullopt;
}

// True for the core schema's [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
bool is_core_float(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  const std::size_t e = text.find_first_of("eE");
  if (e != std::string_view::npos) {
    std::string_view exponent = text.substr(e + 1);
    if (exponent.starts_with('-') || exponent.starts_with('+')) exponent.remove_prefix(1);
    if (!all_digits(exponent)) return false;
    text = text.substr(0, e);
  }
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos) return all_digits(text);
  const std::string_view whole = text.substr(0, dot);
  const std::string_view decimals = text.substr(dot + 1);
  if (whole.empty()) return all_digits(decimals);
  return all_digits(whole) && (decimals.empty() || all_digits(decimals));
}

bool one_of(std::string_view text, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

bool is_not_finite(std::string_view text) {
  if (one_of(text, {".nan", ".NaN", ".NAN"})) return true;
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return one_of(text, {".inf", ".Inf", ".INF"});
}

}  // namespace

Scalar resolve_plain_scalar(const std::string& text, json::Value& out) {
  const std::string_view view = text;
  out = text;
  if (one_of(view, {"", "~", "null", "Null", "NULL"})) {
    out = nullptr;
  } else if (one_of(view, {"true", "True", "TRUE"})) {
    out = true;
  } else if (one_of(view, {"false", "False", "FALSE"})) {
    out = false;
  } else if (is_not_finite(view)) {
    return Scalar::kNoJson;
  } else if (view.starts_with("0x") || view.starts_with("0o")) {
    const auto number = read_integer(view.substr(2), view[1] == 'x' ? 16 : 8);
    if (number && view.size() > 2 && view[2] != '-') out = *number;
  } else if (is_core_float(view)) {
    std::string_view digits = view;
    if (digits.starts_with('+')) digits.remove_prefix(1);
    auto number = read_integer(digits, 10);
    if (!number) number = read_double(digits);
    if (!number) return Scalar::kNoJson;
    out = *number;
  }
  return Scalar::kValue;
}

const YamlDocument::TreeNode::Member* YamlDocument::TreeNode::find(std::string_view name) const {
  for (const Member& member : members) {
    if (member.name == name) return &member;
  }
  return nullptr;
}

void YamlReader::fault(Position position, std::string message) {
  faults_.push_back({position, path(), std::move(message)});
}

Path YamlReader::path() const {
  Path path;
  for (const Open& open : stack_) {
    if (open.node->kind == TreeNode::Kind::kList) {
      path.push_back(std::to_string(open.node->items.size()));
    } else if (open.has_name) {
      path.push_back(open.name);
    }
  }
  return path;
}

void YamlReader::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  auto node = std::make_shared<TreeNode>();
  node->position = position_of(mark);
  if (anchor != 0) anchors_[anchor] = node;
  place(std::move(node), false);
}

void YamlReader::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  const auto known = anchors_.find(anchor);
  if (known != anchors_.end()) {
    place(known->second, false);
    return;
  }
  fault(position_of(mark), "this alias stands inside its own anchor; expected a finished value");
  auto node = std::make_shared<TreeNode>();
  node->position = position_of(mark);
  place(std::move(node), false);
}

void YamlReader::OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                          const std::string& text) {
  auto node = std::make_shared<TreeNode>();
  node->position = position_of(mark);
  node->scalar = text;
  bool plain = tag == "?" || tag.empty();
  if (tag.starts_with(kTagPrefix)) {
    const std::string_view name = std::string_view(tag).substr(kTagPrefix.size());
    plain = one_of(name, {"int", "float", "bool", "null"});
    if (!plain && name != "str") fault(node->position, fmt::format("unknown tag !!{}", name));
  } else if (!plain && tag != "!") {
    fault(node->position, fmt::format("unknown tag '{}'; remove it", tag));
  }
  if (plain && resolve_plain_scalar(text, node->scalar) == Scalar::kNoJson) {
    fault(node->position,
          fmt::format("{} is no number that JSON can hold; expected a finite one", text));
  }
  if (!json::is_utf8(text)) {
    fault(node->position, "this text is not UTF-8");
    node->scalar = nullptr;
  }
  if (anchor != 0) anchors_[anchor] = node;
  place(std::move(node), plain && text == "<<");
}

void YamlReader::OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                                 YAML::anchor_t anchor, YAML::EmitterStyle::value) {
  open(TreeNode::Kind::kList, mark, tag, anchor);
}

void YamlReader::OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                            YAML::EmitterStyle::value) {
  open(TreeNode::Kind::kMap, mark, tag, anchor);
}

void YamlReader::OnSequenceEnd() { close(); }
void YamlReader::OnMapEnd() { close(); }

void YamlReader::open(TreeNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
                      YAML::anchor_t anchor) {
  const std::string_view expected = kind == TreeNode::Kind::kMap ? "map" : "seq";
  const std::string full = std::string(kTagPrefix) + std::string(expected);
  if (!one_of(tag, {"", "?", "!", full})) {
    fault(position_of(mark), fmt::format("unknown tag '{}'; remove it", tag));
  }
  if (stack_.size() >= static_cast<std::size_t>(limits::kConfigDepthMax)) {
    fault(position_of(mark), fmt::format("nested deeper than {} levels", limits::kConfigDepthMax));
    throw std::length_error("depth");  // ends the parse; caught in YamlDocument::parse
  }
  Open open;
  open.node = std::make_shared<TreeNode>();
  open.node->kind = kind;
  open.node->position = position_of(mark);
  open.anchor = anchor;
  stack_.push_back(std::move(open));
}

void YamlReader::close() {
  Open done = std::move(stack_.back());
  stack_.pop_back();
  if (done.anchor != 0) anchors_[done.anchor] = done.node;
  place(std::move(done.node), false);
}

void YamlReader::place(std::shared_ptr<const TreeNode> node, bool plain_merge_name) {
  if (stack_.empty()) {
    root_ = std::move(node);
    return;
  }
  Open& open = stack_.back();
  if (open.node->kind == TreeNode::Kind::kList) {
    open.node->items.push_back(std::move(node));
  } else if (!open.has_name) {
    place_name(open, *node, plain_merge_name);
  } else {
    place_member(open, std::move(node));
  }
}

void YamlReader::place_name(Open& map, const TreeNode& name, bool plain_merge_name) {
  map.name = "?";
  map.name_position = name.position;
  map.skip = false;
  map.merge = plain_merge_name;
  if (name.kind != TreeNode::Kind::kScalar) {
    fault(name.position, "a key must be a plain name, not a list or map");
    map.skip = true;
  } else {
    map.name =
        name.scalar.is_string() ? std::string(name.scalar.get_string()) : json::write(name.scalar);
  }
  const TreeNode::Member* earlier = map.merge ? nullptr : map.node->find(map.name);
  map.has_name = true;
  if (earlier != nullptr && !earlier->merged) {
    fault(name.position, fmt::format("'{}' appears twice; the first is at line {}", map.name,
                                     earlier->position.line));
    map.skip = true;
  }
}

void YamlReader::place_member(Open& map, std::shared_ptr<const TreeNode> node) {
  if (map.merge) {
    merge(map, *node);
  } else if (!map.skip) {
    std::erase_if(map.node->members, [&](const auto& m) { return m.name == map.name; });
    map.node->members.push_back({map.name, map.name_position, std::move(node), false});
  }
  map.has_name = false;
}

void YamlReader::merge(Open& map, const TreeNode& source) {
  if (source.kind == TreeNode::Kind::kList) {
    for (const auto& item : source.items) {
      if (item->kind == TreeNode::Kind::kMap) {
        merge(map, *item);
      } else {
        fault(item->position, "only maps can be merged with '<<'");
      }
    }
    return;
  }
  if (source.kind != TreeNode::Kind::kMap) {
    fault(map.name_position, "only maps can be merged with '<<'");
    return;
  }
  for (const TreeNode::Member& member : source.members) {
    if (map.node->find(member.name) != nullptr) continue;
    TreeNode::Member copy = member;
    copy.merged = true;
    map.node->members.push_back(std::move(copy));
  }
}

}  // namespace state_engine::config
