// What the generated types must refuse: each @ts-expect-error is itself an error if they do not.

import type * as wire from "../../clients/typescript/src/index.ts";

export const accepted: wire.MutationResult = {
  mutationId: "m-1",
  status: "accepted",
  key: "stream.state",
  op: "set",
  version: 1,
  duplicate: false,
  unconditional: true,
};

// @ts-expect-error status is a closed set
export const badStatus: wire.MutationResult = { ...accepted, status: "maybe" };

// @ts-expect-error codes are a closed set
export const badCode: wire.MutationResult = { ...accepted, code: "no_such_code" };

// @ts-expect-error int64 is a number
export const badVersion: wire.MutationResult = { ...accepted, version: "1" };

// @ts-expect-error key, version and the rest are always there
export const badSnapshot: wire.StateSnapshot = { value: 1 };

// @ts-expect-error value is JSON
export const badValue: wire.JsonValue = { f: () => 1 };

// @ts-expect-error the binary companions are not on the JSON wire
export type Companion = wire.StateSnapshot["valueJson"];

// Optional fields may be absent, ttl of a snapshot is null instead.
export const ttl: number | null = ({} as wire.StateSnapshot).ttl;
export const maybe: number | undefined = accepted.seq;
