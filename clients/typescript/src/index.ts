// Types of state-engine's JSON wire.
export type * from "./types.ts";
