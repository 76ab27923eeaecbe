// ArgumentReader: strict, typed reading of tool arguments.
//
// A tool reads each argument it knows, then calls finish(). Every fault found on the way (missing,
// wrong type, out of range, unknown name) is collected and told at once, in words that let a model
// correct its call. Types are strict: "5" is not a number, 1.5 is not an integer, null counts as
// absent for optional arguments only.
//
//   ArgumentReader reader(arguments, "get_history");
//   auto key = reader.optional_string("key", {.bytes_max = 512});
//   auto limit = reader.optional_int("limit", 1, 500);
//   if (auto fault = reader.finish()) co_return ToolResult::error(*fault);
//
// Ownership: the arguments, and the names passed in (literals, as a rule), outlive the reader.
// Threads: one.

#ifndef STATE_ENGINE_MCP_PROTOCOL_ARGUMENTS_H_
#define STATE_ENGINE_MCP_PROTOCOL_ARGUMENTS_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace state_engine::mcp {

struct StringRule {
  std::size_t bytes_min = 0;
  std::size_t bytes_max = 4096;
  std::vector<std::string_view> one_of = {};  // empty: any text
};

struct StringListRule {
  std::size_t items_min = 0;
  std::size_t items_max = 100;
  std::size_t item_bytes_max = 4096;
};

class ArgumentReader {
 public:
  // `path` prefixes argument names in messages ("mutations[2]."); empty at the top.
  ArgumentReader(const json::Object& arguments, std::string_view tool, std::string path = {});

  // The argument, or a neutral value ("" / 0 / nullptr / {}) with the fault noted.
  std::string required_string(std::string_view name, const StringRule& rule = {});
  std::int64_t required_int(std::string_view name,
                            std::int64_t min = std::numeric_limits<std::int64_t>::min(),
                            std::int64_t max = std::numeric_limits<std::int64_t>::max());
  const json::Value* required_value(std::string_view name);  // any JSON, null included
  std::vector<std::string> required_string_list(std::string_view name,
                                                const StringListRule& rule = {});
  // The elements of an array of objects, in order.
  std::vector<const json::Object*> required_object_list(std::string_view name,
                                                        std::size_t items_min,
                                                        std::size_t items_max);

  // The argument, or nullopt when absent, null, or (with the fault noted) wrong.
  std::optional<std::string> optional_string(std::string_view name, const StringRule& rule = {});
  std::optional<std::int64_t> optional_int(
      std::string_view name, std::int64_t min = std::numeric_limits<std::int64_t>::min(),
      std::int64_t max = std::numeric_limits<std::int64_t>::max());
  std::optional<double> optional_number(std::string_view name);
  std::optional<bool> optional_bool(std::string_view name);
  std::optional<std::vector<std::string>> optional_string_list(std::string_view name,
                                                               const StringListRule& rule = {});
  const json::Object* optional_object(std::string_view name);
  // nullptr when absent; an explicit null is returned as such.
  const json::Value* optional_value(std::string_view name);

  bool has(std::string_view name) const;

  // Notes a fault that only the tool can see; it counts like the reader's own.
  void add_fault(std::string_view name, std::string_view expected);
  // Takes over the faults of a reader of a nested object.
  void add_faults_of(ArgumentReader& nested);

  // Checks for unknown arguments; returns one text naming every fault, or nullopt if all is well.
  std::optional<std::string> finish();

 private:
  const json::Value* take(std::string_view name);
  const json::Value* take_present(std::string_view name);
  const json::Value* take_required(std::string_view name, std::string_view expected);
  void wrong_type(std::string_view name, std::string_view expected, const json::Value& seen);
  std::string checked_string(std::string_view name, const json::Value& value,
                             const StringRule& rule, bool& good);
  std::optional<std::vector<std::string>> checked_list(std::string_view name,
                                                       const json::Value& value,
                                                       const StringListRule& rule);
  void check_unknown();

  const json::Object& arguments_;
  std::string tool_;
  std::string path_;
  std::vector<std::string_view> known_;
  std::vector<std::string> faults_;
};

}  // namespace state_engine::mcp

#endif  // STATE_ENGINE_MCP_PROTOCOL_ARGUMENTS_H_
