// node socket.js <path>: serves metrics on a Unix socket until it is killed, and tells its parent when it does.
import process from 'node:process'
import { metricsServer } from 'fastify-prometheus'
import { Registry } from 'prom-client'

await metricsServer({ registry: new Registry(), socket: process.argv[2] })
process.send('up')
