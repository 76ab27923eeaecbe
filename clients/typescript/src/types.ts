// The JSON wire of state-engine. Generated from proto/state_engine/v1 by
// clients/typescript/generator; do not edit. Renew: cmake --build BUILD --target
// typescript_types_update

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
export interface JsonObject {
  [name: string]: JsonValue;
}

/** RFC 3339 in UTC with three decimals: "2026-11-22T18:30:00.250Z". */
export type Timestamp = string;

/** What a mutation does to its key. */
export type Op =
  /** Creates or replaces the value. */
  | "set"
  /** Removes the value; the version still grows. */
  | "delete"
  /** Adds a number to a number; a missing key counts as 0. */
  | "increment"
  /** Appends to an array; a missing key counts as []. */
  | "push"
  /** JSON merge patch (RFC 7396); a missing key counts as {}. */
  | "merge"
  /** A ttl ran out. Only the engine itself commits it. */
  | "expire";

export type MutationStatus =
  | "accepted"
  | "rejected";

/** Why a mutation did not happen. docs/errors.md says what each means and what to do next. */
export type RejectionCode =
  | "invalid_proposal"
  | "key_not_allowed"
  | "actor_not_allowed"
  | "invalid_value"
  | "type_mismatch"
  | "not_found"
  | "version_conflict"
  | "too_large"
  | "rate_limited"
  | "id_reused"
  | "rule_budget_exceeded"
  | "transaction_aborted"
  | "dead_letter"
  | "unavailable"
  | "precondition_failed";

export interface ChangeEvent {
  seq: number;
  engineId: string;
  key: string;
  op: Op;
  version: number;
  /** Null after delete and expire. */
  value: JsonValue;
  /** The value before; null if the key was absent. */
  prev: JsonValue;
  actor: string;
  reason: string;
  mutationId: string;
  causationId?: string;
  correlationId?: string;
  committedAt: Timestamp;
}

export interface Effect {
  /** Stable: a redelivery carries the same id and the same bytes. */
  id: string;
  ruleId: string;
  /** The mutation that fired the rule, and its place in the log. */
  causeId: string;
  causeSeq: number;
  /** The payload's own type, for example "system.stream.online". */
  type: string;
  payload: JsonValue;
  correlationId?: string;
  createdAt: Timestamp;
}

/** How the event entered the platform. */
export interface EgressEventIngress {
  ingressAt: Timestamp;
  source: string;
  connector: string;
}

export interface EgressEventExternalIdentity {
  id: string;
  platform: string;
}

export interface EgressEventIdentity {
  external: EgressEventExternalIdentity;
}

/** Who is to deliver it. `connector` names the service: "twitch", "obs", "system", ... */
export interface EgressEventEgress {
  destination: string;
  connector: string;
  channel?: string;
}

export interface EgressEventMessage {
  id: string;
  role: string;
  text: string;
}

/** A text offered for chat; the lowest priority number is delivered. */
export interface EgressEventCandidate {
  id: string;
  kind: string;
  source: string;
  createdAt: Timestamp;
  status: string;
  priority: number;
  text: string;
}

export interface EgressEventAnnotation {
  id: string;
  kind: string;
  label?: string;
  source: string;
  createdAt: Timestamp;
  value?: JsonValue;
}

/** No steps are left: the event goes straight to its egress. */
export interface EgressEventRouting {
  stage: string;
  slip: JsonValue[];
  history: JsonValue[];
}

/** Where the event comes from; not part of InternalEventV2. */
export interface EgressEventCause {
  effectId: string;
  ruleId: string;
  mutationId: string;
  seq: number;
}

export interface EgressEvent {
  /** "2". */
  v: string;
  correlationId: string;
  type: string;
  ingress: EgressEventIngress;
  identity: EgressEventIdentity;
  egress: EgressEventEgress;
  message?: EgressEventMessage;
  candidates: EgressEventCandidate[];
  /** What the rule's payload says beyond the envelope. */
  payload: JsonObject;
  annotations: EgressEventAnnotation[];
  routing: EgressEventRouting;
  cause: EgressEventCause;
}

/** A key that a rule looked at beside the one that changed. */
export interface RuleRead {
  key: string;
  version: number;
}

/** What one rule did on this change. */
export interface RuleRecord {
  ruleId: string;
  ruleHash: string;
  matched: boolean;
  /** How many effects it published and mutations it proposed. */
  effects: number;
  derived: number;
  reads: RuleRead[];
  /** Why its condition could not be evaluated. */
  error?: string;
  /** Why it did not fire although its condition was as it waits for. */
  held?: string;
}

