// Where the CPU time of a request goes: the HTTP server of the bench under load with V8's profiler, bare and with ours, by microseconds of self time a request.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Connections } from './http/connections.js'
import { row } from './measure.js'

const REQUESTS = 100_000
const WARMUP = 30_000
/** Functions that are listed: those that take most more than bare. */
const LISTED = 25

/** The rooms that a frame may be in, the first that fits. */
const ROOMS = [
  ['fastify-prometheus, http', /\/dist\/src\/http\//],
  ['fastify-prometheus, metrics', /\/dist\/src\/metrics\//],
  ['fastify-prometheus, the rest', /\/dist\/(src|adapters)\//],
  ['Fastify and its packages', /\/node_modules\//],
  ['Node', /^node:/]
]

export async function profile () {
  const bare = await profiled('bare')
  const ours = await profiled('ours')
  const rooms = new Set([...bare.rooms.keys(), ...ours.rooms.keys()])
  return [
    ...[...rooms].map((room) => {
      const [before, after] = [bare, ours].map(({ rooms }) => rooms.get(room) ?? 0)
      return row(room, `${after.toFixed(1)} us a request, bare ${before.toFixed(1)}: ${after < before ? '' : '+'}${(after - before).toFixed(1)}`, '', true)
    }),
    ...[...ours.functions].map(([name, after]) => [name, after - (bare.functions.get(name) ?? 0)]).sort(([, a], [, b]) => b - a).slice(0, LISTED)
      .map(([name, more]) => row(`... ${name}`, `+${more.toFixed(2)} us`, '', true))
  ]
}

/** @returns microseconds a request by room, and by function */
async function profiled (name) {
  const folder = await mkdtemp(join(tmpdir(), 'fastify-prometheus-profile-'))
  try {
    const execArgv = ['--cpu-prof', '--cpu-prof-interval=200', `--cpu-prof-dir=${folder}`]
    const child = fork(fileURLToPath(new URL('http/server.js', import.meta.url)), [name], { execArgv })
    const [{ port }] = await once(child, 'message')
    const connections = await Connections.open(port)
    await connections.load(WARMUP + REQUESTS)
    connections.close()
    const exited = once(child, 'exit')
    child.disconnect()
    await exited
    const [file] = await readdir(folder)
    return read(JSON.parse(await readFile(join(folder, file), 'utf8')))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function read ({ nodes, samples, timeDeltas }) {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const rooms = new Map()
  const functions = new Map()
  // What compiles and warms up is in the first part of the samples; its share is that of its requests.
  const first = Math.floor(samples.length * WARMUP / (WARMUP + REQUESTS))
  const add = (map, key, delta) => map.set(key, (map.get(key) ?? 0) + delta / REQUESTS)
  for (let i = first; i < samples.length; i++) {
    const { functionName, url } = frames.get(samples[i])
    if (functionName === '(idle)') continue
    const room = ROOMS.find(([, pattern]) => pattern.test(url))?.[0] ?? (functionName === '(garbage collector)' ? 'garbage collector' : 'V8 and the system')
    add(rooms, room, timeDeltas[i])
    add(functions, `${functionName || 'anonymous'}${url === '' ? '' : ` in ${url.split(/\/dist\/|\/node_modules\//).at(-1)}`}`, timeDeltas[i])
  }
  return { rooms, functions }
}
