// What the live page costs: the service that keeps its history, and the browser that shows it.
// LIVE_MINUTES=60 leaves a browser open for so long.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { assets } from '../../dist/src/live/assets.js'
import { startPostgres } from '../../test/support/postgres.js'
import { row, Spread, STARTS } from '../measure.js'

const KB = 1000
const MB = 2 ** 20
const MOST_BYTES = 120 * KB
const MOST_HISTORY = 4 * MB
/** The share of a core that sampling may take while nobody looks, and milliseconds between two samples then. */
const MOST_SHARE = 0.001
const INTERVAL = 10_000
const MOST_MILLISECONDS = 300
/** Ten viewers may cost so many times what one does. */
const MORE = 1.25
const MINUTES = Number(process.env.LIVE_MINUTES ?? 1)

export async function live () {
  const postgres = await startPostgres()
  try {
    return [size(), ...await samples(postgres.config), await idle(), await memory(), ...await page()]
  } finally {
    await postgres.close()
  }
}

function size () {
  const bytes = [assets.js, assets.css].reduce((sum, { gzip }) => sum + Buffer.from(gzip, 'base64').length, gzipSync(assets.html).length)
  return row('the live page with all it loads, gzipped', `${(bytes / KB).toFixed(1)} KB`, 'at most 120 KB', bytes <= MOST_BYTES)
}

async function samples (config) {
  const all = await each('sample.js', JSON.stringify(config))
  const over = (name) => new Spread(all.map((result) => result[name]))
  const [alone, one, ten] = [over('alone'), over('one'), over('ten')]
  const share = alone.median / INTERVAL
  return [
    row(`CPU of a sample of the demo's registry (${all[0].series} label sets)`, `${alone.text(2)} ms, each 10 s: ${(share * 100).toFixed(3)} % of a core`, 'under 0.1 %', share < MOST_SHARE),
    row('... with one viewer, who is told of it', `${one.text(2)} ms`, '', true),
    row('... with ten', `${ten.text(2)} ms`, 'as one, and the writes', ten.median < MORE * one.median)
  ]
}

/** The whole of it, with timers: a service that does nothing else, with the page and without. */
async function idle () {
  const [on, off] = [new Spread(await each('idle.js', 'on')), new Spread(await each('idle.js', 'off'))]
  const share = on.median - off.median
  return row('CPU of a service in which nothing happens and nobody looks, with the page', `+${(share * 100).toFixed(3)} % of a core, on ${(off.median * 100).toFixed(3)} %`, 'under 0.1 %', share < MOST_SHARE)
}

async function memory () {
  const bytes = new Spread((await each('memory.js', '')).map((bytes) => bytes / MB))
  return row('memory of the history of 200 series', `${bytes.text(2)} MB`, 'at most 4 MB', bytes.median <= MOST_HISTORY / MB)
}

async function page () {
  const { numbers, heap } = await answer('page.js', String(MINUTES), process.execArgv)
  const times = new Spread(numbers)
  const [before, after] = heap.map((bytes) => bytes / MB)
  return [
    row('time until a browser shows numbers', `${times.text(0)} ms`, 'within 300 ms', times.median <= MOST_MILLISECONDS),
    row(`memory of a browser's page that was open for ${MINUTES} min`, `${after.toFixed(1)} MB, ${before.toFixed(1)} MB at first`, 'holds', after < 1.5 * before)
  ]
}

/** What a script answers in several starts. */
async function each (script, argument) {
  const all = []
  for (let start = 0; start < STARTS; start++) all.push(await answer(script, argument, ['--expose-gc']))
  return all
}

async function answer (script, argument, execArgv) {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), [argument], { execArgv })
  const exited = once(child, 'exit').then(([code]) => { throw new Error(`${script} ended with ${code}`) })
  const [result] = await Promise.race([once(child, 'message'), exited])
  exited.catch(() => {})
  return result
}
