import t, { type Test } from 'tap'
import type { DataSource, EntityManager, QueryRunner } from 'typeorm'
import { counted, newDataSource, VERSIONS } from '../support/data-source.js'
import { startMariaDb } from '../support/mariadb.js'
import { startPostgres } from '../support/postgres.js'
import { loadSqlite } from '../support/sqlite.js'
import { Dog, entities, valueOf } from './typeorm-entities.js'

/*
 * Transactions that end without being asked, or that TypeORM does not know of. Dogs are only inserted here, so that
 * what was counted is what the table has.
 */

let names = 0
const insert = (manager: EntityManager): Promise<unknown> => manager.insert(Dog, { name: `n${++names}` })

interface Watched {
  dataSource: DataSource
  /** What was counted is what is there. */
  agrees (message: string): Promise<void>
}

/** A data source whose dogs are counted; their table is new unless the options say otherwise. */
async function watched (t: Test, make: (options: object) => DataSource, options: object): Promise<Watched> {
  const { dataSource, registry } = await counted(t, make({ entities, synchronize: true, dropSchema: true, ...options }), 'dog')
  return {
    dataSource,
    async agrees (message) {
      // Of a connection of its own, where there is one: what is not committed is not there.
      t.equal(await valueOf(registry, 'model_inserts_total', { model: 'dog' }), await dataSource.manager.count(Dog), message)
    }
  }
}

async function using (dataSource: DataSource, run: (runner: QueryRunner) => Promise<unknown>): Promise<void> {
  const runner = dataSource.createQueryRunner()
  try {
    await run(runner)
  } finally {
    await runner.release().catch(() => {})
  }
}

