// node socket.js <path> [<calls>]: serves metrics on a Unix socket until it is killed, and tells its parent when it does.
// It is killed at its so manieth call of the file system.
import fs from 'node:fs/promises'
import { createRequire } from 'node:module'
import process from 'node:process'

const [path, calls] = process.argv.slice(2)
let call = 0
for (const name of ['link', 'lstat', 'rm']) {
  const original = fs[name]
  fs[name] = (...args) => {
    if (++call === Number(calls)) process.kill(process.pid, 'SIGKILL')
    return original(...args)
  }
}
const require = createRequire(import.meta.url)
const { metricsServer } = require('fastify-prometheus')
const { Registry } = require('prom-client')
await metricsServer({ registry: new Registry(), socket: path })
process.send('up')
