// The fields of one document, written and read by name.
//
// A value that Firestore cannot hold natively is stored as null, beside a field `<name>Json` with
// its exact text; that one wins when it is read.

#ifndef STATE_ENGINE_STORE_FIRESTORE_FIELD_CODEC_H_
#define STATE_ENGINE_STORE_FIRESTORE_FIELD_CODEC_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <google/firestore/v1/document.pb.h>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace state_engine::firestore {

using Document = google::firestore::v1::Document;

// Writes fields into a document. Text that is not UTF-8 is a fault: Firestore has no place for it.
class FieldWriter {
 public:
  explicit FieldWriter(Document& document) : document_(document) {}

  void text(const char* name, std::string_view text);
  void text_unless_empty(const char* name, std::string_view text) {
    if (!text.empty()) this->text(name, text);
  }
  void integer(const char* name, std::int64_t number);
  void boolean(const char* name, bool value);
  void null(const char* name);
  // RFC 3339 text; outside the years 0 to 9999 an integer of milliseconds.
  void time(const char* name, Timestamp time);
  // Seconds, an integer if there is no fraction, as the reference writes a ttl.
  void seconds(const char* name, std::chrono::milliseconds duration);
  void json(const char* name, const json::Value& value);

  // Names the first field that could not be written.
  const Status& status() const { return status_; }

 private:
  google::firestore::v1::Value& field(const char* name);

  Document& document_;
  Status status_;
};

// Reads fields leniently: a document may have been written by the reference or by a person.
// Only exact text that does not parse is a fault.
class FieldReader {
 public:
  explicit FieldReader(const Document& document) : document_(document) {}

  // The last part of the document's name.
  std::string_view document_id() const;

  bool has(const char* name) const { return find(name) != nullptr; }
  std::string text(const char* name) const;  // "" if absent or no text
  std::optional<std::int64_t> integer(const char* name) const;
  bool boolean(const char* name, bool otherwise) const;
  // Text, a native timestamp or milliseconds.
  std::optional<Timestamp> time(const char* name) const;
  std::optional<std::chrono::milliseconds> seconds(const char* name) const;
  // Nothing if neither `name` nor its Json companion is there.
  std::optional<json::Value> json(const char* name);

  // kDataLoss, naming the document, if a field is damaged.
  const Status& status() const { return status_; }
  Error damaged(std::string_view what) const;

 private:
  const google::firestore::v1::Value* find(const char* name) const;

  const Document& document_;
  Status status_;
};

}  // namespace state_engine::firestore

#endif  // STATE_ENGINE_STORE_FIRESTORE_FIELD_CODEC_H_
