// An app that PM2 starts. PORTS are those that its instances share, or one for each.
import process from 'node:process'
import fastify from 'fastify'
import { metricsPlugin } from 'fastify-prometheus'

const app = fastify()
app.register(metricsPlugin, { processes: true })
app.get('/walk', async () => ({ pid: process.pid }))
process.on('SIGINT', () => { app.close().then(() => process.exit()) })
const ports = process.env.PORTS.split(',')
await app.listen({ host: '127.0.0.1', port: Number(ports[Number(process.env.NODE_APP_INSTANCE) % ports.length]) })
