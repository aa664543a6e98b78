import mysql from 'mysql2'
import promised from 'mysql2/promise'

/** A process of its own for mysql2-invisible.test.ts: what only a whole process can show, bare or observed. */
const [scenario, observed, config = ''] = process.argv.slice(2)
const settings = { ...JSON.parse(config), connectionLimit: 1 }
const pool = mysql.createPool(settings)
const single = mysql.createConnection(settings)
if (observed === 'observed') {
  const { instrumentMysql } = await import('../../adapters/mysql2.js')
  instrumentMysql(pool)
  instrumentMysql(single)
}
await single.promise().query('SELECT 1')
const killer = await promised.createConnection(settings)

switch (scenario) {
  case 'errors that nobody handles': {
    const left: Array<Promise<unknown>> = []
    process.on('unhandledRejection', (reason: Error, promise) => console.log(`unhandled: ${reason.message.slice(0, 20)}, promise ${left.indexOf(promise)}`))
    left.push(pool.promise().query('nonsense'), single.promise().query('nonsense'), pool.promise().execute('nonsense'))
    await single.promise().query('SELECT 1')
    await pool.promise().query('SELECT 1')
    break
  }
  case 'a statement without a callback fails':
    single.query('nonsense')
    await single.promise().query('SELECT 1')
    break
  case 'a connection is lost, and nobody listens': {
    const closed = new Promise((resolve) => (single as unknown as { stream: NodeJS.ReadableStream }).stream.once('close', resolve))
    await killer.query(`KILL ${single.threadId}`)
    await closed
    break
  }
  case 'a connection of a pool is lost, and nobody listens': {
    const connection = await pool.promise().getConnection()
    const closed = new Promise((resolve) => (connection.connection as unknown as { stream: NodeJS.ReadableStream }).stream.once('close', resolve))
    connection.release()
    await killer.query(`KILL ${connection.threadId}`)
    await closed
    await pool.promise().query('SELECT 1')
    console.log('lived on')
    break
  }
  case 'a callback throws':
    pool.query('SELECT 1', () => { throw new Error('of the callback') })
    await new Promise((resolve) => setTimeout(resolve, 60_000))
}
await killer.end()
await single.promise().end()
await pool.promise().end()
