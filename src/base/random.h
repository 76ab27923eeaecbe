// Randomness behind a seam, and the ids made from it.

#ifndef STATE_ENGINE_BASE_RANDOM_H_
#define STATE_ENGINE_BASE_RANDOM_H_

#include <cstdint>
#include <span>
#include <string>

#include "base/time.h"

namespace state_engine {

// A source of random bytes. Threads: safe from any thread unless an implementation says otherwise.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::uint8_t> bytes) = 0;
};

// The operating system's generator (getrandom), asked for some bytes ahead by each thread. Aborts
// if the system has none. Not for use on both sides of a fork().
class SystemRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> bytes) override;
};

// A seeded generator for tests and the simulation: same seed, same bytes. Threads: one.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(std::span<std::uint8_t> bytes) override;
  // splitmix64, public domain algorithm by S. Vigna.
  std::uint64_t next();
  // A number in [0, bound). REQUIRES: bound > 0.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }

 private:
  std::uint64_t state_;
};

// A version 4 UUID (RFC 9562) in its 36-character text form.
std::string new_uuid(Random& random);

// A version 7 UUID (RFC 9562): it begins with `now` in milliseconds, so ids made one after another
// lie side by side in an index.
std::string new_ordered_uuid(Random& random, Timestamp now);

// Lower-case hexadecimal of `byte_count` random bytes.
std::string random_hex(Random& random, std::size_t byte_count);

}  // namespace state_engine

#endif  // STATE_ENGINE_BASE_RANDOM_H_
