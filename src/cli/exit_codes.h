// Exit codes of every verb. They are a documented contract: scripts branch on them.

#ifndef STATE_ENGINE_CLI_EXIT_CODES_H_
#define STATE_ENGINE_CLI_EXIT_CODES_H_

#include "base/result.h"

namespace state_engine::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitDenied = 3;
inline constexpr int kExitConflict = 4;
inline constexpr int kExitNotFound = 5;
inline constexpr int kExitThrottled = 6;
inline constexpr int kExitVerificationFailed = 7;

// The exit code of a failed operation.
inline int exit_code(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
      return kExitUsage;
    case ErrorCode::kPermissionDenied:
      return kExitDenied;
    case ErrorCode::kConflict:
      return kExitConflict;
    case ErrorCode::kNotFound:
      return kExitNotFound;
    case ErrorCode::kResourceExhausted:
      return kExitThrottled;
    case ErrorCode::kDataLoss:
      return kExitVerificationFailed;
    case ErrorCode::kFailedPrecondition:
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded:
    case ErrorCode::kCancelled:
    case ErrorCode::kInternal:
      return kExitFailure;
  }
  return kExitFailure;
}

}  // namespace state_engine::cli

#endif  // STATE_ENGINE_CLI_EXIT_CODES_H_
