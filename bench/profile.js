// Where the CPU time of a request and of a query goes: the HTTP server and the pool of the bench under V8's profiler,
// bare and with ours, in microseconds of self time.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startPostgres } from '../test/support/postgres.js'
import { Connections } from './http/connections.js'
import { row } from './measure.js'

/** Requests, or queries, that are measured, and those before them. */
const UNITS = 100_000
const WARMUP = 30_000
/** Functions that are listed: those that take most more than bare. */
const LISTED = 12

/** The rooms that a frame may be in, the first that fits. */
const ROOMS = [
  ['fastify-prometheus, http', /\/dist\/src\/http\//],
  ['fastify-prometheus, metrics', /\/dist\/src\/metrics\//],
  ['fastify-prometheus, pg', /\/dist\/adapters\/pg\//],
  ['fastify-prometheus, the rest', /\/dist\/(src|adapters)\//],
  ['Fastify, pg and their packages', /\/node_modules\//],
  ['Node', /^node:/]
]

export async function profile () {
  const postgres = await startPostgres()
  try {
    return [
      ...await compared('a request', (name) => profiled(name, 'http/server.js', [name], underRequests)),
      ...await compared('a SELECT 1 through a pool', (name) => profiled(name, 'pg/queries.js', [name, 'pool', JSON.stringify(postgres.config)], underQueries))
    ]
  } finally {
    await postgres.close()
  }
}

/** The rows of one thing that is done many times, such as a request. */
async function compared (unit, profileOf) {
  const bare = await profileOf('bare')
  const ours = await profileOf('ours')
  const rooms = new Set([...bare.rooms.keys(), ...ours.rooms.keys()])
  return [
    ...[...rooms].map((room) => {
      const [before, after] = [bare, ours].map(({ rooms }) => rooms.get(room) ?? 0)
      return row(`${unit}: ${room}`, `${after.toFixed(1)} us, bare ${before.toFixed(1)}: ${after < before ? '' : '+'}${(after - before).toFixed(1)}`, '', true)
    }),
    ...[...ours.functions].map(([name, after]) => [name, after - (bare.functions.get(name) ?? 0)]).sort(([, a], [, b]) => b - a).slice(0, LISTED)
      .map(([name, more]) => row(`... ${name}`, `+${more.toFixed(2)} us`, '', true))
  ]
}

/**
 * Runs a script with the profiler until it ends.
 * @param drive makes it work
 * @returns microseconds of one unit by room, and by function
 */
async function profiled (name, script, args, drive) {
  const folder = await mkdtemp(join(tmpdir(), `fastify-prometheus-profile-${name}-`))
  try {
    const execArgv = ['--cpu-prof', '--cpu-prof-interval=200', `--cpu-prof-dir=${folder}`]
    const child = fork(fileURLToPath(new URL(script, import.meta.url)), args, { execArgv })
    const exited = once(child, 'exit')
    await drive(child)
    child.disconnect()
    const [code] = await exited
    if (code !== 0) throw new Error(`${script} of ${name} ended with code ${code}`)
    const [file] = await readdir(folder)
    return read(JSON.parse(await readFile(join(folder, file), 'utf8')))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function underRequests (child) {
  const [{ port }] = await once(child, 'message')
  const connections = await Connections.open(port)
  await connections.load(WARMUP + UNITS)
  connections.close()
}

async function underQueries (child) {
  child.send(WARMUP + UNITS)
  await once(child, 'message')
}

function read ({ nodes, samples, timeDeltas }) {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const rooms = new Map()
  const functions = new Map()
  // What compiles and warms up is in the first part of the samples; its share is that of its requests.
  const first = Math.floor(samples.length * WARMUP / (WARMUP + UNITS))
  const add = (map, key, delta) => map.set(key, (map.get(key) ?? 0) + delta / UNITS)
  for (let i = first; i < samples.length; i++) {
    const { functionName, url } = frames.get(samples[i])
    if (functionName === '(idle)') continue
    const room = ROOMS.find(([, pattern]) => pattern.test(url))?.[0] ?? (functionName === '(garbage collector)' ? 'garbage collector' : 'V8 and the system')
    add(rooms, room, timeDeltas[i])
    add(functions, `${functionName || 'anonymous'}${url === '' ? '' : ` in ${url.split(/\/dist\/|\/node_modules\//).at(-1)}`}`, timeDeltas[i])
  }
  return { rooms, functions }
}
