import { shadowMethod, type Operation } from '../../src/adapter.js'
import { dataSourceOf, type DataSourceLike, type EntityEventLike, type EntityMetadataLike, type QueryResultEventLike, type QueryRunnerLike } from './shapes.js'

type Handler = 'afterInsert' | 'afterUpdate' | 'afterRemove' | 'afterSoftRemove' | 'afterRecover'
type Subscriber = Readonly<Record<Handler, (event: EntityEventLike) => void>>

const INSERT: readonly Handler[] = ['afterInsert']
const UPDATE: readonly Handler[] = ['afterUpdate', 'afterSoftRemove', 'afterRecover']
/** The events that TypeORM sends after a statement. */
const TELLS: Partial<Record<Operation, readonly Handler[]>> = { insert: INSERT, merge: INSERT, update: UPDATE, delete: ['afterRemove'] }

/**
 * Events that an earlier subscriber, or an entity's own listener, hides from ours by throwing: TypeORM tells one
 * subscriber after the other and stops at an error, though the rows are written. Our subscriber is then told of the
 * event after the failure. A runner is left alone when no earlier subscriber or listener could throw.
 */
export class HiddenEvents {
  readonly #watched = new WeakMap<object, Set<Handler>>()
  readonly #listening = new WeakMap<readonly EntityMetadataLike[], boolean>()

  /**
   * A statement has succeeded, and its events will follow.
   * @param subscriber the subscriber that must not miss them
   * @param countHeard gives the number of events that the subscriber has received
   */
  expect (event: QueryResultEventLike, operation: Operation, subscriber: Subscriber, countHeard: () => number): void {
    const handlers = TELLS[operation]
    if (handlers === undefined) return
    const dataSource = dataSourceOf(event)
    const runner = event.queryRunner as QueryRunnerLike & { readonly broadcaster?: object }
    if (typeof runner.broadcaster !== 'object') return
    for (const handler of handlers) {
      if (!this.#mayBeHidden(dataSource, handler, subscriber)) continue
      let watched = this.#watched.get(runner)
      if (watched === undefined) this.#watched.set(runner, watched = new Set())
      if (watched.has(handler)) continue
      watched.add(handler)
      watch(runner.broadcaster, dataSource, runner, handler, subscriber, countHeard)
    }
  }

  #mayBeHidden ({ subscribers, entityMetadatas }: DataSourceLike, handler: Handler, subscriber: object): boolean {
    for (const each of subscribers) {
      if (each === subscriber) break
      if (handler in each) return true
    }
    let listening = this.#listening.get(entityMetadatas)
    if (listening === undefined) {
      listening = entityMetadatas.some((metadata) => ((metadata as { listeners?: readonly unknown[] }).listeners ?? []).length > 0)
      this.#listening.set(entityMetadatas, listening)
    }
    return listening
  }
}

function watch (broadcaster: object, dataSource: DataSourceLike, queryRunner: QueryRunnerLike, handler: Handler, subscriber: Subscriber, countHeard: () => number): void {
  shadowMethod(broadcaster, `broadcastA${handler.slice(1)}Event`, (broadcast) => function (...args) {
    const before = countHeard()
    try {
      return Reflect.apply(broadcast, this, args)
    } catch (error) {
      if (countHeard() === before && dataSource.subscribers.includes(subscriber)) {
        const [, metadata, entity, databaseEntity, identifier] = args
        subscriber[handler]({ dataSource, connection: dataSource, queryRunner, metadata: metadata as EntityMetadataLike, entity, entityId: identifier ?? databaseEntity })
      }
      throw error
    }
  })
}
