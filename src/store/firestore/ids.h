// Document ids and sortable texts: how keys, mutation ids and orders become Firestore names.
//
// A key or id is its own document id where Firestore allows that, as the reference writes it.
// Otherwise the id is "h_" and the SHA-256 of the original, which the document then holds.

#ifndef STATE_ENGINE_STORE_FIRESTORE_IDS_H_
#define STATE_ENGINE_STORE_FIRESTORE_IDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace state_engine::firestore {

// True if `text` may stand as a document id as it is: 1-1,000 bytes of UTF-8 without "/" and
// control characters, not "." or "..", not of the form __x__ and not of the form of a hashed id.
bool is_plain_id(std::string_view text);

// REQUIRES: `original` is UTF-8.
std::string document_id(std::string_view original);

// Orders by (text, number): "<text>\n<19 digits>". One field with the automatic index stands for
// the index over two fields that an operator would otherwise have to create.
std::string sortable(std::string_view text, std::int64_t number);

// The least text that is greater than every text that begins with `prefix`, in byte order; nothing
// if there is none that is UTF-8.
std::optional<std::string> after_prefix(std::string_view prefix);

// The longest beginning of `text` that is UTF-8.
std::string_view utf8_beginning(std::string_view text);

}  // namespace state_engine::firestore

#endif  // STATE_ENGINE_STORE_FIRESTORE_IDS_H_
