#include "store/memory/memory_state_store.h"
#include "tests/conformance/state_store_suite.h"

namespace state_engine::test {
namespace {

class MemoryHome final : public StoreHome {
 public:
  std::unique_ptr<StateStore> open() override {
    return std::make_unique<MemoryStateStore>("engine-1");
  }
};

INSTANTIATE_TEST_SUITE_P(Memory, StateStoreSuite,
                         testing::Values(StoreKind{
                             "memory", [] { return std::make_unique<MemoryHome>(); }, false}),
                         store_name);

}  // namespace
}  // namespace state_engine::test
