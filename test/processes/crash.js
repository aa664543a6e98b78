// node crash.js <directory> <count> <calls>: a process that counts, joins the others, and is killed at its so manieth call of the file system; 0 is never.
// It says 'joined' when it has, and is killed then.
import fs from 'node:fs/promises'
import { createRequire } from 'node:module'
import process from 'node:process'

const [dir, count, calls] = process.argv.slice(2)
const require = createRequire(import.meta.url)
let call = 0
for (const name of ['writeFile', 'link', 'rename', 'rm', 'readdir', 'mkdir', 'lstat', 'open']) {
  const original = fs[name]
  fs[name] = (...args) => {
    if (++call === Number(calls)) process.kill(process.pid, 'SIGKILL')
    return original(...args)
  }
}
const { contributeMetrics } = require('fastify-prometheus')
const { Counter, Gauge, Registry } = require('prom-client')
const registry = new Registry()
new Counter({ name: 'walks_total', help: 'Walks.', registers: [registry] }).inc(Number(count))
new Gauge({ name: 'dogs', help: 'Dogs.', registers: [registry] }).set(Number(count))
await contributeMetrics({ registry, processes: { dir } })
process.stdout.write(`joined ${call}\n`)
process.kill(process.pid, 'SIGKILL')
