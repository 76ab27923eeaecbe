// A snapshot in a page: a Header, ttl and deadline where there are, then its texts without
// anything between them. One that stays an object has only Header and key; `value_size` is its
// place among the objects of the page. Nothing is aligned, so all is read by memcpy.

#include "core/snapshot_page.h"

#include <cstring>
#include <limits>

#include "base/assert.h"

namespace state_engine {
namespace {

enum Flag : std::uint8_t { kDeleted = 1, kHasTtl = 2, kHasDeadline = 4, kWhole = 8 };

struct Header {
  std::int64_t version = 0;
  std::int64_t updated_at = 0;
  std::int64_t seq = 0;
  std::uint32_t value_size = 0;
  std::uint32_t metadata_size = 0;
  std::uint32_t reason_size = 0;
  std::uint16_t key_size = 0;
  std::uint16_t id_size = 0;
  std::uint16_t actor_size = 0;
  std::uint8_t flags = 0;
  std::uint8_t unused = 0;
  std::uint32_t unused_too = 0;
};
static_assert(sizeof(Header) == 48);

Header header_at(const char* at) {
  Header header;
  std::memcpy(&header, at, sizeof header);
  return header;
}

std::int64_t number_at(const char* at) {
  std::int64_t number = 0;
  std::memcpy(&number, at, sizeof number);
  return number;
}

void add_number(std::string& out, std::int64_t number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

// The texts of `snapshot` that are not its own members.
struct Texts {
  std::string value;
  std::string metadata;
};

PackedSnapshot to_packed(const Snapshot& snapshot, Texts& texts) {
  json::write_to(texts.value, snapshot.value);
  if (!snapshot.metadata.empty()) texts.metadata = json::write(snapshot.metadata);
  return {snapshot.key,         texts.value,     snapshot.version,    snapshot.updated_at,
          snapshot.updated_by,  snapshot.ttl,    snapshot.expires_at, snapshot.seq,
          snapshot.mutation_id, snapshot.reason, texts.metadata,      snapshot.deleted};
}

json::Value parsed(std::string_view text) {
  auto value = json::parse(text, json::trusted_limits());
  SE_ASSERT(value.ok());  // (2)
  return std::move(*value);
}

Header header_of(const PackedSnapshot& snapshot) {
  Header header;
  header.version = snapshot.version;
  header.updated_at = to_ms(snapshot.updated_at);
  header.seq = snapshot.seq;
  header.value_size = static_cast<std::uint32_t>(snapshot.value.size());
  header.metadata_size = static_cast<std::uint32_t>(snapshot.metadata.size());
  header.reason_size = static_cast<std::uint32_t>(snapshot.reason.size());
  header.key_size = static_cast<std::uint16_t>(snapshot.key.size());
  header.id_size = static_cast<std::uint16_t>(snapshot.mutation_id.size());
  header.actor_size = static_cast<std::uint16_t>(snapshot.updated_by.size());
  header.flags =
      static_cast<std::uint8_t>((snapshot.deleted ? kDeleted : 0) | (snapshot.ttl ? kHasTtl : 0) |
                                (snapshot.expires_at ? kHasDeadline : 0));
  return header;
}

}  // namespace

// ---- SnapshotRef -----------------------------------------------------------------------------

// The key comes right after the header, so that a search touches no more than it must.
std::string_view SnapshotRef::key() const {
  SE_ASSERT(at_ != nullptr);
  return {at_ + sizeof(Header), header_at(at_).key_size};
}

std::int64_t SnapshotRef::version() const {
  return whole_ != nullptr ? (*whole_)->version : header_at(at_).version;
}

bool SnapshotRef::deleted() const {
  return whole_ != nullptr ? (*whole_)->deleted : (header_at(at_).flags & kDeleted) != 0;
}

bool SnapshotRef::visible_at(Timestamp now) const {
  if (whole_ != nullptr) return (*whole_)->visible_at(now);
  const Header header = header_at(at_);
  if ((header.flags & kDeleted) != 0) return false;
  if ((header.flags & kHasDeadline) == 0) return true;
  const char* at = at_ + sizeof header + header.key_size;
  if ((header.flags & kHasTtl) != 0) at += sizeof(std::int64_t);
  return timestamp_from_ms(number_at(at)) > now;
}

const SnapshotPtr& SnapshotRef::whole() const {
  static const SnapshotPtr kNone;
  return whole_ != nullptr ? *whole_ : kNone;
}

PackedSnapshot SnapshotRef::packed() const {
  SE_ASSERT(at_ != nullptr && whole_ == nullptr);
  const Header header = header_at(at_);
  const char* at = at_ + sizeof header;
  const auto text = [&at](std::size_t size) {
    const std::string_view out(at, size);
    at += size;
    return out;
  };
  PackedSnapshot out;
  out.key = text(header.key_size);
  if ((header.flags & kHasTtl) != 0) {
    out.ttl = std::chrono::milliseconds{number_at(text(sizeof(std::int64_t)).data())};
  }
  if ((header.flags & kHasDeadline) != 0) {
    out.expires_at = timestamp_from_ms(number_at(text(sizeof(std::int64_t)).data()));
  }
  out.version = header.version;
  out.updated_at = timestamp_from_ms(header.updated_at);
  out.seq = header.seq;
  out.mutation_id = text(header.id_size);
  out.updated_by = text(header.actor_size);
  out.reason = text(header.reason_size);
  out.metadata = text(header.metadata_size);
  out.value = text(header.value_size);
  out.deleted = (header.flags & kDeleted) != 0;
  return out;
}

SnapshotPtr SnapshotRef::share() const {
  if (whole_ != nullptr) return *whole_;
  const PackedSnapshot from = packed();
  auto out = std::make_shared<Snapshot>();
  out->key = from.key;
  out->value = parsed(from.value);
  out->version = from.version;
  out->updated_at = from.updated_at;
  out->updated_by = from.updated_by;
  out->ttl = from.ttl;
  out->expires_at = from.expires_at;
  out->seq = from.seq;
  out->mutation_id = from.mutation_id;
  out->reason = from.reason;
  if (!from.metadata.empty()) out->metadata = std::move(parsed(from.metadata).get_object());
  out->deleted = from.deleted;
  return out;
}

// ---- SnapshotPage ----------------------------------------------------------------------------

bool SnapshotPage::fits(const PackedSnapshot& snapshot) {
  constexpr std::size_t kShort = std::numeric_limits<std::uint16_t>::max();
  return snapshot.key.size() <= kShort && snapshot.mutation_id.size() <= kShort &&
         snapshot.updated_by.size() <= kShort &&
         snapshot.value.size() + snapshot.metadata.size() + snapshot.reason.size() <=
             kPackedBytesMax;
}

SnapshotRef SnapshotPage::at(std::size_t index) const {
  SE_ASSERT(index < starts_.size());
  const char* const at = bytes_.data() + starts_[index];
  const Header header = header_at(at);
  if ((header.flags & kWhole) == 0) return {at, nullptr};
  return {at, &wholes_[header.value_size]};
}

std::size_t SnapshotPage::lower_bound(std::string_view key) const {
  std::size_t first = 0;
  std::size_t last = starts_.size();
  while (first < last) {
    const std::size_t middle = (first + last) / 2;
    const char* const at = bytes_.data() + starts_[middle];
    const std::string_view there(at + sizeof(Header), header_at(at).key_size);
    if (there < key) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return first;
}

void SnapshotPage::append(const PackedSnapshot& snapshot) {
  SE_ASSERT(fits(snapshot));
  const Header header = header_of(snapshot);
  starts_.push_back(static_cast<std::uint32_t>(bytes_.size()));
  bytes_.append(reinterpret_cast<const char*>(&header), sizeof header);
  bytes_.append(snapshot.key);
  if (snapshot.ttl) add_number(bytes_, snapshot.ttl->count());
  if (snapshot.expires_at) add_number(bytes_, to_ms(*snapshot.expires_at));
  bytes_.append(snapshot.mutation_id);
  bytes_.append(snapshot.updated_by);
  bytes_.append(snapshot.reason);
  bytes_.append(snapshot.metadata);
  bytes_.append(snapshot.value);
}

void SnapshotPage::append(const SnapshotPtr& snapshot) {
  SE_ASSERT(snapshot != nullptr);
  Texts texts;
  if (const PackedSnapshot small = to_packed(*snapshot, texts); fits(small)) {
    append(small);
    return;
  }
  Header header;
  header.flags = kWhole;
  header.key_size = static_cast<std::uint16_t>(snapshot->key.size());
  SE_ASSERT(header.key_size == snapshot->key.size());
  header.value_size = static_cast<std::uint32_t>(wholes_.size());
  starts_.push_back(static_cast<std::uint32_t>(bytes_.size()));
  bytes_.append(reinterpret_cast<const char*>(&header), sizeof header);
  bytes_.append(snapshot->key);
  wholes_.push_back(snapshot);
}

void SnapshotPage::append_range(const SnapshotPage& from, std::size_t first, std::size_t last) {
  if (first == last) return;
  const std::size_t begin = from.starts_[first];
  const std::size_t moved = bytes_.size() - begin;  // wraps where the new place is further ahead
  const std::size_t count = starts_.size();
  bytes_.append(from.bytes_, begin, from.end_of(last - 1) - begin);
  for (std::size_t i = first; i < last; ++i) {
    starts_.push_back(static_cast<std::uint32_t>(from.starts_[i] + moved));
  }
  if (from.wholes_.empty()) return;
  for (std::size_t i = count; i < starts_.size(); ++i) {
    Header header = header_at(bytes_.data() + starts_[i]);
    if ((header.flags & kWhole) == 0) continue;
    wholes_.push_back(from.wholes_[header.value_size]);
    header.value_size = static_cast<std::uint32_t>(wholes_.size() - 1);
    std::memcpy(bytes_.data() + starts_[i], &header, sizeof header);
  }
}

SnapshotPage SnapshotPage::with(std::size_t index, bool replace,
                                const SnapshotPtr& snapshot) const {
  SE_ASSERT(index + (replace ? 1 : 0) <= size());
  SnapshotPage out;
  SnapshotPage one;
  one.append(snapshot);
  const std::size_t rest = replace ? index + 1 : index;
  const std::size_t replaced = replace ? end_of(index) - starts_[index] : 0;
  out.bytes_.reserve(bytes_.size() + one.bytes_.size() - replaced);
  out.starts_.reserve(size() + (replace ? 0 : 1));
  out.append_range(*this, 0, index);
  out.append_range(one, 0, 1);
  out.append_range(*this, rest, size());
  return out;
}

SnapshotPage SnapshotPage::part(std::size_t first, std::size_t last) const {
  SnapshotPage out;
  out.append_range(*this, first, last);
  out.shrink();
  return out;
}

SnapshotPage SnapshotPage::reversed() const {
  SnapshotPage out;
  out.bytes_.reserve(bytes_.size());
  out.starts_.reserve(size());
  for (std::size_t i = size(); i-- > 0;) out.append_range(*this, i, i + 1);
  return out;
}

void SnapshotPage::shrink() {
  bytes_.shrink_to_fit();
  starts_.shrink_to_fit();
  wholes_.shrink_to_fit();
}

}  // namespace state_engine
