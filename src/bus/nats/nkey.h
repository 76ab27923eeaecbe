// The public key that belongs to an NKey seed: the library wants both, people keep the seed only.

#ifndef STATE_ENGINE_BUS_NATS_NKEY_H_
#define STATE_ENGINE_BUS_NATS_NKEY_H_

#include <string>
#include <string_view>

#include "base/result.h"

namespace state_engine::nats {

// "SUA..." -> "UB...". Errors: kInvalidArgument, without a part of the seed.
Result<std::string> nkey_public(std::string_view seed);

// The same for the first seed in a file. Errors: also a file that cannot be read.
Result<std::string> nkey_public_of_file(const std::string& path);

}  // namespace state_engine::nats

#endif  // STATE_ENGINE_BUS_NATS_NKEY_H_
