// write_samples TYPES_MODULE [JSONL...]: writes typed TypeScript constants to standard output.
//
// The constants are what the codecs of src/wire emit for fixed and random values, and every line
// {"type": "MutationResult", "value": {...}} of the JSONL files, which other tests record from a
// running engine. The TypeScript compiler then says whether the generated types tell the truth.

#include <fstream>
#include <iostream>
#include <string>

#include "wire/egress.h"
#include "wire/json_codec.h"
#include "wire/wire_random_samples.h"
#include "wire/wire_samples.h"

namespace state_engine::wire {
namespace {

constexpr int kRandomSamples = 25;

void print(const std::string& type, const json::Value& value) {
  static int count = 0;
  std::cout << "export const sample" << ++count << ": wire." << type << " = "
            << json::write_pretty(value) << ";\n";
}

void print_codec_samples() {
  print("MutationProposal", encode_proposal(samples::proposal()));
  print("StateSnapshot", encode_snapshot(samples::snapshot()));
  print("Effect", encode_effect(samples::effect()));
  print("MutationResult", encode_result(samples::accepted_result()));
  print("MutationResult", encode_result(samples::conflict_result()));
  print("TransactionResult", encode_transaction_result(samples::transaction_result()));
  print("MutationLogEntry", encode_log_entry(samples::log_entry()));
  print("ChangeEvent", encode_change(samples::change()));
  print("EgressEvent", encode_egress_event(samples::effect()));
  samples::RandomSamples random(20261122, true);
  for (int i = 0; i < kRandomSamples; ++i) {
    print("MutationProposal", encode_proposal(random.proposal()));
    print("StateSnapshot", encode_snapshot(random.snapshot()));
    print("MutationResult", encode_result(random.result(1)));
    print("TransactionResult", encode_transaction_result(random.transaction_result()));
    print("MutationLogEntry", encode_log_entry(random.log_entry()));
    print("ChangeEvent", encode_change(random.change()));
    print("EgressEvent", encode_egress_event(random.effect()));
  }
}

// True if every line was a sample.
bool print_recorded_samples(const std::string& path) {
  std::ifstream in(path);
  if (!in) {
    std::cerr << path << ": cannot be read\n";
    return false;
  }
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const auto sample = json::parse(line, json::trusted_limits());
    const json::Object* const object = sample.ok() ? sample->if_object() : nullptr;
    const auto type = object == nullptr ? std::nullopt : json::find_string(*object, "type");
    const json::Value* const value = object == nullptr ? nullptr : json::find(*object, "value");
    if (!type || value == nullptr) {
      std::cerr << path << ':' << number << ": expected {\"type\": ..., \"value\": ...}\n";
      return false;
    }
    print(*type, *value);
  }
  return true;
}

int run(int argc, char** argv) {
  std::cout << "import type * as wire from \"" << argv[1] << "\";\n";
  print_codec_samples();
  for (int i = 2; i < argc; ++i) {
    if (!print_recorded_samples(argv[i])) return 1;
  }
  std::cout.flush();
  return std::cout ? 0 : 1;
}

}  // namespace
}  // namespace state_engine::wire

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: write_samples TYPES_MODULE [JSONL...] > samples.mts\n";
    return 2;
  }
  return state_engine::wire::run(argc, argv);
}
