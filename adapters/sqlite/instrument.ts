import { DATABASE_DEFAULTS, DatabaseRecorder, Observed, type DatabaseScope } from '../../src/adapter.js'
import { observeDatabase } from './database.js'
import { makerOf, type Maker } from './driver.js'

export const observed = new Observed<DatabaseScope>('sqlite', 'a database', DATABASE_DEFAULTS)

/** Observes a database: its connection, and the queries under way for as long as it is there. */
export function observe (database: Maker, scope: DatabaseScope): () => void {
  const recorder = new DatabaseRecorder(scope, 'sqlite', 'sqlite')
  const maker = makerOf(database)
  const restores = [observeDatabase(maker, recorder), show(new WeakRef(maker), recorder)]
  return observed.add(database, scope, () => { for (const restore of restores) restore() })
}

/** Shows the queries under way for as long as the database is there. It has a scope of its own, which does not keep the database. */
function show (maker: WeakRef<Maker>, recorder: DatabaseRecorder): () => void {
  return recorder.show(() => maker.deref() !== undefined)
}
