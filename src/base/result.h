// Result<T> and Status: the value of an operation, or why the system could not do it.
//
// A rejected mutation is not an Error: it is a decision that goes into the log (core/decision.h).
// An Error says what the system failed to do. Its code tells the caller what to do next; its
// message is for people, is never parsed and never holds a secret.

#ifndef STATE_ENGINE_BASE_RESULT_H_
#define STATE_ENGINE_BASE_RESULT_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/assert.h"

namespace state_engine {

enum class ErrorCode {
  kInvalidArgument,     // The input is wrong; the same call never succeeds.
  kNotFound,            // The named thing does not exist.
  kConflict,            // The state moved on: read again, decide again.
  kFailedPrecondition,  // Someone has to change something first.
  kPermissionDenied,    // The caller may not do this.
  kResourceExhausted,   // A limit is reached: later, or smaller.
  kUnavailable,         // No effect; retry with backoff.
  kDeadlineExceeded,    // The outcome is unknown: look it up.
  kCancelled,           // The caller or a shutdown gave up.
  kDataLoss,            // Stored data is damaged: stop.
  kInternal,            // A fault of ours.
};

// The stable lower-case name of a code, for logs and JSON ("invalid_argument").
std::string_view to_string(ErrorCode code);

struct Error {  // NOLINT(clang-analyzer-core.uninitialized.Assign)
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

inline Error invalid_argument(std::string message) {
  return {ErrorCode::kInvalidArgument, std::move(message)};
}

// Holds a T or an Error.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return std::holds_alternative<T>(state_); }

  // REQUIRES: ok().
  T& value() & {
    SE_ASSERT(ok());
    return std::get<T>(state_);
  }
  const T& value() const& {
    SE_ASSERT(ok());
    return std::get<T>(state_);
  }
  T&& value() && {
    SE_ASSERT(ok());
    return std::get<T>(std::move(state_));
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }

  // REQUIRES: !ok().
  const Error& error() const& {
    SE_ASSERT(!ok());
    return std::get<Error>(state_);
  }
  Error&& error() && {
    SE_ASSERT(!ok());
    return std::get<Error>(std::move(state_));
  }

 private:
  std::variant<T, Error> state_;
};

// Success, or an Error.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return !error_.has_value(); }

  // REQUIRES: !ok().
  const Error& error() const {
    SE_ASSERT(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace state_engine

// Returns the error of `expression` (a Status or Result) from the enclosing function, if it failed.
// Statement macros, not statement expressions: g++ 12 crashes on those around co_await.
#define SE_RETURN_IF_ERROR(expression)                    \
  do {                                                    \
    if (auto se_status = (expression); !se_status.ok()) { \
      return std::move(se_status).error();                \
    }                                                     \
  } while (false)

#define SE_CO_RETURN_IF_ERROR(expression)                 \
  do {                                                    \
    if (auto se_status = (expression); !se_status.ok()) { \
      co_return std::move(se_status).error();             \
    }                                                     \
  } while (false)

#endif  // STATE_ENGINE_BASE_RESULT_H_
