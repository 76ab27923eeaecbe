#include "tests/conformance/sqlite_home.h"
#include "tests/conformance/state_store_suite.h"

namespace state_engine::test {
namespace {

// Commits that carry the fold of those before them (store/sqlite/log_folder.h).
std::unique_ptr<StoreHome> home_that_folds() {
  auto home = std::make_unique<SqliteHome>();
  home->unfolded_entries_max = 2;
  return home;
}

INSTANTIATE_TEST_SUITE_P(
    Sqlite, StateStoreSuite,
    testing::Values(StoreKind{"sqlite", [] { return std::make_unique<SqliteHome>(); }, true},
                    StoreKind{"sqlite_folding", home_that_folds, true}),
    store_name);

}  // namespace
}  // namespace state_engine::test
