import { once } from 'node:events'
import { connect as connectHttp2, constants } from 'node:http2'
import { connect, type AddressInfo, type Socket } from 'node:net'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import type { Recorder } from './recorder.js'
import { PATHS, SOME_PATHS } from './scenes.js'

const BODY = JSON.stringify({ a: 'x'.repeat(50) })
const portOf = (app: FastifyInstance) => (app.server.address() as AddressInfo).port

/** A scene is not over before the server's connections and streams of it are closed. */
export function watchConnections (app: FastifyInstance, recorder: Recorder, event: 'connection' | 'stream'): void {
  app.server.on(event, (connection: Socket) => { connection.once('close', recorder.begin()) })
}

/** Plays the scenes over connections of their own, each byte written here. */
export async function playHttp1 (app: FastifyInstance, recorder: Recorder): Promise<void> {
  const scene = (name: string, text: string, leaves = false) => recorder.scene(name, () => send(portOf(app), text, leaves ? recorder.reached() : undefined))
  const request = (method: string, path: string, headers = '', body = '') => `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n${body}`
  const json = 'Content-Type: application/json\r\n'
  const chunked = 'Transfer-Encoding: chunked\r\n'
  for (const path of [...PATHS, '/timeout']) await scene(`GET ${path}`, request('GET', path))
  for (const path of SOME_PATHS) await scene(`HEAD ${path}`, request('HEAD', path))
  await scene('a client that leaves', request('GET', '/slow'), true)
  for (const path of ['/echo', '/shape']) {
    await scene(`POST ${path}`, request('POST', path, `${json}Content-Length: ${BODY.length}\r\n`, BODY))
    await scene(`POST chunked ${path}`, request('POST', path, json + chunked, `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`))
  }
  await scene('a body that is no JSON', request('POST', '/echo', `${json}Content-Length: 3\r\n`, '{}}'))
  await scene('a body whose chunk is broken', request('POST', '/echo', json + chunked, '5\r\n{"a":\r\nZZ\r\n'))
  await scene('a body that is too large', request('POST', '/small', `${json}Content-Length: ${BODY.length}\r\n`, BODY))
  await scene('a body that nobody parses', request('POST', '/echo', `Content-Type: x/y\r\nContent-Length: ${BODY.length}\r\n`, BODY))
  await scene('a body with a parser of its own', request('POST', '/echo', `Content-Type: text/x-stream\r\n${chunked}`, '5\r\nhello\r\n0\r\n\r\n'))
  await scene('a method that no route has', request('DELETE', '/value'))
  await scene('a method that Fastify does not route', request('PURGE', '/value'))
  await scene('a body that waits to be asked for', request('POST', '/echo', `${json}Expect: 100-continue\r\nContent-Length: 2\r\n`, '{}'))
  await scene('an expectation that nobody has', request('GET', '/value', 'Expect: more\r\n'))
  await scene('HTTP/1.0', 'GET /value HTTP/1.0\r\n\r\n')
  await scene('no host', 'GET /value HTTP/1.1\r\nConnection: close\r\n\r\n')
  await scene('pipelined', 'GET /later HTTP/1.1\r\nHost: x\r\n\r\nGET /throws HTTP/1.1\r\nHost: x\r\n\r\n' + request('GET', '/stream'))
  await scene('pipelined behind a client that leaves', 'GET /slow HTTP/1.1\r\nHost: x\r\n\r\n' + request('GET', '/value'), true)
  await scene('upgrade', request('GET', '/upgrade', 'Upgrade: x\r\n').replace('close', 'Upgrade, close'))
  await scene('upgrade refused', request('GET', '/upgrade-refused', 'Upgrade: x\r\n').replace('close', 'Upgrade, close'))
  await scene('upgrade of what is no upgrade', request('GET', '/value', 'Upgrade: x\r\n').replace('close', 'Upgrade, close'))
  await scene('CONNECT', 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n')
  await scene('headers that are too large', request('GET', '/value', `x: ${'y'.repeat(20_000)}\r\n`))
  await scene('not HTTP', 'HELLO\r\n\r\n')
}

/** @param leaves when the client leaves; without it, the server closes the connection */
async function send (port: number, text: string, leaves?: Promise<void>): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  let answer = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => { answer += chunk })
  const closed = once(socket, 'close')
  socket.write(text)
  if (leaves !== undefined) {
    await leaves
    socket.destroy()
  }
  await closed
  return answer.replace(/^date: .*\r\n/gim, '')
}

