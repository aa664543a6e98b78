// A scrape of 112,000 series over HTTP: CPU time, longest freeze and memory of the server, read in its own process while another one scrapes it.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { get } from 'node:http'
import { fileURLToPath } from 'node:url'
import process from 'node:process'
import zlib from 'node:zlib'
import { interleave, median, row, Spread, STARTS } from '../measure.js'

/** Node has it from 22.15 on. */
const { createZstdCompress } = zlib

const PROTOBUF = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited'
/** What a scraper asks for, by what it is called in the table. */
const FORMATS = {
  text: { accept: 'text/plain;version=0.0.4' },
  OpenMetrics: { accept: 'application/openmetrics-text;version=1.0.0' },
  protobuf: { accept: PROTOBUF },
  'OpenMetrics-2.0': { accept: 'application/openmetrics-text;version=2.0.0' }
}
/** The same page compressed: what it costs beside the page itself. */
const COMPRESSED = {
  'text+gzip': { accept: 'text/plain;version=0.0.4', 'accept-encoding': 'gzip' },
  ...createZstdCompress === undefined ? {} : { 'text+zstd': { accept: 'text/plain;version=0.0.4', 'accept-encoding': 'zstd' } }
}
const ASKED = { ...FORMATS, ...COMPRESSED }
const PEERS = ['prom-client', '@prometheus-io/client', 'OpenTelemetry']
const LEAST_LINES = 112_000
/** Scrapes before one that is measured. */
const WARMUP = 3

export async function exposition ({ rounds = 2, starts = STARTS } = {}) {
  const names = [...Object.keys(ASKED).map((format) => `ours ${format}`), ...PEERS]
  const all = []
  for (let start = 1; start <= starts; start++) {
    process.stderr.write(`  start ${start} of ${starts}\n`)
    all.push(await oneStart(names, rounds))
  }
  const over = (name, what) => new Spread(all.map((readings) => readings[name][what]))
  const cpu = (name) => over(name, 'cpu')
  const size = (name) => `${(over(name, 'bytes').median / 2 ** 20).toFixed(1)} MB`
  const peer = cpu('prom-client')
  const compared = (name, budget, holds) => {
    const ours = cpu(`ours ${name}`)
    return row(`a scrape of 112,000 series, ${name.replace('-', ' ')}`, `${ours.text(0)} ms of CPU, prom-client ${peer.median.toFixed(0)} ms: 1/${(peer.median / ours.median).toFixed(1)}`, budget, holds(ours.median))
  }
  const protobuf = cpu('ours protobuf').median
  return [
    compared('text', 'at most 1/4', (ours) => ours <= peer.median / 4),
    compared('OpenMetrics', 'at most 1/4', (ours) => ours <= peer.median / 4),
    compared('protobuf', 'at most 1/15', (ours) => ours <= peer.median / 15),
    compared('OpenMetrics-2.0', "at most protobuf's double", (ours) => ours <= protobuf * 2),
    ...PEERS.slice(1).map((name) => row(`... ${name}`, `${cpu(name).text(0)} ms`, '', true)),
    ...Object.keys(COMPRESSED).map((name) => row(`... ${name.replace('+', ' with ')}`, `${cpu(`ours ${name}`).text(0)} ms, ${size(`ours ${name}`)} of ${size('ours text')}`, '', true)),
    ...Object.keys(FORMATS).map((format) => {
      const freeze = over(`ours ${format}`, 'freeze')
      return row(`... longest freeze, ${format.replace('-', ' ')}`, `${freeze.text(1)} ms, prom-client ${over('prom-client', 'freeze').median.toFixed(0)} ms`, 'at most 10 ms', freeze.median <= 10)
    }),
    ...Object.keys(FORMATS).map((format) => {
      const above = over(`ours ${format}`, 'above')
      return row(`... memory above the page itself, ${format.replace('-', ' ')}`, `${above.text(0)} MB, prom-client ${over('prom-client', 'above').median.toFixed(0)} MB`, 'at most 32 MB', above.median <= 32)
    })
  ]
}

/** @returns by server: milliseconds of CPU, longest freeze, bytes of the page, and megabytes of memory above those */
async function oneStart (names, rounds) {
  const readings = Object.fromEntries(names.map((name) => [name, []]))
  const servers = new Map()
  for (const name of names) {
    const [library, format] = name.split(' ')
    const child = fork(fileURLToPath(new URL('server.js', import.meta.url)), [library], { execArgv: ['--expose-gc'] })
    const [{ port }] = await once(child, 'message')
    servers.set(name, { child, port, headers: ASKED[format] ?? { accept: '*/*' } })
  }
  // The first scrape of a process takes the most memory: the code is not compiled, and the heap has its first size.
  const first = {}
  for (const name of names) first[name] = await scraped(servers.get(name), true)
  const costs = await interleave(Object.fromEntries(names.map((name) => [name, async () => {
    // A process that had nothing to do for a while has given its memory back and is slow at first; a service at work has not.
    for (let i = 0; i < WARMUP; i++) await scraped(servers.get(name))
    const reading = await scraped(servers.get(name))
    readings[name].push(reading)
    return reading.cpu
  }])), { rounds, warmup: 1 })
  for (const { child } of servers.values()) child.disconnect()
  return Object.fromEntries(names.map((name) => [name, {
    cpu: median(costs[name]),
    freeze: median(readings[name].map(({ freeze }) => freeze)),
    bytes: first[name].bytes,
    above: (first[name].peak - first[name].bytes) / 2 ** 20
  }]))
}

/** Scrapes a server once, and gives what it took. */
async function scraped ({ child, port, headers }, collectGarbage = false) {
  await reading(child, collectGarbage)
  const bytes = await scrape(port, headers)
  return { ...await reading(child, false), bytes }
}

/** What the server used since the last reading. */
async function reading (child, collectGarbage) {
  child.send(collectGarbage)
  const [used] = await once(child, 'message')
  await once(child, 'message')
  return used
}

/** Reads a page and throws it away. @returns its bytes */
async function scrape (port, headers) {
  const request = get({ port, host: '127.0.0.1', path: '/metrics', headers })
  const [response] = await once(request, 'response')
  let bytes = 0
  let lines = 0
  for await (const chunk of response) {
    bytes += chunk.length
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines++
  }
  if (response.statusCode !== 200) throw new Error(`the scrape was answered ${response.statusCode}`)
  const isOfLines = !/protobuf|version=2/.test(headers.accept) && headers['accept-encoding'] === undefined
  if (isOfLines && lines < LEAST_LINES) throw new Error(`the page has ${lines} lines, expected at least ${LEAST_LINES}`)
  return bytes
}
