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

}  // namespace state_engine
