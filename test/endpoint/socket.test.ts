import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { link, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import fastify from 'fastify'
import { Registry } from 'prom-client'
import t from 'tap'
import { beside, takePath } from '../../src/endpoint/socket.js'
import { metricsPlugin, metricsServer } from '../../src/index.js'
import { temporaryFolder } from '../support/temporary-folder.js'

async function page (socketPath: string, path = '/metrics'): Promise<string> {
  const [response] = await once(request({ socketPath, path }).end(), 'response')
  return await text(response)
}

/** A process that serves metrics on a socket, until it is killed. */
async function serving (socket: string): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL('socket.js', import.meta.url)), [socket])
  await once(child, 'message')
  return child
}

/** Puts a socket there that a killed process has left. */
async function leave (socket: string): Promise<void> {
  const child = await serving(socket)
  child.kill('SIGKILL')
  await once(child, 'exit')
}

t.test('a page on a Unix socket, of the plugin and of metricsServer', async (t) => {
  const folder = await temporaryFolder(t, 's')
  const app = fastify()
  app.register(metricsPlugin, { registry: new Registry(), endpoint: { socket: join(folder, 'app.sock') } })
  await app.ready()
  t.match(app.metrics.server, { socket: join(folder, 'app.sock'), url: `http://unix:${join(folder, 'app.sock')}:/metrics`, host: 'localhost', port: 0 })
  t.match(await page(join(folder, 'app.sock')), 'process_cpu_seconds_total')
  t.equal(await page(join(folder, 'app.sock'), '/-/healthy'), 'Healthy\n')
  t.equal((await app.inject('/metrics')).statusCode, 404)
  const server = await metricsServer({ registry: new Registry(), socket: join(folder, 'own.sock'), path: '/own' })
  t.match(await page(join(folder, 'own.sock'), '/own'), 'metrics_exposition')
  await server.close()
  await app.close()
  t.same(await readdir(folder), [], 'nothing is left')
})

t.test('each process of several has a socket of its own, with the first number that is free', async (t) => {
  const folder = await temporaryFolder(t, 's')
  const socket = join(folder, 'walks-{n}.sock')
  const servers = await Promise.all(Array.from({ length: 5 }, async () => await metricsServer({ registry: new Registry(), socket })))
  t.same(servers.map((server) => server.socket).sort(), [0, 1, 2, 3, 4].map((n) => join(folder, `walks-${n}.sock`)))
  const second = servers.find((server) => server.socket?.endsWith('walks-1.sock') === true)
  await second?.close()
  const next = await metricsServer({ registry: new Registry(), socket })
  t.equal(next.socket, join(folder, 'walks-1.sock'))
  for (const server of [...servers.filter((server) => server !== second), next]) {
    t.match(await page(server.socket ?? ''), 'metrics_exposition')
    await server.close()
  }
  t.same(await readdir(folder), [])
})

t.test('one that a killed process has left is replaced, whoever are there at once; one that is answered is not', async (t) => {
  const folder = await temporaryFolder(t, 's')
  const socket = join(folder, 'app.sock')
  const child = await serving(socket)
  await t.rejects(metricsServer({ registry: new Registry(), socket }), { code: 'FP_ERR_PORT_TAKEN', message: /another process listens on the socket .*app\.sock; end it, give 'socket' another path, or put \{n\} into the path/ })
  t.match(await page(socket), 'metrics_exposition', 'it is still there')
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.ok((await stat(socket)).isSocket())
  const all = await Promise.allSettled(Array.from({ length: 6 }, async () => await metricsServer({ registry: new Registry(), socket })))
  const taken = all.flatMap((each) => each.status === 'fulfilled' ? [each.value] : [])
  t.equal(taken.length, 1)
  for (const each of all) if (each.status === 'rejected') t.match(each.reason, { code: 'FP_ERR_PORT_TAKEN' })
  t.match(await page(socket), 'metrics_exposition')
  await taken[0]?.close()
  t.same(await readdir(folder), [])
})

t.test('of many who find one that a killed process has left, one takes its path, however they meet', async (t) => {
  const folder = await temporaryFolder(t, 's')
  const left = join(folder, 'left.sock')
  await leave(left)
  const winners: number[] = []
  for (let round = 0; round < 100; round++) {
    const path = join(folder, `${round}.sock`)
    await link(left, path)
    const all = await Promise.all(Array.from({ length: 8 }, async () => {
      const draft = beside(path)
      const server = createServer().listen(draft)
      await once(server, 'listening')
      return { server, hasPath: await takePath(draft, path) }
    }))
    winners.push(all.filter(({ hasPath }) => hasPath).length)
    for (const { server } of all) server.close()
  }
  t.same([...new Set(winners)], [1])
  t.same((await readdir(folder)).filter((file) => /sock\./.test(file)), [], 'nothing is left beside the paths')
})

t.test('whenever a process that replaces one is killed, the next one takes the path', async (t) => {
  const folder = await temporaryFolder(t, 's')
  const left = join(folder, 'left.sock')
  await leave(left)
  let calls = 0
  for (let isUp = false; !isUp;) {
    calls++
    const socket = join(folder, `${calls}.sock`)
    await link(left, socket)
    // The second may find what the first has left half done.
    const ends = []
    for (let i = 0; i < 2; i++) {
      const child = fork(fileURLToPath(new URL('socket.js', import.meta.url)), [socket, String(calls)])
      const [message] = await Promise.race([once(child, 'message'), once(child, 'exit').then(() => ['killed'])])
      child.kill('SIGKILL')
      if (child.signalCode === null) await once(child, 'exit')
      ends.push(message)
    }
    isUp = ends[0] === 'up'
    const server = await metricsServer({ registry: new Registry(), socket })
    t.equal(server.socket, socket)
    t.match(await page(socket), 'metrics_exposition', `${calls} calls: ${ends}`)
    await server.close()
  }
  t.ok(calls > 6, `${calls} calls`)
})

t.test('what is no socket is left alone, and what cannot be one is refused', async (t) => {
  const folder = await temporaryFolder(t, 's')
  await writeFile(join(folder, 'file'), 'mine')
  await t.rejects(metricsServer({ socket: join(folder, 'file') }), { code: 'FP_ERR_PORT_TAKEN', message: /there is a file at .*, which is no socket; remove it, or give 'socket' another path/ })
  await mkdir(join(folder, 'folder'))
  await t.rejects(metricsServer({ socket: join(folder, 'folder') }), { code: 'FP_ERR_PORT_TAKEN' })
  await t.rejects(metricsServer({ socket: join(folder, 'none', 'app.sock') }), { code: 'FP_ERR_PORT_TAKEN', message: /the folder of the socket .* is not there, or this process may not write to it/ })
  t.same((await readdir(folder)).sort(), ['file', 'folder'])
  for (const [given, why] of [
    [{ socket: 'app.sock' }, /option 'socket' must be an absolute path of at most 96 bytes, got a string of 8 characters/],
    [{ socket: `/${'x'.repeat(96)}` }, /'socket' must be an absolute path of at most 96 bytes/],
    [{ socket: 7 }, /'socket' must be an absolute path of at most 96 bytes, got 7/],
    [{ socket: '/run/app.sock', port: 0 }, /'socket' must be left out where there is a 'port'/],
    [{ socket: '/run/app.sock', host: '::1' }, /'host' must be left out where there is no 'port'/],
    [{}, /'port' must be given: a port, or \{ from, to \} for the first free one of them; or give a 'socket'/]
  ] as const) await t.rejects(metricsServer(given as never), { code: 'FP_ERR_INVALID_OPTION', message: why })
})
