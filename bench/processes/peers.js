// What a scrape of a service of three processes answers with each library, seen by running them: when all is well, when
// a
// worker is blocked for 8 s, stopped, killed and replaced, when one ends orderly, and under PM2. Prints a Markdown
// table.
// `node bench/processes/peers.js` runs all of it, `node bench/processes/peers.js prom-client fastify` what has that in
// its name.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fleet, SCRAPE_TIMEOUT, WORKERS } from './fleet.js'

const REQUESTS = 90
/**
 * Requests after the last scrape, and how often it is tried whether any is lost: what is written every second may have
 * been written.
 */
const LATE = 30
const TRIES = 3

const ROUTE = /^http_request_duration_seconds_count\{[^}]*(route|path)="\/walk"/
const WALKS = /^walks_total[ {]/
const UNDER_PM2 = {
  '`metrics()`': ['shared', '/metrics'],
  '`clusterMetrics()`': ['shared', '/cluster_metrics']
}

/**
 * Pages: of the primary's port, of the port that the workers share, or of each worker's own port. A page may be of one
 * worker only. Connections stay open unless it closes them. Under PM2: what is scraped, by what it is called in the table.
 */
const peers = [
  { name: 'fastify-prometheus', note: "the primary's port", program: 'fastify-prometheus.js', pages: 'primary', series: ROUTE },
  { name: 'fastify-prometheus', note: 'the shared port', program: 'fastify-prometheus.js', pages: 'shared', series: ROUTE, pm2: { '': ['shared', '/metrics'] } },
  { name: 'prom-client', program: 'prom-client.js', pages: 'primary', series: WALKS, pm2: UNDER_PM2 },
  { name: '@prometheus-io/client', program: 'prometheus-io-client.js', pages: 'primary', series: WALKS, pm2: UNDER_PM2 },
  { name: '@platformatic/prom-client', program: 'platformatic-prom-client.js', pages: 'primary', series: WALKS, pm2: UNDER_PM2 },
  { name: 'express-prom-bundle', program: 'express-prom-bundle.js', pages: 'primary', series: ROUTE, pm2: { 'its own page': ['shared', '/metrics'], '`clusterMetrics()`': ['shared', '/cluster_metrics'] } },
  { name: 'fastify-metrics', note: 'the shared port', program: 'fastify-metrics.js', pages: 'shared', isOfOne: true, series: ROUTE, pm2: { '': ['shared', '/metrics'] } },
  { name: '@opentelemetry/exporter-prometheus', note: 'a port for each worker', program: 'opentelemetry.js', pages: 'each', isOfOne: true, series: WALKS, pm2: { 'a port for each': ['each', '/metrics'], 'one port': ['one', '/metrics'] } },
  ...python()
]

/** Each gets a fleet of its own that has counted, and was scraped. @returns what was seen */
const questions = {
  async whole (fleet, { pages }) {
    return told(fleet, await fleet.scrape(), pages)
  },
  async blocked (fleet, { pages }) {
    await fleet.ask('/block')
    await sleep(200)
    return told(fleet, await fleet.scrape(), pages)
  },
  async stopped (fleet, { pages }) {
    fleet.signal(fleet.busiest, 'SIGSTOP')
    await sleep(200)
    return told(fleet, await fleet.scrape(), pages)
  },
  async killed (fleet, peer) {
    return await without(fleet, peer, TRIES, () => {
      const pid = fleet.busiest
      fleet.signal(pid, 'SIGKILL')
      return pid
    })
  },
  async ended (fleet, peer) {
    return await without(fleet, peer, 1, async () => await fleet.ask('/end'))
  },
  async PM2 (fleet, { pm2 }) {
    const answers = []
    for (const [what, [from, path]] of Object.entries(pm2)) answers.push(`${what}${what === '' ? '' : ': '}${told(fleet, await fleet.scrape(from, path), from)}`)
    return answers.join('; ')
  }
}

/**
 * A worker goes and is replaced: whether the sum goes down, and if not, whether anything is lost that no scrape has
 * shown.
 */
async function without (fleet, peer, tries, go) {
  const together = async () => {
    const pages = await fleet.scrape()
    const sums = pages.map(({ sum }) => sum ?? 0)
    return peer.isOfOne ? sums.reduce((sum, value) => sum + value) : Math.min(...sums)
  }
  const gone = async () => {
    const pid = await go()
    fleet.counted.delete(pid)
    await fleet.full(pid)
  }
  const files = () => peer.files?.(fleet) > WORKERS ? '; a file stays of each that is gone' : ''
  const shown = await together()
  await gone()
  let after = await together()
  if (after < shown) return `goes down by ${shown - after} of ${shown}${peer.isOfOne ? ', all workers together' : ''}${failure(fleet, peer)}`
  for (let i = 1; i <= tries; i++) {
    const before = after
    await fleet.drive(LATE)
    await gone()
    after = await together()
    if (after < before + LATE) return `stays, but some is lost that no scrape has shown${files()}`
  }
  return `stays, nothing is lost${files()}`
}

/** Why a worker could not say goodbye. */
function failure ({ said }, { name }) {
  const failed = /goodbye failed: (.*)/.exec(said)
  return failed === null ? '' : `: its goodbye fails with \`${failed[1]}\`, and it asks for Node ${packageOf(name).engines.node.replaceAll('||', 'or')}`
}

/** What pages say, and after how many seconds. */
function told (fleet, pages, from) {
  const groups = new Map()
  for (const { status, body, sum, seconds } of pages) {
    // Nothing answers before its timeout is over; how much later is the machine's.
    const after = seconds < 1 ? '' : ` after ${Math.floor(seconds * 2) / 2} s`
    const isOfOne = sum !== fleet.total && [...fleet.counted.values()].includes(sum)
    const what = status === 200
      ? `${isOfOne ? "one worker's " : ''}${sum === undefined && body.trim() === '' ? 'an empty page' : `${sum ?? 0} of ${fleet.total}`}${after}`
      : status === 0 ? (body === 'timeout' ? `no answer in ${SCRAPE_TIMEOUT} s` : body) : `fails with ${status}${after}`
    groups.set(what, (groups.get(what) ?? 0) + 1)
  }
  const what = from === 'each' ? 'ports' : 'scrapes'
  if (groups.size === 1) return `${[...groups.keys()][0]}${from === 'each' ? ' on each port' : ''}`
  return [...groups].sort(([, one], [, other]) => other - one).map(([says, count]) => `${count} of ${pages.length} ${what}: ${says}`).join(', ')
}

async function seen (question, peer) {
  if (question === 'PM2' && peer.pm2 === undefined) return '-'
  const fleet = await Fleet.start(peer, { pm2: question === 'PM2' })
  try {
    await fleet.drive(REQUESTS)
    // The first scrape of a process is slow: its code is not compiled.
    await fleet.scrape()
    const answer = await questions[question](fleet, peer)
    process.stderr.write(`  ${question}: ${answer}\n`)
    return answer
  } finally {
    await fleet.stop()
  }
}

async function row (peer) {
  process.stderr.write(`running ${titleOf(peer)} ...\n`)
  const whole = await seen('whole', peer)
  // These mostly wait.
  const [blocked, stopped] = await Promise.all(['blocked', 'stopped'].map((question) => seen(question, peer)))
  const rest = []
  for (const question of ['killed', 'ended', 'PM2']) rest.push(await seen(question, peer))
  return [titleOf(peer), whole, blocked, stopped, ...rest]
}

function titleOf ({ name, version = packageOf(name).version, note }) {
  return `${name} ${version}${note === undefined ? '' : `, ${note}`}`
}

function packageOf (name) {
  return JSON.parse(readFileSync(new URL(name === 'fastify-prometheus' ? '../../package.json' : `../../node_modules/${name}/package.json`, import.meta.url), 'utf8'))
}

/** The client of Python, where it is installed: the python3 of the system may not be the first one. */
function python () {
  for (const command of ['python3', '/usr/bin/python3']) {
    try {
      const version = execFileSync(command, ['-c', "import importlib.metadata, prometheus_client; print(importlib.metadata.version('prometheus_client'))"], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
      return [{
        name: 'prometheus_client',
        version,
        note: 'Python',
        program: 'prometheus-client-python.py',
        interpreter: [command],
        pages: 'primary',
        closes: true,
        series: WALKS,
        files: (fleet) => readdirSync(fleet.subfolder('counted')).length
      }]
    } catch {
      // The next one.
    }
  }
  process.stderr.write('prometheus_client of Python is not installed\n')
  return []
}

const asked = process.argv.slice(2)
const rows = []
for (const peer of peers) if (asked.length === 0 || asked.some((name) => titleOf(peer).includes(name))) rows.push(await row(peer))
console.log(`Node ${process.version}, ${WORKERS} workers that have counted ${REQUESTS}, scraped with a timeout of ${SCRAPE_TIMEOUT} s\n`)
console.log(`| | ${Object.keys(questions).join(' | ')} |\n|---|${'---|'.repeat(Object.keys(questions).length)}`)
for (const cells of rows) console.log(`| ${cells.join(' | ')} |`)
