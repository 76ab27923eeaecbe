// Proposals, answers and changes over NATS. Needs a connection of @nats-io/transport-node (or any
// other that gives a NatsConnection); nothing of that package is imported at run time.

import type { NatsConnection, Subscription } from "@nats-io/nats-core";

import type { ChangeEvent, MutationProposal, MutationResult, StateSnapshot } from "./types.ts";

export interface ClientOptions {
  /** Before every subject, with its dot: "local." */
  prefix?: string;
  /** Who proposes. */
  actor: string;
  /** The engine runs with --nats-actors subject: the actor becomes the last token of the subject. */
  actorInSubject?: boolean;
}

export interface ProposeOptions {
  /** How long to wait for the result in all; 30 s. */
  timeoutMs?: number;
  /** How long to wait before the proposal is sent once more, with the same id; 5 s. */
  retryMs?: number;
}

/** What a caller says; the rest is filled in. */
export type Draft = Pick<MutationProposal, "key" | "reason"> & Partial<MutationProposal>;

export interface StoredProposal {
  proposal: MutationProposal;
  stream: string;
  seq: number;
}

export interface StateRead {
  snapshots: Record<string, StateSnapshot | null>;
  asOfSeq: number;
}

export interface PrefixRead {
  snapshots: Record<string, StateSnapshot>;
  count: number;
  truncated: boolean;
  asOfSeq: number;
  nextAfter?: string;
}

/** The engine or a stream refused a request; `code` is stable. */
export class StateEngineError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "StateEngineError";
    this.code = code;
  }
}

interface Waiter {
  resolve(result: MutationResult): void;
}

interface PubAck {
  stream?: string;
  seq?: number;
  error?: { code?: number; description?: string };
}

const mutationSubject = "internal.state.mutation.v1";
const resultSubject = "internal.state.mutation.result.v1";
const changedSubject = "internal.state.changed.v1";

const sleep = (ms: number) => new Promise<undefined>((wake) => setTimeout(wake, ms));

export class StateEngineClient {
  readonly #nc: NatsConnection;
  readonly #options: ClientOptions;
  readonly #prefix: string;
  readonly #waiters = new Map<string, Waiter[]>();
  #results: Subscription | undefined;

  constructor(nc: NatsConnection, options: ClientOptions) {
    this.#nc = nc;
    this.#options = options;
    this.#prefix = options.prefix ?? "";
  }

  /**
   * Publishes a proposal into the stream. The confirmation says that the stream has it, not that it
   * was accepted. Publish again with the same id after any error: that is harmless.
   */
  async publish(draft: Draft): Promise<StoredProposal> {
    const proposal = this.#complete(draft);
    const subject = this.#prefix + mutationSubject + this.#actorToken();
    const answer = await this.#nc.request(subject, JSON.stringify(proposal), { timeout: 5000 });
    const ack = answer.json<PubAck>();
    if (ack.error || ack.stream === undefined || ack.seq === undefined) {
      throw new StateEngineError("unavailable", ack.error?.description ?? "no stream has it");
    }
    return { proposal, stream: ack.stream, seq: ack.seq };
  }

  /**
   * Publishes a proposal and waits for the engine's decision. While nothing comes it is published
   * again with the same id, so that it is decided once and its answer is never lost.
   */
  async propose(draft: Draft, options: ProposeOptions = {}): Promise<MutationResult> {
    const proposal = this.#complete(draft);
    const deadline = Date.now() + (options.timeoutMs ?? 30_000);
    const result = this.#resultOf(proposal.id);
    try {
      let fault: unknown;
      while (Date.now() < deadline) {
        try {
          await this.publish(proposal);
        } catch (error) {
          fault = error; // away, or not known: the id makes another attempt harmless
        }
        const pause = Math.min(options.retryMs ?? 5000, Math.max(0, deadline - Date.now()));
        const answer = await Promise.race([result.promise, sleep(pause)]);
        if (answer) return answer;
      }
      throw new StateEngineError(
        "deadline_exceeded",
        `no result of ${proposal.id} yet; ask again with the same id (${String(fault ?? "")})`,
      );
    } finally {
      result.forget();
    }
  }

  /** Proposes by request: decided at once by an engine that is there now, or an error. */
  async proposeNow(draft: Draft, timeoutMs = 5000): Promise<MutationResult> {
    const subject = this.#rpc("propose") + this.#actorToken();
    return this.#ask<MutationResult>(subject, this.#complete(draft), timeoutMs);
  }

  /** The current snapshots of up to 100 keys; null for a key without a value. */
  async get(keys: string[], timeoutMs = 5000): Promise<StateRead> {
    return this.#ask<StateRead>(this.#rpc("get"), { keys }, timeoutMs);
  }

  /** One page of the keys that begin with `prefix`; go on with `after: nextAfter`. */
  async getPrefix(
    prefix: string,
    page: { limit?: number; after?: string } = {},
    timeoutMs = 5000,
  ): Promise<PrefixRead> {
    return this.#ask<PrefixRead>(this.#rpc("prefix"), { prefix, ...page }, timeoutMs);
  }

  /** Committed changes from now on, at most once each. Ends when the caller leaves the loop. */
  async *changes(): AsyncGenerator<ChangeEvent> {
    const subscription = this.#nc.subscribe(this.#prefix + changedSubject);
    try {
      for await (const message of subscription) yield message.json<ChangeEvent>();
    } finally {
      subscription.unsubscribe();
    }
  }

  /** Ends the subscription to results; the connection stays the caller's. */
  close(): void {
    this.#results?.unsubscribe();
    this.#results = undefined;
  }

  #complete(draft: Draft): MutationProposal {
    return {
      id: crypto.randomUUID(),
      op: "set",
      actor: this.#options.actor,
      ts: new Date().toISOString(),
      ...draft,
    };
  }

  #actorToken(): string {
    return this.#options.actorInSubject ? `.${this.#options.actor}` : "";
  }

  #rpc(verb: string): string {
    return `rpc.${this.#prefix}state.engine.v1.${verb}`;
  }

  async #ask<T>(subject: string, body: unknown, timeout: number): Promise<T> {
    const answer = await this.#nc.request(subject, JSON.stringify(body), { timeout });
    const value = answer.json<T & { error?: { code: string; message: string } | string }>();
    if (typeof value.error === "object") {
      throw new StateEngineError(value.error.code, value.error.message);
    }
    return value;
  }

  #resultOf(id: string): { promise: Promise<MutationResult>; forget(): void } {
    this.#listen();
    let waiter: Waiter = { resolve: () => undefined };
    const promise = new Promise<MutationResult>((resolve) => {
      waiter = { resolve };
    });
    this.#waiters.set(id, [...(this.#waiters.get(id) ?? []), waiter]);
    const forget = () => {
      const left = (this.#waiters.get(id) ?? []).filter((other) => other !== waiter);
      if (left.length > 0) this.#waiters.set(id, left);
      else this.#waiters.delete(id);
    };
    return { promise, forget };
  }

  #listen(): void {
    if (this.#results && !this.#results.isClosed()) return;
    this.#results = this.#nc.subscribe(this.#prefix + resultSubject, {
      callback: (error, message) => {
        if (error) return; // the proposal is published again when nothing comes
        const result = message.json<MutationResult>();
        for (const waiter of this.#waiters.get(result.mutationId) ?? []) waiter.resolve(result);
      },
    });
  }
}
