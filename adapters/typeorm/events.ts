import type { Method } from '../../src/adapter.js'
import { Layer, type Over } from './layer.js'
import type { QueryRecorder } from './recorder.js'
import type { DataSourceLike, QueryRunnerLike } from './shapes.js'
import type { ModelOpsSubscriber } from './subscriber.js'

/** TypeORM's Broadcaster: it tells subscribers of events, with one method for each event. */
interface Broadcaster {
  readonly queryRunner: QueryRunnerLike & { readonly manager?: unknown }
}

type Subscriber = Readonly<Record<string, ((event: object) => unknown) | undefined>>

const ENTITY = ['metadata', 'entity', 'databaseEntity']
/** The events, and the arguments of their methods after the result (typeorm/subscriber/Broadcaster.js). */
const EVENTS: ReadonlyArray<readonly [name: string, fields: readonly string[]]> = [
  ['AfterInsert', ['metadata', 'entity']],
  ['AfterUpdate', [...ENTITY, 'updatedColumns', 'updatedRelations']],
  ['AfterRemove', ENTITY], ['AfterSoftRemove', ENTITY], ['AfterRecover', ENTITY],
  ['BeforeQuery', ['query', 'parameters']],
  ['AfterQuery', ['query', 'parameters', 'success', 'executionTime', 'rawResults', 'error']],
  ...['TransactionStart', 'TransactionCommit', 'TransactionRollback'].flatMap((name) => [[`Before${name}`, []], [`After${name}`, []]] as const)
]

/**
 * Receives the events of query runners before the application's subscribers do, without being one of them. So a
 * subscriber that throws hides no event, and `dataSource.subscribers` has only the application's subscribers.
 */
export class Events {
  /** The layer over the broadcasters of query runners. */
  readonly layer: Layer
  readonly #dataSource: DataSourceLike
  readonly #subscriber: Subscriber | undefined
  readonly #recorder: QueryRecorder | undefined
  readonly #failed: (error: unknown) => void
  /** Whether the driver sends events of queries. */
  #hears = false

  /**
   * @param subscriber gets each event that it has a method for
   * @param recorder is told when the database has answered, and which errors the application's subscribers throw
   */
  constructor (dataSource: DataSourceLike, subscriber: ModelOpsSubscriber | undefined, recorder: QueryRecorder | undefined, failed: (error: unknown) => void) {
    this.#dataSource = dataSource
    this.#subscriber = subscriber as Subscriber | undefined
    this.#recorder = recorder
    this.#failed = failed
    const methods = new Map<string, Over>()
    for (const [name, fields] of EVENTS) {
      const over = this.#methodOver(name, fields)
      if (over !== undefined) methods.set(`broadcast${name}Event`, over)
    }
    this.layer = new Layer(methods)
  }

  /** A query has ended, and its driver may send no event: better-sqlite3 before TypeORM 1.0, the Data API of Aurora. */
  queryEnded (queryRunner: QueryRunnerLike, [query, parameters]: readonly unknown[], success: boolean, result: unknown): void {
    if (this.#hears || this.#subscriber === undefined) return
    const { raw, affected } = success ? result as { raw?: unknown, affected?: unknown } ?? {} : {}
    this.#tell('afterQuery', queryRunner, { query, parameters, success, ...success ? { rawResults: raw, affected } : { error: result } })
  }

  /** Gives the method over a broadcast; undefined for an event that has no receiver here. */
  #methodOver (name: string, fields: readonly string[]): Over | undefined {
    const method = name[0]?.toLowerCase() + name.slice(1)
    const wanted = this.#subscriber?.[method] !== undefined
    const isAnswer = name === 'AfterQuery'
    const recorder = name.endsWith('Query') ? this.#recorder : undefined
    if (!wanted && recorder === undefined) return undefined
    const receive = (broadcaster: Broadcaster, args: readonly unknown[]): void => {
      this.#hears ||= isAnswer
      if (isAnswer) recorder?.answered(broadcaster.queryRunner, args[1])
      if (wanted) this.#tell(method, broadcaster.queryRunner, Object.fromEntries(fields.map((field, i) => [field, args[i + 1]])))
    }
    return (below) => function (this: unknown, ...args) {
      receive(this as Broadcaster, args)
      return recorder === undefined ? Reflect.apply(below(), this, args) : tellSubscribers(recorder, isAnswer, this, below(), args)
    }
  }

  #tell (method: string, queryRunner: Broadcaster['queryRunner'], fields: object): void {
    try {
      const { manager } = queryRunner
      this.#subscriber?.[method]?.({ dataSource: this.#dataSource, connection: this.#dataSource, queryRunner, manager, ...fields })
    } catch (error) {
      this.#failed(error)
    }
  }
}

/**
 * Tells the application's subscribers of a query, and remembers the errors that they throw: TypeORM gives these to the
 * query's caller.
 */
function tellSubscribers (recorder: QueryRecorder, ran: boolean, broadcaster: unknown, broadcast: Method, args: unknown[]): unknown {
  const { promises } = (args[0] ?? {}) as { promises?: Array<Promise<unknown>> }
  const before = promises?.length ?? 0
  try {
    const told = Reflect.apply(broadcast, broadcaster, args)
    for (let i = before; i < (promises?.length ?? 0); i++) {
      // This promise replaces the subscriber's, so that there is no side branch: TypeORM waits for this one.
      (promises as Array<Promise<unknown>>)[i] = (promises as Array<Promise<unknown>>)[i]?.then((value) => value, (error: unknown) => {
        recorder.subscriberThrew(error, ran)
        throw error
      }) as Promise<unknown>
    }
    return told
  } catch (error) {
    recorder.subscriberThrew(error, ran)
    throw error
  }
}