/** Plays the scenes as streams of one session. */
export async function playHttp2 (app: FastifyInstance, recorder: Recorder): Promise<void> {
  const session = connectHttp2(`http://127.0.0.1:${portOf(app)}`)
  session.on('error', (error) => recorder.note('session', error.message))
  const scene = (name: string, headers: { [name: string]: string }, body?: string, leaves = false) => recorder.scene(name, async () => {
    const stream = session.request({ ':authority': 'x', ...headers }, { endStream: body === undefined })
    const answer: unknown[] = []
    stream.on('headers', (informational) => answer.push(informational))
    stream.on('response', ({ date, ...rest }) => answer.push(rest))
    stream.on('trailers', (trailers) => answer.push(trailers))
    stream.on('error', (error: NodeJS.ErrnoException) => answer.push(error.code))
    stream.setEncoding('utf8').on('data', (chunk: string) => answer.push(chunk))
    const closed = new Promise((resolve) => stream.once('close', resolve))
    if (body !== undefined) stream.end(body)
    if (leaves) {
      await recorder.reached()
      stream.close(constants.NGHTTP2_CANCEL)
    }
    await closed
    return JSON.stringify([...answer, stream.rstCode])
  })
  // Older versions of Fastify never answer with trailers here.
  const paths = (all: readonly string[]) => /^5\.[0-7]\./.test(app.version) ? all.filter((path) => path !== '/trailer') : all
  for (const path of paths(PATHS)) await scene(`GET ${path}`, { ':path': path })
  for (const path of paths(SOME_PATHS)) await scene(`HEAD ${path}`, { ':path': path, ':method': 'HEAD' })
  await scene('a client that leaves', { ':path': '/slow' }, undefined, true)
  for (const path of ['/echo', '/shape', '/small', '/nowhere']) await scene(`POST ${path}`, { ':path': path, ':method': 'POST', 'content-type': 'application/json' }, BODY)
  await scene('a body that is no JSON', { ':path': '/echo', ':method': 'POST', 'content-type': 'application/json' }, '{}}')
  await scene('CONNECT', { ':method': 'CONNECT' })
  const closed = once(session, 'close')
  session.close()
  await closed
}

/** Plays the scenes without a connection: awaited, as a chain, and with a callback. */
export async function playInject (app: FastifyInstance, recorder: Recorder): Promise<void> {
  const told = ({ statusCode, statusMessage, headers, payload, trailers }: LightMyRequestResponse) => JSON.stringify([statusCode, statusMessage, { ...headers, date: undefined }, payload, trailers, recorder.where()])
  const scene = (name: string, options: InjectOptions) => recorder.scene(name, async () => told(await app.inject(options)))
  for (const path of PATHS) await scene(`GET ${path}`, { url: path })
  for (const path of SOME_PATHS) {
    await recorder.scene(`callback ${path}`, () => new Promise((resolve, reject) => {
      const returned = app.inject({ url: path }, (error, response) => {
        recorder.note('injected', recorder.where())
        if (response === undefined) reject(error)
        else resolve(told(response))
      })
      recorder.note('inject returned', typeof returned)
    }))
  }
  for (const method of ['HEAD', 'OPTIONS', 'DELETE'] as const) await scene(`${method} /value`, { method, url: '/value' })
  for (const path of ['/echo', '/shape', '/small', '/none']) await scene(`POST ${path}`, { method: 'POST', url: path, payload: { a: 'x'.repeat(50) } })
  await scene('a body that is no JSON', { method: 'POST', url: '/echo', payload: '{}}', headers: { 'content-type': 'application/json' } })
  await recorder.scene('a chain', async () => told(await app.inject().post('/echo').payload({ a: 1 }).end()))
  await recorder.scene('a payload as a stream', async () => {
    const response = await app.inject({ url: '/stream', payloadAsStream: true })
    let body = ''
    for await (const chunk of response.stream()) body += String(chunk)
    return body
  })
  await recorder.scene('options that are none', async () => { app.inject({ method: 1 } as never) })
}
