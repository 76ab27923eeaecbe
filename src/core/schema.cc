// JSON Schema draft-7 through valijson with its Boost.JSON adapter.
//
// Before valijson sees a schema, this file walks it: a keyword that valijson would skip silently
// is an error here, references must stay inside the schema, and a schema that uses regular
// expressions bounds the strings it may be asked about (std::regex backtracks and recurses).

#include "core/schema.h"

#include <algorithm>
#include <array>
#include <exception>
#include <regex>
#include <vector>

#include <fmt/format.h>
#include <valijson/adapters/boost_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "base/limits.h"

namespace state_engine {
namespace {

using valijson::adapters::BoostJsonAdapter;

// Keywords whose value is one schema.
constexpr std::array kSchemaKeywords = {std::string_view("additionalItems"),
                                        std::string_view("additionalProperties"),
                                        std::string_view("contains"),
                                        std::string_view("else"),
                                        std::string_view("if"),
                                        std::string_view("not"),
                                        std::string_view("propertyNames"),
                                        std::string_view("then")};

// Keywords whose value is a list of schemas.
constexpr std::array kListKeywords = {std::string_view("allOf"), std::string_view("anyOf"),
                                      std::string_view("oneOf")};

// Keywords whose value maps names to schemas.
constexpr std::array kMapKeywords = {std::string_view("definitions"),
                                     std::string_view("patternProperties"),
                                     std::string_view("properties")};

// Keywords that hold no schema.
constexpr std::array kPlainKeywords = {std::string_view("$comment"),
                                       std::string_view("$id"),
                                       std::string_view("$ref"),
                                       std::string_view("$schema"),
                                       std::string_view("const"),
                                       std::string_view("default"),
                                       std::string_view("description"),
                                       std::string_view("enum"),
                                       std::string_view("examples"),
                                       std::string_view("exclusiveMaximum"),
                                       std::string_view("exclusiveMinimum"),
                                       std::string_view("maxItems"),
                                       std::string_view("maxLength"),
                                       std::string_view("maxProperties"),
                                       std::string_view("maximum"),
                                       std::string_view("minItems"),
                                       std::string_view("minLength"),
                                       std::string_view("minProperties"),
                                       std::string_view("minimum"),
                                       std::string_view("multipleOf"),
                                       std::string_view("pattern"),
                                       std::string_view("readOnly"),
                                       std::string_view("required"),
                                       std::string_view("title"),
                                       std::string_view("type"),
                                       std::string_view("uniqueItems"),
                                       std::string_view("writeOnly")};

template <std::size_t kSize>
bool contains(const std::array<std::string_view, kSize>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::size_t kSchemaShown = 300;

// Walks a schema and reports its first fault.
class SchemaCheck {
 public:
  explicit SchemaCheck(const json::Value& root) : root_(root) {}

  Status check(const json::Value& schema, const std::string& path) {
    if (schema.is_bool()) return {};
    if (!schema.is_object()) {
      return invalid_argument(
          fmt::format("{}: expected a schema (an object or a boolean), found {}", shown(path),
                      json::type_name(schema)));
    }
    const json::Object& object = schema.get_object();
    for (const auto& [name, value] : object) {
      SE_RETURN_IF_ERROR(check_keyword(object, name, value, path + "/" + std::string(name)));
    }
    return {};
  }

  bool uses_patterns() const { return uses_patterns_; }

 private:
  static std::string shown(const std::string& path) { return path.empty() ? "/" : path; }

  Status check_keyword(const json::Object& owner, std::string_view name, const json::Value& value,
                       const std::string& path) {
    if (contains(kSchemaKeywords, name)) return check(value, path);
    if (contains(kListKeywords, name)) return check_list(value, path);
    if (contains(kMapKeywords, name)) return check_map(name, value, path);
    if (name == "items") return value.is_array() ? check_list(value, path) : check(value, path);
    if (name == "dependencies") return check_dependencies(value, path);
    if (name == "pattern") return check_pattern(owner, value, path);
    if (name == "$ref") return check_reference(value, path);
    if (contains(kPlainKeywords, name)) return {};
    return invalid_argument(
        fmt::format("{}: '{}' is no keyword of JSON Schema draft-7 that is checked here; remove it",
                    path, name));
  }

  Status check_list(const json::Value& value, const std::string& path) {
    if (!value.is_array()) return invalid_argument(path + ": expected a list of schemas");
    std::size_t index = 0;
    for (const auto& item : value.get_array()) {
      SE_RETURN_IF_ERROR(check(item, path + "/" + std::to_string(index++)));
    }
    return {};
  }

  Status check_map(std::string_view name, const json::Value& value, const std::string& path) {
    if (!value.is_object()) return invalid_argument(path + ": expected an object of schemas");
    if (name == "patternProperties") uses_patterns_ = true;
    for (const auto& [member, schema] : value.get_object()) {
      const std::string here = path + "/" + std::string(member);
      if (name == "patternProperties") SE_RETURN_IF_ERROR(check_regex(member, here));
      SE_RETURN_IF_ERROR(check(schema, here));
    }
    return {};
  }

  Status check_dependencies(const json::Value& value, const std::string& path) {
    if (!value.is_object()) return invalid_argument(path + ": expected an object");
    for (const auto& [member, schema] : value.get_object()) {
      if (schema.is_array()) continue;
      SE_RETURN_IF_ERROR(check(schema, path + "/" + std::string(member)));
    }
    return {};
  }

  // valijson compiles a pattern when a value first meets it, which is too late to refuse it.
  static Status check_regex(std::string_view text, const std::string& path) {
    try {
      const std::regex compiled(text.begin(), text.end(), std::regex::ECMAScript);
    } catch (const std::regex_error& fault) {
      return invalid_argument(fmt::format("{}: not a regular expression: {}", path, fault.what()));
    }
    return {};
  }

  Status check_pattern(const json::Object& owner, const json::Value& value,
                       const std::string& path) {
    uses_patterns_ = true;
    if (!value.is_string()) return invalid_argument(path + ": expected a regular expression");
    SE_RETURN_IF_ERROR(check_regex(std::string_view(value.get_string()), path));
    const auto length = json::find_int(owner, "maxLength");
    const auto most = static_cast<std::int64_t>(limits::kPatternInputCharsMax);
    if (!length || *length > most) {
      return invalid_argument(
          fmt::format("{}: a pattern needs \"maxLength\" of at most {} beside it", path, most));
    }
    return {};
  }

  Status check_reference(const json::Value& value, const std::string& path) {
    const json::Value* target = target_of(value);
    if (target == nullptr) {
      return invalid_argument(
          path + ": only references to a place inside the schema (\"#/...\") are followed");
    }
    std::vector<const json::Value*> open;
    if (!returns_to_itself(*target, open)) return {};
    return invalid_argument(path + ": the reference leads back to itself for the same value");
  }

  // The schema that `reference` names, or null.
  const json::Value* target_of(const json::Value& reference) const {
    if (!reference.is_string()) return nullptr;
    const std::string_view text = reference.get_string();
    if (text != "#" && !text.starts_with("#/")) return nullptr;
    boost::system::error_code fault;
    return root_.find_pointer(text.substr(1), fault);
  }

  // True if judging a value by `schema` means judging the same value by it again. References that
  // only meet again further inside the value (a tree of nodes) are fine.
  bool returns_to_itself(const json::Value& schema, std::vector<const json::Value*>& open) const {
    if (!schema.is_object()) return false;
    if (std::find(open.begin(), open.end(), &schema) != open.end()) return true;
    open.push_back(&schema);
    bool found = false;
    for (const auto& [name, value] : schema.get_object()) {
      if (name == "$ref") {
        const json::Value* target = target_of(value);
        found = found || (target != nullptr && returns_to_itself(*target, open));
      } else if (contains(kListKeywords, name) && value.is_array()) {
        for (const auto& item : value.get_array()) found = found || returns_to_itself(item, open);
      } else if (name == "not" || name == "if" || name == "then" || name == "else") {
        found = found || returns_to_itself(value, open);
      }
    }
    open.pop_back();
    return found;
  }

  const json::Value& root_;
  bool uses_patterns_ = false;
};

// True if a string or member name anywhere in `value` is too long for a regular expression.
bool has_long_string(const json::Value& value) {
  const auto too_long = [](std::string_view text) {
    return text.size() > limits::kPatternInputCharsMax;
  };
  if (value.is_string()) return too_long(value.get_string());
  if (value.is_array()) {
    return std::any_of(value.get_array().begin(), value.get_array().end(), has_long_string);
  }
  if (value.is_object()) {
    return std::any_of(value.get_object().begin(), value.get_object().end(), [&](const auto& m) {
      return too_long(m.key()) || has_long_string(m.value());
    });
  }
  return false;
}

// `schema` is shown whole if it is short: whoever proposed can then repair the value at once.
std::string describe(valijson::ValidationResults& results, const json::Value& schema) {
  valijson::ValidationResults::Error error;
  std::string text;
  // valijson reports the innermost fault first and its parents after it.
  for (int shown = 0; shown < 3 && results.popError(error); ++shown) {
    std::string where;
    for (const std::string& part : error.context) {
      if (part != "<root>") where += part;
    }
    if (!text.empty()) text += "; ";
    text += where.empty() ? error.description : where + ": " + error.description;
  }
  if (text.empty()) text = "the value does not match";
  if (const std::string shown = json::write(schema); shown.size() <= kSchemaShown) {
    text += "; the schema is " + shown;
  }
  return text;
}

}  // namespace

struct ValueSchema::Compiled {
  json::Value source;  // valijson's enum and const constraints copy what they need; kept for $ref
  valijson::Schema schema;
  bool uses_patterns = false;
};

ValueSchema::ValueSchema(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
ValueSchema::~ValueSchema() = default;

Result<std::shared_ptr<const ValueSchema>> ValueSchema::compile(const json::Value& schema) {
  SchemaCheck check(schema);
  if (Status status = check.check(schema, ""); !status.ok()) return status.error();
  auto compiled = std::make_unique<Compiled>();
  compiled->source = schema;
  compiled->uses_patterns = check.uses_patterns();
  try {
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    parser.populateSchema(BoostJsonAdapter(compiled->source), compiled->schema);
  } catch (const std::exception& fault) {
    return invalid_argument(fmt::format("not a usable schema: {}", fault.what()));
  }
  return std::shared_ptr<const ValueSchema>(new ValueSchema(std::move(compiled)));
}

std::optional<std::string> ValueSchema::check(const json::Value& value) const {
  if (compiled_->uses_patterns && has_long_string(value)) {
    return fmt::format(
        "a string is longer than the {} characters that a schema with a pattern allows",
        limits::kPatternInputCharsMax);
  }
  try {
    // Strong types: "5" is no number.
    valijson::Validator validator(valijson::Validator::kStrongTypes);
    valijson::ValidationResults results;
    if (validator.validate(compiled_->schema, BoostJsonAdapter(value), &results)) {
      return std::nullopt;
    }
    return describe(results, compiled_->source);
  } catch (const std::exception& fault) {
    return fmt::format("the schema could not be applied: {}", fault.what());
  }
}

}  // namespace state_engine
