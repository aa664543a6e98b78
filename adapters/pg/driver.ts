import type { EventEmitter } from 'node:events'

/** Any method: the driver decides what it takes and what it gives back. */
export type Method = (...args: unknown[]) => unknown

/** The parts of a pg client that this adapter uses. */
export interface Client extends EventEmitter {
  connect: Method
  query: Method
  end: Method
  /** Missing in a client of pg.native. */
  readonly connection?: { readonly parsedStatements?: Readonly<Record<string, string | undefined>> }
}

export type ClientClass = (new (...args: unknown[]) => Client) & { readonly name: string, readonly prototype: Client }

/** The parts of a pg-pool pool that this adapter uses. */
export interface Pool extends EventEmitter {
  Client: ClientClass
  connect: Method
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
  readonly ended?: boolean
  readonly options?: { readonly max?: number, readonly maxLifetimeSeconds?: number }
  /**
   * Clients past their lifetime: the pool takes an idle one out once more, only to remove it
   * (pg-pool/index.js:325-340).
   */
  readonly _expired?: { has (client: Client): boolean }
}

/** A query that speaks the protocol itself: a pg.Query, a cursor, a query stream, a copy stream. */
export interface Submittable {
  submit: Method
  readonly name?: unknown
  readonly text?: unknown
  /** The cursor of a query stream. */
  readonly cursor?: { readonly text?: unknown }
  handleError?: Method
  handleReadyForQuery?: Method
  handleDataRow?: Method
  handleCommandComplete?: Method
  once?: (event: string, listener: Method) => unknown
}

/** Whether a first argument of client.query() is a Submittable; pg does the same check (pg/lib/client.js:677). */
export function isSubmittable (query: object): query is Submittable {
  return typeof (query as Partial<Submittable>).submit === 'function'
}

/** Whether a method returned a promise, of any kind. */
export function isThenable (value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
