import type { EventEmitter } from 'node:events'

/** Any method: what goes in and what comes out is the driver's matter. */
export type Method = (...args: unknown[]) => unknown

/** What of a client of pg this adapter touches. */
export interface Client extends EventEmitter {
  connect: Method
  query: Method
  end: Method
  /** Not there in pg.native's. */
  readonly connection?: { readonly parsedStatements?: Readonly<Record<string, string | undefined>> }
}

export type ClientClass = (new (...args: unknown[]) => Client) & { readonly name: string, readonly prototype: Client }

/** What of a pool of pg-pool this adapter touches. */
export interface Pool extends EventEmitter {
  Client: ClientClass
  connect: Method
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
  readonly ended?: boolean
  readonly options?: { readonly max?: number, readonly maxLifetimeSeconds?: number }
  /** Clients past their lifetime: one that is idle is taken out once more, only to be removed (pg-pool/index.js:325-340). */
  readonly _expired?: { has (client: Client): boolean }
}

/** A query that speaks the protocol itself: a pg.Query, a cursor, a query stream, a copy stream. */
export interface Submittable {
  submit: Method
  readonly name?: unknown
  readonly text?: unknown
  /** A query stream's. */
  readonly cursor?: { readonly text?: unknown }
  handleError?: Method
  handleReadyForQuery?: Method
  handleDataRow?: Method
  handleCommandComplete?: Method
  once?: (event: string, listener: Method) => unknown
}

/** Whether a first argument of client.query() is one; pg asks the same (pg/lib/client.js:677). */
export function isSubmittable (query: object): query is Submittable {
  return typeof (query as Partial<Submittable>).submit === 'function'
}

/** Whether a method answered with a promise, of whichever kind. */
export function isThenable (value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
