#include "ports/state_store.h"

#include "base/assert.h"

namespace state_engine {

std::string_view to_string(EffectState state) {
  switch (state) {
    case EffectState::kPending:
      return "pending";
    case EffectState::kSent:
      return "sent";
    case EffectState::kNoSubscriber:
      return "no_subscriber";
  }
  SE_UNREACHABLE();
}

StateStore::Awaitable<Result<LoadedState>> StateStore::load_state() {
  constexpr std::size_t kTogether = 4096;
  LoadedState out;
  std::string after;
  while (true) {
    auto some = co_await scan_snapshots(after, kTogether);
    if (!some.ok()) co_return some.error();
    if (some->empty()) co_return out;
    after = some->back()->key;
    for (const SnapshotPtr& snapshot : *some) {
      if (out.pages.empty() || out.pages.back().is_full()) out.pages.emplace_back();
      out.pages.back().append(snapshot);
      if (snapshot->deleted || !snapshot->expires_at) continue;
      out.deadlines.push_back({*snapshot->expires_at, snapshot->key});
    }
  }
}

}  // namespace state_engine
