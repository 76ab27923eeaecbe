// Mutator: makes broken inputs out of good ones, the same ones for the same seed.

#ifndef STATE_ENGINE_TESTS_FUZZ_MUTATOR_H_
#define STATE_ENGINE_TESTS_FUZZ_MUTATOR_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"

namespace state_engine {

class Mutator {
 public:
  // `words` are put in here and there: what the parser under test looks for.
  Mutator(std::uint64_t seed, std::vector<std::string> corpus, std::vector<std::string> words)
      : random_(seed), corpus_(std::move(corpus)), words_(std::move(words)) {}

  // One input: a member of the corpus with a few changes. Now and then it is unchanged.
  std::string next() {
    std::string text = pick(corpus_);
    for (std::uint64_t changes = random_.below(6); changes > 0; --changes) change(text);
    return text;
  }

 private:
  static constexpr std::size_t kBytesMax = 64 * 1024;

  const std::string& pick(const std::vector<std::string>& from) {
    return from[static_cast<std::size_t>(random_.below(from.size()))];
  }

  std::size_t place(const std::string& text) {
    return static_cast<std::size_t>(random_.below(text.size() + 1));
  }

  void change(std::string& text) {
    const std::size_t at = place(text);
    const std::size_t length = static_cast<std::size_t>(random_.below(16)) + 1;
    switch (random_.below(7)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(random_.below(256));
        return;
      case 1:
        text.insert(at, 1, static_cast<char>(random_.below(256)));
        return;
      case 2:
        text.erase(at, length);
        return;
      case 3:
        text.insert(at, pick(words_));
        return;
      case 4:
        text.insert(at, text.substr(place(text), length * 4));
        break;
      case 5: {
        const std::string other = pick(corpus_);
        text = text.substr(0, at) + other.substr(place(other));
        break;
      }
      default: {
        // The same word many times: depth, counts, lengths.
        const std::string word = pick(words_);
        for (std::uint64_t i = random_.below(200); i > 0; --i) text.insert(at, word);
      }
    }
    if (text.size() > kBytesMax) text.resize(kBytesMax);
  }

  SeededRandom random_;
  const std::vector<std::string> corpus_;
  const std::vector<std::string> words_;
};

}  // namespace state_engine

#endif  // STATE_ENGINE_TESTS_FUZZ_MUTATOR_H_
