// SectionReader: typed reading of the JSON value of a configuration, collecting faults.
//
// Each read_* returns nothing after it has reported why; callers just go on, so that one run
// reports everything.

#ifndef STATE_ENGINE_CONFIG_SECTION_READER_H_
#define STATE_ENGINE_CONFIG_SECTION_READER_H_

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "config/yaml_document.h"

namespace state_engine::config {

struct PathFault {
  Path path;
  std::string message;
};

class SectionReader {
 public:
  explicit SectionReader(std::vector<PathFault>& faults) : faults_(faults) {}

  void fault(Path path, std::string message) {
    faults_.push_back({std::move(path), std::move(message)});
  }
  // "expected a list, found string"
  void wrong_type(const Path& path, std::string_view expected, const json::Value& found);

  const json::Object* object(const json::Value& value, const Path& path);
  const json::Array* list(const json::Value& value, const Path& path, std::string_view of_what);
  std::vector<std::string> strings(const json::Value& value, const Path& path,
                                   std::string_view of_what);
  // Empty after a fault.
  std::string text(const json::Value& value, const Path& path);
  // False after a fault.
  bool flag(const json::Value& value, const Path& path);
  std::optional<double> number(const json::Value& value, const Path& path);
  // A number of seconds, to the millisecond.
  std::optional<std::chrono::milliseconds> seconds(const json::Value& value, const Path& path);

 private:
  std::vector<PathFault>& faults_;
};

Path operator/(Path path, std::string_view step);
Path operator/(Path path, std::size_t index);

// One key of a map: its name and what reads its value.
struct SectionKey {
  std::string_view name;
  std::function<void(const json::Value&, const Path&)> read;
};

// Reads the members of `object` by the table `keys`; unknown ones are faults with a suggestion.
void read_members(const json::Object& object, const Path& path, std::span<const SectionKey> keys,
                  SectionReader& reader);

}  // namespace state_engine::config

#endif  // STATE_ENGINE_CONFIG_SECTION_READER_H_
