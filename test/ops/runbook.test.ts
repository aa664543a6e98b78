import t from 'tap'
import pg from 'pg'
import { everyBlockIsTaken, guide } from '../support/guide.js'
import { startPostgres } from '../support/postgres.js'

/*
 * The SQL of the runbook, put to a PostgreSQL in which somebody locks a table and others wait for it.
 */
const runbook = guide('runbook')

t.test('who waits for whom: the one who locks the table is named, with all whom it blocks, and nobody else', async (t) => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.close())
  const connect = async (name: string) => {
    const client = new pg.Client({ ...postgres.config, application_name: name })
    // Its server is stopped under it.
    client.on('error', () => {})
    await client.connect()
    t.teardown(() => client.end())
    return client
  }
  const [onCall, forgotten, ...visitors] = await Promise.all(['on call', 'forgotten', 'a', 'b', 'c'].map(connect))
  if (onCall === undefined || forgotten === undefined) throw new Error('nobody connected')
  await forgotten.query('CREATE TABLE walk (id int)')
  const blockers = runbook.code('sql', 'pg_blocking_pids')
  const running = runbook.code('sql', 'for_how_long')
  t.same((await onCall.query(blockers)).rows, [], 'nobody waits')
  t.same((await onCall.query(running)).rows, [], 'nothing runs')

  await forgotten.query('BEGIN')
  await forgotten.query('LOCK TABLE walk IN ACCESS EXCLUSIVE MODE')
  const waiting = visitors.map((visitor) => visitor.query('SELECT count(*) FROM walk'))
  const pid = (await forgotten.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid
  // PostgreSQL tells nobody who begins to wait.
  while ((await onCall.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).rowCount !== visitors.length);

  const { rows } = await onCall.query(blockers)
  t.match(rows, [{ blocker: pid, state: 'idle in transaction', blocks: '3', application_name: 'forgotten' }])
  t.equal(rows.length, 1)
  const running3 = (await onCall.query<{ query: string, wait_event_type: string | null }>(running)).rows
  t.same(running3.filter(({ wait_event_type: type }) => type === 'Lock').map(({ query }) => query), Array(3).fill('SELECT count(*) FROM walk'))

  await onCall.query('SELECT pg_terminate_backend($1)', [pid])
  t.equal((await Promise.all(waiting)).length, 3, 'who waited goes on when the blocker is ended, as the runbook says')
})

t.test('every block of code was run', (t) => {
  everyBlockIsTaken(t, ['runbook'])
  t.end()
})
