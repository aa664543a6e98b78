import pg from 'pg'

/** A process of its own for pg-invisible.test.ts: what only a whole process can show, bare or observed. */
const [scenario, observed, config = ''] = process.argv.slice(2)
const settings = { ...JSON.parse(config), max: 1 }
const pool = new pg.Pool(settings)
if (observed === 'observed') {
  const { instrumentPool } = await import('../../adapters/pg.js')
  instrumentPool(pool)
}

if (scenario === 'errors that nobody handles, and one that somebody does') {
  const left: Array<Promise<unknown>> = []
  process.on('unhandledRejection', (reason: Error, promise) => console.log(`unhandled: ${reason.message}, promise ${left.indexOf(promise)}`))
  const client = await pool.connect()
  left.push(client.query('nonsense'))
  await client.query('SELECT 1')
  left.push(client.query('nonsense $1', [1]))
  await client.query('SELECT 1')
  client.release()
  left.push(pool.query('nonsense'))
  await pool.query('SELECT 1')
  pool.on('error', (error) => console.log(`error: ${error.message}`))
}

const { rows: [{ pid }] } = await pool.query('SELECT pg_backend_pid() AS pid')
const other = new pg.Client(settings)
await other.connect()
const removed = new Promise((resolve) => pool.once('remove', resolve))
await other.query('SELECT pg_terminate_backend($1)', [pid])
await removed
await pool.query('SELECT 1')
await other.end()
await pool.end()
