// generate_types DESCRIPTOR_SET: writes TypeScript types of the JSON wire to standard output.
//
// Reads what protoc --include_imports --include_source_info --descriptor_set_out makes of the
// schemas, comments included, and follows the rules of options.proto: a field
// without `optional` is always there, int64 is a number, `*_json` fields are of the binary encoding
// only. The result is checked in as clients/typescript/src/types.ts; the test typescript_types
// compares it, the target typescript_types_update renews it.

#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <state_engine/v1/options.pb.h>

namespace state_engine {
namespace {

namespace pb = google::protobuf;
using pb::FieldDescriptor;

constexpr const char* kHead =
    R"(// The JSON wire of state-engine. Generated from proto/state_engine/v1 by
// clients/typescript/generator; do not edit. Renew: cmake --build BUILD --target
// typescript_types_update

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
export interface JsonObject {
  [name: string]: JsonValue;
}

/** RFC 3339 in UTC with three decimals: "2026-11-22T18:30:00.250Z". */
export type Timestamp = string;
)";

// The comment before a schema element as a JSDoc block, indented.
template <typename Element>
std::string doc_comment(const Element& element, const std::string& indent) {
  pb::SourceLocation location;
  if (!element.GetSourceLocation(&location) || location.leading_comments.empty()) return "";
  std::vector<std::string> lines;
  std::string line;
  for (const char c : location.leading_comments) {
    if (c != '\n') {
      line += c;
      continue;
    }
    lines.push_back(line);
    line.clear();
  }
  if (!line.empty()) lines.push_back(line);
  if (lines.size() == 1) return indent + "/**" + lines.front() + " */\n";
  std::string out = indent + "/**\n";
  for (const std::string& text : lines) out += indent + " *" + text + '\n';
  return out + indent + " */\n";
}

// "EgressEvent.Ingress" -> "EgressEventIngress".
template <typename Element>
std::string type_name(const Element& element) {
  std::string name = element.full_name().substr(element.file()->package().size() + 1);
  std::erase(name, '.');
  return name;
}

std::string message_type(const pb::Descriptor& type) {
  if (type.full_name() == "google.protobuf.Value") return "JsonValue";
  if (type.full_name() == "google.protobuf.Struct") return "JsonObject";
  if (type.full_name() == "google.protobuf.Timestamp") return "Timestamp";
  return type_name(type);
}

std::string element_type(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "boolean";
    case FieldDescriptor::CPPTYPE_STRING:
      return "string";
    case FieldDescriptor::CPPTYPE_ENUM:
      return type_name(*field.enum_type());
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return message_type(*field.message_type());
    default:
      return "number";
  }
}

void print_field(std::ostream& out, const FieldDescriptor& field) {
  const auto& options = field.options();
  if (options.GetExtension(v1::binary_only)) return;
  const bool is_null = options.GetExtension(v1::null_when_absent);
  const bool may_be_absent = field.is_repeated() ? options.GetExtension(v1::absent_when_empty)
                                                 : field.has_optional_keyword() && !is_null;
  out << doc_comment(field, "  ") << "  " << field.json_name() << (may_be_absent ? "?" : "") << ": "
      << element_type(field) << (field.is_repeated() ? "[]" : "") << (is_null ? " | null" : "")
      << ";\n";
}

void print_message(std::ostream& out, const pb::Descriptor& message) {
  for (int i = 0; i < message.nested_type_count(); ++i) {
    print_message(out, *message.nested_type(i));
  }
  out << '\n' << doc_comment(message, "") << "export interface " << type_name(message) << " {\n";
  for (int i = 0; i < message.field_count(); ++i) print_field(out, *message.field(i));
  out << "}\n";
}

// A union of strings; the zero value only says "not set" and is never on the wire.
void print_enum(std::ostream& out, const pb::EnumDescriptor& type) {
  out << '\n' << doc_comment(type, "") << "export type " << type_name(type) << " =";
  for (int i = 0; i < type.value_count(); ++i) {
    const pb::EnumValueDescriptor& value = *type.value(i);
    if (value.number() == 0) continue;
    out << '\n' << doc_comment(value, "  ") << "  | \"" << value.name() << '"';
  }
  out << ";\n";
}

int run(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  pb::FileDescriptorSet files;
  if (!in || !files.ParseFromIstream(&in)) {
    std::cerr << path << ": no descriptor set of protoc\n";
    return 1;
  }
  pb::DescriptorPool pool;
  std::cout << kHead;
  for (const pb::FileDescriptorProto& proto : files.file()) {  // imports come before importers
    const pb::FileDescriptor* const file = pool.BuildFile(proto);
    if (file == nullptr) return 1;
    if (file->package() != "state_engine.v1") continue;
    for (int i = 0; i < file->enum_type_count(); ++i) print_enum(std::cout, *file->enum_type(i));
    for (int i = 0; i < file->message_type_count(); ++i) {
      print_message(std::cout, *file->message_type(i));
    }
  }
  std::cout.flush();
  return std::cout ? 0 : 1;
}

}  // namespace
}  // namespace state_engine

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: generate_types DESCRIPTOR_SET > types.ts\n";
    return 2;
  }
  return state_engine::run(argv[1]);
}