t.test('MySQL', async (t) => {
  const mariadb = await startMariaDb(t)
  if (mariadb === undefined) return
  const { user: username, ...config } = mariadb.config
  for (const [version, make] of Object.entries(VERSIONS)) {
    await t.test(version, async (t) => {
      const { dataSource, agrees } = await watched(t, make, { type: 'mysql', username, ...config, extra: { multipleStatements: true, connectionLimit: 4 } })
      await insert(dataSource.manager)
      await agrees('no transaction')

      await using(dataSource, async (one) => {
        await using(dataSource, async (other) => {
          await dataSource.query('CREATE TABLE IF NOT EXISTS lockable (id int PRIMARY KEY, n int)')
          await dataSource.query('REPLACE INTO lockable VALUES (1, 0), (2, 0)')
          for (const runner of [one, other]) {
            await runner.startTransaction()
            await insert(runner.manager)
          }
          await one.query('UPDATE lockable SET n = 1 WHERE id = 1')
          await other.query('UPDATE lockable SET n = 1 WHERE id = 2')
          const results = await Promise.allSettled([one.query('UPDATE lockable SET n = 1 WHERE id = 2'), other.query('UPDATE lockable SET n = 1 WHERE id = 1')])
          t.same(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'], 'one of them is the victim')
          const [victim, survivor] = results[0].status === 'rejected' ? [one, other] : [other, one]
          await survivor.commitTransaction()
          await agrees('a deadlock has rolled back what its victim did')
          await insert(victim.manager)
          await agrees('what the victim does next is in no transaction')
          await victim.commitTransaction()
          await agrees('and nothing is left for its commit')
        })
      })

      await using(dataSource, async (one) => {
        await using(dataSource, async (other) => {
          await one.startTransaction()
          await one.query('UPDATE lockable SET n = 2 WHERE id = 1')
          await other.startTransaction()
          await insert(other.manager)
          await other.query('SET SESSION innodb_lock_wait_timeout = 1')
          await t.rejects(other.query('UPDATE lockable SET n = 2 WHERE id = 1'), /Lock wait timeout/)
          await other.commitTransaction()
          await one.rollbackTransaction()
          await agrees('a wait for a lock that times out fails its statement alone')
        })
      })

      for (const [title, statement] of [['DDL', 'CREATE TABLE IF NOT EXISTS d1 (id int)'], ['DDL that fails', 'CREATE TABLE lockable (id int)'], ['LOCK TABLES', 'LOCK TABLES dog WRITE; UNLOCK TABLES']] as const) {
        await using(dataSource, async (runner) => {
          await runner.startTransaction()
          await insert(runner.manager)
          await runner.query(statement).catch(() => {})
          await agrees(`${title} commits`)
          await insert(runner.manager)
          await runner.rollbackTransaction()
          await agrees(`what comes after ${title} is in no transaction`)
        })
      }

      for (const statement of ['CREATE TEMPORARY TABLE IF NOT EXISTS d2 (id int)', 'CREATE TEMPORARY TABLE d3 (id int, id int)', 'CREATE TABLE wrong (', 'SELECT 1; SELECT 2']) {
        await using(dataSource, async (runner) => {
          await runner.startTransaction()
          await insert(runner.manager)
          await runner.query(statement).catch(() => {})
          await runner.rollbackTransaction()
          await agrees(`${statement} commits nothing`)
        })
      }

      await using(dataSource, async (runner) => {
        await runner.query('SET autocommit = 0')
        await insert(runner.manager)
        await insert(runner.manager)
        await runner.query('ROLLBACK')
        await insert(runner.manager)
        await agrees('without autocommit nothing counts before it is committed')
        await runner.query('COMMIT')
        await agrees('and then it does')
        await insert(runner.manager)
        await runner.query('SET autocommit = 1')
        await agrees('autocommit commits when it is switched on')
        await insert(runner.manager)
        await agrees('and each statement then')
      })

      for (const [end, title] of [["SELECT ';'; COMMIT; SELECT 1", 'a COMMIT'], ['SELECT 1; ROLLBACK', 'a ROLLBACK'], ['SELECT 1; COMMIT; BEGIN; SELECT 2', 'a COMMIT and BEGIN']] as const) {
        await using(dataSource, async (runner) => {
          await runner.query('SELECT 1; BEGIN')
          await insert(runner.manager)
          await runner.query(end)
          await agrees(`${title} among other statements`)
          await insert(runner.manager)
          await runner.query('ROLLBACK')
          await agrees(`after ${title} among other statements`)
        })
      }

      for (const end of ['COMMIT', 'ROLLBACK']) {
        await using(dataSource, async (runner) => {
          await runner.query("XA START 'x'")
          await insert(runner.manager)
          await runner.query("XA END 'x'")
          await runner.query("XA PREPARE 'x'")
          await agrees('what is prepared is not committed')
          await runner.query(`XA ${end} 'x'`)
          await agrees(`XA ${end} of what was prepared`)
          await runner.query("XA START 'y'")
          await insert(runner.manager)
          await runner.query("XA END 'y'")
          await runner.query(`XA ${end} 'y'${end === 'COMMIT' ? ' ONE PHASE' : ''}`)
          await agrees(`XA ${end} in one phase`)
        })
      }

      await using(dataSource, async (runner) => {
        await runner.startTransaction()
        await insert(runner.manager)
        const [{ id }] = await runner.query('SELECT CONNECTION_ID() id') as [{ id: number }]
        await dataSource.query(`KILL ${id}`)
        await t.rejects(insert(runner.manager))
        await runner.commitTransaction().catch(() => {})
        await agrees('a connection that is lost has committed nothing')
      })
    })
  }

  await t.test('a server without autocommit', async (t) => {
    const { dataSource } = await watched(t, newDataSource, { type: 'mysql', username, ...config })
    await dataSource.query('SET GLOBAL autocommit = 0')
    t.teardown(() => dataSource.query('SET GLOBAL autocommit = 1'))
    const second = await watched(t, newDataSource, { type: 'mysql', username, ...config, synchronize: false, dropSchema: false })
    await using(second.dataSource, async (runner) => {
      await insert(runner.manager)
      await runner.query('ROLLBACK')
      await insert(runner.manager)
      await runner.query('COMMIT')
    })
    await second.agrees('a session that began without it')
  })
})

const sqlites: Array<[string, (t: Test) => Promise<object | undefined>]> = [
  ['sqljs', async () => ({ type: 'sqljs' })],
  ['better-sqlite3', async (t) => await loadSqlite(t) === undefined ? undefined : { type: 'better-sqlite3', database: ':memory:' }]
]
for (const [driver, optionsOf] of sqlites) {
  for (const [version, make] of Object.entries(VERSIONS)) {
    t.test(`${driver} with ${version}: a statement that rolls back, and what comes after`, async (t) => {
      const options = await optionsOf(t)
      if (options === undefined) return
      const { dataSource, agrees } = await watched(t, make, options)
      await dataSource.query("INSERT INTO dog (name) VALUES ('taken')")
      const base = new Error('done')
      await dataSource.manager.delete(Dog, { name: 'taken' })
      await insert(dataSource.manager)
      await agrees('no transaction')
      const taken = `INSERT OR ROLLBACK INTO dog (name) VALUES ('n${names}')`

      await t.rejects(dataSource.transaction(async (manager) => {
        await insert(manager)
        await manager.query(taken)
      }))
      await agrees('what was in the transaction is not there')
      await insert(dataSource.manager)
      await agrees('and counting goes on')
      await dataSource.transaction(insert)
      await agrees('also in transactions')
      await dataSource.transaction(async (manager) => {
        await insert(manager)
        await manager.transaction(insert)
      })
      await agrees('and nested ones')

      const again = await watched(t, make, options)
      await insert(again.dataSource.manager)
      const clash = `INSERT OR ROLLBACK INTO dog (name) VALUES ('n${names}')`
      await again.dataSource.transaction(async (manager) => {
        await insert(manager)
        await manager.query(clash).catch(() => {})
        await insert(manager)
        throw base
      }).catch(() => {})
      await again.agrees('what follows a failure that nobody minds is in no transaction')
    })

    t.test(`${driver} with ${version}: a savepoint alone is a transaction`, async (t) => {
      const options = await optionsOf(t)
      if (options === undefined) return
      // Before 1.0 TypeORM tells nobody of better-sqlite3's queries.
      const blind = driver === 'better-sqlite3' && version !== 'typeorm 1'
      const { dataSource, agrees } = await watched(t, make, options)
      await dataSource.query('SAVEPOINT mine')
      await insert(dataSource.manager)
      await dataSource.query('ROLLBACK TO mine')
      await insert(dataSource.manager)
      await dataSource.query('RELEASE mine')
      if (!blind) await agrees('the savepoint that began it ends it')
      await insert(dataSource.manager)
      if (!blind) await agrees('and no more')
    })
  }
}

/** A connection's end. */
function endOf (connection: { once (event: string, listener: () => void): void }): Promise<void> {
  return new Promise((resolve) => { connection.once('end', resolve) })
}

t.test('PostgreSQL', async (t) => {
  const postgres = await startPostgres('-c', 'max_prepared_transactions=10')
  t.teardown(() => postgres.close())
  for (const [version, make] of Object.entries(VERSIONS)) {
    await t.test(version, async (t) => {
      const { dataSource, agrees } = await watched(t, make, { type: 'postgres', ...postgres.config, poolErrorHandler: () => {} })
      for (const open of [(runner: QueryRunner) => runner.startTransaction(), (runner: QueryRunner) => runner.query('BEGIN')]) {
        await using(dataSource, async (runner) => {
          await open(runner)
          await insert(runner.manager)
          const [{ pid }] = await runner.query('SELECT pg_backend_pid() pid') as [{ pid: number }]
          const ended = endOf(await runner.connect())
          await dataSource.query('SELECT pg_terminate_backend($1)', [pid])
          await t.rejects(insert(runner.manager))
          // Until then the pool would hand it out.
          await ended
          await runner.commitTransaction().catch(() => {})
          await agrees('a connection that is lost has committed nothing')
        })
        await using(dataSource, async (runner) => {
          await open(runner)
          await insert(runner.manager)
          const ended = endOf(await runner.connect())
          // Only now: on a busy machine 20 ms may pass between two statements.
          await runner.query("SET idle_in_transaction_session_timeout = '20ms'")
          await ended
          await runner.commitTransaction().catch(() => {})
          await agrees('nor has one that was idle for too long')
        })
      }

      await using(dataSource, async (runner) => {
        await runner.startTransaction()
        await insert(runner.manager)
        await runner.query('CREATE TABLE more (id int)')
        await runner.rollbackTransaction()
        await agrees('DDL commits nothing')
        await runner.query('SELECT 1; BEGIN')
        await insert(runner.manager)
        await agrees('a BEGIN among other statements begins')
        await runner.query("SELECT ';COMMIT;'; COMMIT; BEGIN")
        await agrees('a COMMIT among other statements commits')
        await insert(runner.manager)
        await runner.query('/* now */ SAVEPOINT a; SELECT 1')
        await insert(runner.manager)
        await runner.query('ROLLBACK TO a; SELECT 1')
        await runner.query('/* now */ COMMIT')
        await agrees('and a savepoint is one')
      })

      const other = await watched(t, make, { type: 'postgres', ...postgres.config, synchronize: false, dropSchema: false, applicationName: 'other' })
      for (const end of ['COMMIT', 'ROLLBACK']) {
        await using(dataSource, async (runner) => {
          await runner.startTransaction()
          await insert(runner.manager)
          await runner.query("PREPARE TRANSACTION 'one'")
          await runner.commitTransaction()
          await agrees('what is prepared is not committed')
          await insert(runner.manager)
          await agrees('and its connection does other things')
        })
        await other.dataSource.query(`${end} PREPARED 'one'`)
        await agrees(`${end} PREPARED of another data source`)
      }
      await using(dataSource, async (runner) => {
        await runner.startTransaction()
        await insert(runner.manager)
        await runner.query('SELECT 1/0').catch(() => {})
        await runner.query("PREPARE TRANSACTION 'one'").catch(() => {})
        await insert(runner.manager)
        await agrees('a transaction that failed is not prepared, but rolled back')
      })
    })
  }
})
