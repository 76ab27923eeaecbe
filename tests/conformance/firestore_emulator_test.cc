// The same promises on the vendor's emulator, which one process serves to all cases.

#include "tests/support/firestore_emulator.h"

#include <cstdio>

#include "tests/conformance/firestore_home.h"

namespace state_engine::test {
namespace {

std::unique_ptr<FirestoreEmulator> emulator;  // NOLINT: made by main, for all cases

INSTANTIATE_TEST_SUITE_P(
    FirestoreEmulator, StateStoreSuite,
    testing::Values(StoreKind{
        .name = "firestore",
        .make_home = [] { return std::make_unique<FirestoreHome>(emulator->address()); },
        .persistent = true,
        .any_bytes = false}),
    store_name);

}  // namespace
}  // namespace state_engine::test

int main(int argc, char** argv) {
  using state_engine::test::FirestoreEmulator;
  testing::InitGoogleTest(&argc, argv);
  auto started = FirestoreEmulator::start();
  if (const auto* absent = std::get_if<FirestoreEmulator::Absent>(&started)) {
    std::printf("SKIP: %s\n", absent->reason.c_str());
    return 77;
  }
  state_engine::test::emulator = std::move(std::get<std::unique_ptr<FirestoreEmulator>>(started));
  const int result = RUN_ALL_TESTS();
  state_engine::test::emulator.reset();
  return result;
}
