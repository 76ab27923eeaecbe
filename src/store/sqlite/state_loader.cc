// Both readers fill pages as the index keeps them; the one that goes down turns each page round.

#include "store/sqlite/state_loader.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>

#include "store/sqlite/row_codec.h"

namespace state_engine::sqlite {
namespace {

// After so many pages (some ten thousand keys) a second thread is worth its start.
constexpr std::size_t kPagesAlone = 256;

// How far each of the two has come.
class Meeting {
 public:
  // Each returns true once the two have met. `key`: the last one that the caller has read.
  bool reached_from_below(std::string_view key) {
    const std::lock_guard lock(mutex_);
    below_ = key;
    return above_ && below_ >= *above_;
  }
  bool reached_from_above(std::string_view key) {
    const std::lock_guard lock(mutex_);
    above_ = key;
    return below_ >= *above_;
  }

 private:
  std::mutex mutex_;
  std::string below_;
  std::optional<std::string> above_;
};

// Reads pages from one end. `full` is called with the last key of each page; true = enough.
Status read_pages(Database& database, bool from_below, LoadedState& out,
                  const std::function<bool(std::string_view last_key)>& full) {
  auto select = database.prepare(fmt::format("SELECT {} FROM folded_state ORDER BY key{}",
                                             kStateColumns, from_below ? "" : " DESC"),
                                 false);
  if (!select.ok()) return std::move(select).error();
  SnapshotPage page;
  const auto keep = [&] {
    if (page.size() == 0) return;
    if (from_below) page.shrink();
    out.pages.push_back(from_below ? std::move(page) : page.reversed());
    page = SnapshotPage{};
  };
  while (true) {
    const int code = select->step();
    if (code == SQLITE_DONE) break;
    if (code != SQLITE_ROW) return database.to_error(code, "load the state");
    const auto row = pack_snapshot(*select, page);
    if (!row.ok()) return row.error();
    if (row->expires_at) out.deadlines.push_back({*row->expires_at, std::string(row->key)});
    if (!page.is_full()) continue;
    const bool enough = full(row->key);
    keep();
    if (enough) return {};
  }
  keep();
  return {};
}

std::string_view last_key(const SnapshotPage& page) { return page.at(page.size() - 1).key(); }

// Adds what `above`, read from the greatest key down, has beyond `below`.
void join(LoadedState& below, LoadedState above) {
  const std::string last(below.pages.empty() ? std::string_view() : last_key(below.pages.back()));
  std::reverse(above.pages.begin(), above.pages.end());
  for (SnapshotPage& page : above.pages) {
    if (last_key(page) <= last) continue;
    std::size_t first = page.lower_bound(last);
    if (page.at(first).key() == last) ++first;
    below.pages.push_back(first == 0 ? std::move(page) : page.part(first, page.size()));
  }
  for (LoadedState::Deadline& item : above.deadlines) {
    if (item.key > last) below.deadlines.push_back(std::move(item));
  }
}

}  // namespace

Result<LoadedState> load_state(Database& database,
                               const std::function<Result<Database>()>& open_another) {
  Meeting meeting;
  LoadedState below;
  LoadedState above;
  Status from_above;
  std::thread other;
  const Status from_below = read_pages(database, true, below, [&](std::string_view key) {
    if (below.pages.size() + 1 == kPagesAlone && std::thread::hardware_concurrency() > 1) {
      other = std::thread([&] {
        auto another = open_another();
        from_above = !another.ok() ? Status(another.error())
                                   : read_pages(*another, false, above, [&](std::string_view at) {
                                       return meeting.reached_from_above(at);
                                     });
      });
    }
    return meeting.reached_from_below(key);
  });
  if (other.joinable()) other.join();
  if (!from_below.ok()) return from_below.error();
  if (!from_above.ok()) return from_above.error();
  join(below, std::move(above));
  return below;
}

}  // namespace state_engine::sqlite
