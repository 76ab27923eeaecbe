// Every limit of the system, in one place. Over a limit: a clear rejection, and nothing is lost.

#ifndef STATE_ENGINE_BASE_LIMITS_H_
#define STATE_ENGINE_BASE_LIMITS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace state_engine::limits {

// What one proposal may hold.
inline constexpr std::size_t kKeyBytesMax = 512;
inline constexpr std::size_t kValueBytesMax = 256 * 1024;
inline constexpr std::size_t kReasonBytesMax = 4 * 1024;
inline constexpr std::size_t kIdCharsMax = 128;
inline constexpr std::size_t kTransactionIdCharsMax = 120;  // leaves room for ":<i>"
inline constexpr std::size_t kActorBytesMax = 256;
inline constexpr std::size_t kTraceBytesMax = 512;  // correlationId, causationId, traceparent
inline constexpr std::size_t kProposalBytesMax = 1024 * 1024;
inline constexpr std::size_t kTransactionMembersMax = 64;

// What JSON text may hold, checked while parsing.
inline constexpr int kJsonDepthMax = 64;
inline constexpr std::size_t kJsonNodesMax = 10'000;
inline constexpr std::size_t kJsonStringBytesMax = 256 * 1024;

// What one read returns at most.
inline constexpr std::size_t kReadKeysMax = 100;
inline constexpr std::size_t kPrefixPageMax = 500;
inline constexpr std::size_t kPrefixPageDefault = 100;
inline constexpr std::size_t kHistoryPageMax = 500;
inline constexpr std::size_t kHistoryPageDefault = 50;
inline constexpr std::size_t kCursorsPinnedMax = 64;

// The engine.
inline constexpr std::size_t kEngineQueueMax = 4096;  // proposals waiting for the writer
inline constexpr std::size_t kCommitBatchMax = 256;   // proposals in one durable commit
inline constexpr std::size_t kCommitBatchBytesMax = 8 * 1024 * 1024;
inline constexpr int kRuleDepthMax = 8;                  // rounds of derived mutations
inline constexpr int kRuleFiringsMax = 1000;             // per root mutation
inline constexpr std::size_t kWaitsEndedTogether = 256;  // waits of rules (`for`) in one commit
inline constexpr std::size_t kRecentRules = 256;  // evaluations kept that fired, and that did not
inline constexpr int kRuleNestingMax = 256;       // nested operators of one condition
inline constexpr std::size_t kOutboxRowsInMemoryMax = 1000;
inline constexpr std::chrono::hours kOutboxSentKept{24};
inline constexpr std::chrono::milliseconds kExpiryLatenessMax{100};

// Patterns of a policy schema (std::regex backtracks).
inline constexpr std::size_t kPatternInputCharsMax = 1024;

// A configuration file. Nodes are counted after aliases are expanded.
inline constexpr std::size_t kConfigBytesMax = 16 * 1024 * 1024;
inline constexpr std::size_t kConfigNodesMax = 2'000'000;
inline constexpr int kConfigDepthMax = 200;

// HTTP.
inline constexpr std::size_t kHttpHeaderBytesMax = 16 * 1024;
inline constexpr std::size_t kHttpBodyBytesMax = 1024 * 1024;
inline constexpr std::size_t kHttpConnectionsMax = 2048;
inline constexpr std::chrono::seconds kHttpHeaderTimeout{5};
inline constexpr std::chrono::seconds kHttpBodyTimeout{10};
inline constexpr std::chrono::seconds kHttpIdleTimeout{120};
inline constexpr std::chrono::seconds kSseKeepAlive{15};

static_assert(kValueBytesMax < kProposalBytesMax);
static_assert(kTraceBytesMax >= kIdCharsMax * 4);  // causationId holds any id
static_assert(kJsonStringBytesMax >= kValueBytesMax);
static_assert(kTransactionIdCharsMax + 4 <= kIdCharsMax);
static_assert(kProposalBytesMax <= kHttpBodyBytesMax);

}  // namespace state_engine::limits

#endif  // STATE_ENGINE_BASE_LIMITS_H_
