// The fake first: what the emulator and it agree on is what the fault tests may rely on.

#include "tests/conformance/firestore_home.h"
#include "tests/support/fake_firestore.h"

namespace state_engine::test {
namespace {

class FakeHome final : public StoreHome {
 public:
  std::unique_ptr<StateStore> open() override { return home_.open(); }

 private:
  FakeFirestore server_;
  FirestoreHome home_{server_.address()};
};

INSTANTIATE_TEST_SUITE_P(FakeFirestore, StateStoreSuite,
                         testing::Values(StoreKind{
                             .name = "firestore",
                             .make_home = [] { return std::make_unique<FakeHome>(); },
                             .persistent = true,
                             .any_bytes = false}),
                         store_name);

}  // namespace
}  // namespace state_engine::test
