// What a process does every second to write what it has counted, as far as it keeps its event loop: when each of many
// series has changed, and when none has.
import process from 'node:process'
import { register } from 'prom-client'
import { Contributions } from '../../dist/src/processes/contribution.js'
import { Contributors } from '../../dist/src/processes/contributors.js'
import { row, Spread } from '../measure.js'
import { fill, LINES, LOADS, textOf } from './load.js'

/** Bytes: a header and a number. */
const LEAST_OBJECT = 16
const ROUNDS = 200
const WARMUP = 50

export async function flush () {
  const rows = []
  for (const each of LOADS) {
    const { load, sets, budgeted } = each
    register.clear()
    const change = await fill('ours', load, sets)
    const observer = { failed (metric, error) { throw error }, counted () {} }
    const contributors = new Contributors([register], 0, observer)
    const contributions = new Contributions('bench')
    contributions.next(await contributors.all(1000))
    const changed = await measured(contributors, contributions, change)
    const unchanged = await measured(contributors, contributions, () => {})
    if (changed.written !== ROUNDS || unchanged.written !== 0) throw new Error(`${changed.written} and ${unchanged.written} were written`)
    rows.push(
      row(`a flush of ${textOf(each)}, all changed`, `${changed.milliseconds.text(2)} ms of the event loop`, budgeted ? 'at most 1 ms' : '', changed.milliseconds.median <= 1),
      row('... memory that it allocates, a series', `${(changed.bytes.median / sets / LINES[load]).toFixed(1)} bytes`, 'no object', changed.bytes.median / sets / LINES[load] < LEAST_OBJECT),
      row('... and when nothing has changed', `${unchanged.milliseconds.text(2)} ms, nothing is written`, '', true)
    )
  }
  return rows
}

async function measured (contributors, contributions, change) {
  const milliseconds = []
  const bytes = []
  let written = 0
  for (let round = -WARMUP; round < ROUNDS; round++) {
    change()
    const before = process.memoryUsage().heapUsed
    const began = performance.now()
    const contribution = contributions.next(contributors.now())
    const took = performance.now() - began
    const after = process.memoryUsage().heapUsed
    if (round >= 0) {
      milliseconds.push(took)
      bytes.push(Math.max(0, after - before))
      if (contribution !== undefined) written++
    }
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  return { milliseconds: new Spread(milliseconds), bytes: new Spread(bytes), written }
}
