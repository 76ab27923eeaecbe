#include "tests/conformance/sqlite_home.h"
#include "tests/conformance/state_store_suite.h"

namespace state_engine::test {
namespace {

INSTANTIATE_TEST_SUITE_P(Sqlite, StateStoreSuite,
                         testing::Values(StoreKind{
                             "sqlite", [] { return std::make_unique<SqliteHome>(); }, true}),
                         store_name);

}  // namespace
}  // namespace state_engine::test
