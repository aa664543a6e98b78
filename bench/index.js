// Prints our budgets and the results of this machine side by side. The results are ratios of one run: the variants are
// interleaved, each server is started ten times (BENCH_STARTS), and medians over the starts are compared.
// `npm run bench` runs all of it, `npm run bench -- http observation` some of it.
// BENCH_BEFORE=/path/to/another/dist compares http and pg with that build.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const questions = {
  http: async () => (await import('./http/index.js')).http(),
  observation: async () => (await import('./observation.js')).observation(),
  memory: async () => (await import('./memory.js')).memory(),
  exposition: async () => (await import('./exposition/index.js')).exposition(),
  protobuf: async () => (await import('./protobuf.js')).protobuf(),
  pg: async () => (await import('./pg/index.js')).pgPool(),
  mysql2: async () => (await import('./mysql2/index.js')).mysqlPool(),
  sqlite: async () => (await import('./sqlite/index.js')).sqlite(),
  cache: async () => (await import('./cache/index.js')).cache(),
  undici: async () => (await import('./undici/index.js')).outgoing(),
  processes: async () => (await import('./processes/index.js')).processes(),
  live: async () => (await import('./live/index.js')).live(),
  profile: async () => (await import('./profile.js')).profile()
}

if (process.send !== undefined) {
  process.send(await questions[process.argv[2]]())
  process.disconnect()
} else {
  const asked = process.argv.slice(2)
  const unknown = asked.filter((name) => !(name in questions))
  if (unknown.length > 0) {
    console.error(`bench knows ${Object.keys(questions).join(', ')}, not ${unknown.join(', ')}`)
    process.exit(1)
  }
  const rows = []
  for (const name of asked.length > 0 ? asked : Object.keys(questions)) {
    process.stderr.write(`measuring ${name} ...\n`)
    const child = fork(fileURLToPath(import.meta.url), [name])
    const [answer] = await once(child, 'message')
    rows.push(...answer)
  }
  console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}\n`)
  console.log('| what | result | budget | holds |\n|---|---|---|---|')
  for (const { what, result, budget, holds } of rows) console.log(`| ${what} | ${result} | ${budget} | ${budget === '' ? '' : holds} |`)
}