export interface MutationLogEntry {
  id: string;
  op: Op;
  key: string;
  value?: JsonValue;
  actor: string;
  reason: string;
  expectedVersion?: number;
  ts: Timestamp;
  ttl?: number;
  metadata?: JsonObject;
  correlationId?: string;
  causationId?: string;
  traceparent?: string;
  /** The position in this engine's log; strictly increasing. */
  seq: number;
  engineId: string;
  /** Who authenticated; `actor` is who that speaks for. */
  principal: string;
  /** False if `actor` is the proposer's own word. */
  actorVerified: boolean;
  status: MutationStatus;
  /** Set if rejected. */
  code?: RejectionCode;
  error?: string;
  /** The key's version before; 0 = never set. */
  previousVersion: number;
  /** The key's version after; set if accepted. */
  resultingVersion?: number;
  committedAt: Timestamp;
  /** The policy that decided, and the pattern in it that matched. */
  policyRevision: string;
  policyRule?: string;
  ruleRevision: string;
  /** The transaction that this is a member of. */
  transactionId?: string;
  rules: RuleRecord[];
  /** What makes "the same proposal" (hex). */
  payloadHash: string;
  /** The value after this entry; absent if rejected, deleted or expired. */
  resultingValue?: JsonValue;
  /** Blinds the digests of the values in the chain (hex). */
  salt: string;
  /** The chain: SHA-256 in hex; 64 zeros before the first entry. */
  prevHash: string;
  hash: string;
}

export interface MutationProposal {
  /**
   * The idempotency key, 1 to 128 characters, a UUID by default. The same id with the same payload
   * (actor, op, key, value, expectedVersion, ttl) gets the same answer for ever.
   */
  id: string;
  /** set, delete, increment, push or merge. */
  op: Op;
  /** A dotted name such as "stream.state", 1 to 512 bytes. */
  key: string;
  /** The operand; required unless op is delete. Null is a value. */
  value?: JsonValue;
  /** Who proposes. Where the engine authenticates the caller, the credential's actor replaces it. */
  actor: string;
  /** Why, in words; kept in the log. */
  reason: string;
  /**
   * Commit only if the key has this version; 0 = the key must be absent. Without it the last writer
   * wins.
   */
  expectedVersion?: number;
  /** When the proposer made it; information only. Filled in on arrival when absent. */
  ts?: Timestamp;
  /** Seconds from the commit until the value expires; may be fractional. */
  ttl?: number;
  /** Anything the proposer wants in the log. Unknown fields of the JSON form are kept here. */
  metadata?: JsonObject;
  /** The conversation that this change belongs to. */
  correlationId?: string;
  /** The event or mutation that caused this one. */
  causationId?: string;
  /** W3C Trace Context. */
  traceparent?: string;
}

export interface StateSnapshot {
  key: string;
  value: JsonValue;
  /** Dense per key, from 1; deletes and expiries count. */
  version: number;
  updatedAt: Timestamp;
  /** The actor of the mutation that made this version. */
  updatedBy: string;
  /** Seconds that the value was given to live; null if it does not expire. */
  ttl: number | null;
  /** When it expires, or expired. */
  expiresAt?: Timestamp;
  /** The position in the engine's log of the mutation that made this version. */
  seq: number;
  mutationId: string;
  /** Why, in the words of that mutation. */
  reason: string;
  metadata: JsonObject;
  /**
   * True for the tombstone of a deleted or expired key; its value is null. Reads do not show
   * tombstones, conflict answers and exports do.
   */
  deleted?: boolean;
}

export interface MutationResult {
  mutationId: string;
  status: MutationStatus;
  /** Set if rejected. */
  code?: RejectionCode;
  /** Why, for people; set if rejected. */
  error?: string;
  key: string;
  op: Op;
  /** The key's version after this mutation; absent if nothing was committed. */
  version?: number;
  /** The key's version before it; 0 = absent. */
  previousVersion?: number;
  /** The position in the log; absent for answers that are no decisions and for dry runs. */
  seq?: number;
  committedAt?: Timestamp;
  /** True if an earlier delivery of the same id was already decided: this is that answer. */
  duplicate: boolean;
  /** True if accepted without expectedVersion: the last writer won. */
  unconditional: boolean;
  /** On version_conflict: the whole current snapshot, to decide again at once. Absent if the key is. */
  current?: StateSnapshot;
  /** On rate_limited and unavailable: when to send the same proposal again. */
  retryAfterMs?: number;
  /** True if nothing was committed because only the outcome was asked for. */
  dryRun?: boolean;
  /** Mutations that rules proposed because of this one. */
  derived?: MutationResult[];
  /** What rules published, or would publish in a dry run. */
  effects?: Effect[];
}

/** The answer to a transaction: all members accepted, or none. */
export interface TransactionResult {
  transactionId: string;
  status: MutationStatus;
  /** The failing member's code; set if rejected. */
  code?: RejectionCode;
  /** Why, for people; set if rejected. */
  error?: string;
  /** Which member failed, from 0. */
  failedIndex?: number;
  /** In the order of the request. */
  members: MutationResult[];
  duplicate: boolean;
  dryRun?: boolean;
  retryAfterMs?: number;
  derived?: MutationResult[];
  effects?: Effect[];
}
