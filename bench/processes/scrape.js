// A scrape of eight processes: the CPU time of all together, the longest freeze of each and the memory of the one that
// answers, ours and prom-client's AggregatorRegistry.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { get } from 'node:http'
import { fileURLToPath } from 'node:url'
import process from 'node:process'
import { row, Spread, STARTS } from '../measure.js'
import { LOADS, textOf } from './load.js'

const PROCESSES = 8
/** Scrapes before those that are measured, and those. prom-client takes ten seconds for each of the large ones. */
const TIMES = { true: { warmup: 3, scrapes: 5 }, false: { warmup: 1, scrapes: 1 } }

export async function scrape ({ starts = Math.min(STARTS, 5) } = {}) {
  const rows = []
  for (const each of LOADS) {
    const { load, sets, budgeted } = each
    const { warmup, scrapes } = TIMES[budgeted]
    const readings = { ours: [], 'prom-client': [] }
    for (let start = 1; start <= starts; start++) {
      process.stderr.write(`  ${sets} ${load}, start ${start} of ${starts}\n`)
      for (const library of Object.keys(readings)) readings[library].push(await oneStart(library, load, sets, warmup, scrapes))
    }
    const over = (library, what) => new Spread(readings[library].map((reading) => reading[what]))
    const [ours, theirs] = [over('ours', 'cpu'), over('prom-client', 'cpu')]
    const answered = readings['prom-client'].every(({ ok }) => ok) ? '' : ', whose scrapes fail after 5 s'
    rows.push(
      row(`a scrape of ${PROCESSES} processes, each with ${textOf(each)}`,
        `${ours.text(0)} ms of CPU in all, prom-client ${theirs.text(0)} ms${answered}: 1/${(theirs.median / ours.median).toFixed(1)}`, budgeted ? 'at most 1/4' : '', ours.median <= theirs.median / 4),
      freezeRow('of the one that answers', over('ours', 'freeze'), over('prom-client', 'freeze'), budgeted ? 10 : undefined),
      freezeRow('of the others', over('ours', 'others'), over('prom-client', 'others'), budgeted ? 2 : undefined),
      row('... memory of the one that answers, above what it had', `${over('ours', 'above').text(1)} MB, prom-client ${over('prom-client', 'above').text(0)} MB`, '', true),
      row('... time of a scrape', `${over('ours', 'took').text(0)} ms, prom-client ${over('prom-client', 'took').text(0)} ms`, '', true)
    )
  }
  return rows
}

function freezeRow (whose, ours, theirs, most) {
  return row(`... longest freeze ${whose}`, `${ours.text(1)} ms, prom-client ${theirs.median.toFixed(0)} ms`, most === undefined ? '' : `at most ${most} ms`, ours.median <= most)
}

/** @returns medians of one start over its scrapes: milliseconds of CPU, of freezes and of a scrape, megabytes */
async function oneStart (library, load, sets, warmup, scrapes) {
  const child = fork(fileURLToPath(new URL('eight.js', import.meta.url)), [library, load, String(sets), String(PROCESSES)], { execArgv: ['--expose-gc'] })
  const [{ port }] = await once(child, 'message')
  const ask = async (what) => {
    child.send(what)
    const [answer] = await once(child, 'message')
    return answer
  }
  const readings = []
  let ok = true
  for (let i = -warmup; i < scrapes; i++) {
    // What is looked at costs time. So each is read of a scrape of its own.
    await ask('freeze')
    ok &&= await page(port) === 200
    const { freeze, others } = await ask('read')
    await ask('memory')
    await page(port)
    const { above } = await ask('read')
    await ask('cpu')
    const began = performance.now()
    await page(port)
    const took = performance.now() - began
    const { cpu } = await ask('read')
    if (i >= 0) readings.push({ cpu, above, took, freeze, others })
  }
  const exit = once(child, 'exit')
  child.send('end')
  await exit
  const middle = (what) => new Spread(readings.map((reading) => reading[what])).median
  return { ok, cpu: middle('cpu'), freeze: middle('freeze'), others: middle('others'), above: middle('above'), took: middle('took') }
}

async function page (port) {
  const [response] = await once(get({ host: '127.0.0.1', port, path: '/metrics', headers: { 'x-prometheus-scrape-timeout-seconds': '60' } }), 'response')
  response.resume()
  await once(response, 'end')
  return response.statusCode
}
