// Measures a scrape of 112,000 series over HTTP: CPU time, longest freeze and memory of the server. The server reads
// them in its own process, and this process scrapes it.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { get } from 'node:http'
import { fileURLToPath } from 'node:url'
import { interleave, median, row } from '../measure.js'

const FORMATS = {
  text: 'text/plain;version=0.0.4',
  OpenMetrics: 'application/openmetrics-text;version=1.0.0',
  protobuf: 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited'
}
const PEERS = ['prom-client', '@prometheus-io/client', 'OpenTelemetry']
const LEAST_LINES = 112_000
/** The number of scrapes before each measured scrape. */
const WARMUP = 4

export async function exposition ({ rounds = 15 } = {}) {
  const names = [...Object.keys(FORMATS).map((format) => `ours ${format}`), ...PEERS]
  const readings = Object.fromEntries(names.map((name) => [name, []]))
  const servers = new Map()
  for (const name of names) {
    const child = fork(fileURLToPath(new URL('server.js', import.meta.url)), [name.split(' ')[0]], { execArgv: ['--expose-gc'] })
    const [{ port }] = await once(child, 'message')
    servers.set(name, { child, port, accept: FORMATS[name.split(' ')[1]] ?? '*/*' })
  }
  // The first scrape of a process takes the most memory: the code is not compiled, and the heap has its first size.
  const first = {}
  for (const name of names) first[name] = await scraped(servers.get(name), true)
  const costs = await interleave(Object.fromEntries(names.map((name) => [name, async () => {
    // A process that had nothing to do for a while has given its memory back and is slow at first. A service at work
    // has not given it back.
    for (let i = 0; i < WARMUP; i++) await scraped(servers.get(name))
    const reading = await scraped(servers.get(name))
    readings[name].push(reading)
    return reading.cpu
  }])), { rounds })
  for (const { child } of servers.values()) child.disconnect()

  const cpu = (name) => median(costs[name])
  const freeze = (name) => median(readings[name].map(({ freeze }) => freeze))
  const above = (name) => (first[name].peak - first[name].bytes) / 2 ** 20
  const compared = (name) => {
    const ratio = cpu(`ours ${name}`) / cpu('prom-client')
    return row(`a scrape of 112,000 series, ${name}`, `${cpu(`ours ${name}`).toFixed(0)} ms of CPU, prom-client ${cpu('prom-client').toFixed(0)} ms: 1/${(1 / ratio).toFixed(1)}`, 'at most 1/4', ratio <= 1 / 4)
  }
  return [
    ...Object.keys(FORMATS).map(compared),
    ...PEERS.slice(1).map((name) => row(`... ${name}`, `${cpu(name).toFixed(0)} ms`, '', true)),
    ...Object.keys(FORMATS).map((format) => row(`... longest freeze, ${format}`, `${freeze(`ours ${format}`).toFixed(1)} ms, prom-client ${freeze('prom-client').toFixed(0)} ms`, 'at most 10 ms', freeze(`ours ${format}`) <= 10)),
    ...Object.keys(FORMATS).map((format) => row(`... memory above the page itself, ${format}`, `${above(`ours ${format}`).toFixed(0)} MB, prom-client ${above('prom-client').toFixed(0)} MB`, 'at most 32 MB', above(`ours ${format}`) <= 32))
  ]
}

/** Scrapes a server once. @returns the server's reading of this scrape, and the bytes of the page */
async function scraped ({ child, port, accept }, collectGarbage = false) {
  await reading(child, collectGarbage)
  const bytes = await scrape(port, accept)
  return { ...await reading(child, false), bytes }
}

/** The server's CPU time, longest freeze and peak memory since the last reading. */
async function reading (child, collectGarbage) {
  child.send(collectGarbage)
  const [used] = await once(child, 'message')
  await once(child, 'message')
  return used
}

/** Reads a page and throws it away. @returns the number of its bytes */
async function scrape (port, accept) {
  const request = get({ port, host: '127.0.0.1', path: '/metrics', headers: { accept } })
  const [response] = await once(request, 'response')
  let bytes = 0
  let lines = 0
  for await (const chunk of response) {
    bytes += chunk.length
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines++
  }
  if (response.statusCode !== 200) throw new Error(`the scrape was answered ${response.statusCode}`)
  if (!accept.includes('protobuf') && lines < LEAST_LINES) throw new Error(`the page has ${lines} lines, expected at least ${LEAST_LINES}`)
  return bytes
}
