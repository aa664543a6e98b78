import { once } from 'node:events'
import { Agent, ClientRequest, get, request, type IncomingMessage, type RequestOptions } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { HostileService } from '../support/hostile-service.js'
import { agentSight, follow, type Note, type Program } from './sight.js'

/** Waits for the end of a request, and listens for nothing else: once() would handle its error. */
const closed = (sent: ClientRequest) => new Promise<void>((resolve) => { sent.on('close', () => { resolve() }) })

type Change = (sent: ClientRequest, response?: IncomingMessage) => void

/** What an application does with node:http. */
export function programsOf (service: HostileService): Record<string, Program> {
  const at = (path: string, options: RequestOptions = {}): RequestOptions => ({ host: '127.0.0.1', port: service.port, path, ...options })

  /** Sends a request, and notes all that it and its answer emit, until it is closed. */
  const sent = (path: string, options: RequestOptions = {}, change: Change = (sent) => { sent.end() }, answered: Change = (_sent, response) => { response?.resume() }): Program => (note) => {
    return over(note, request(at(path, options)), change, answered)
  }
  const over = (note: Note, sent: ClientRequest, change: Change, answered: Change) => new Promise<void>((resolve) => {
    follow(note, 'request', sent)
    sent.on('error', () => {}).on('response', (response) => {
      note(response.statusCode, response.headers, response.rawHeaders.length, response.httpVersion)
      follow(note, 'response', response)
      response.on('error', () => {}).on('close', () => { note(response.complete, response.trailers, response.destroyed) })
      answered(sent, response)
    }).on('close', () => {
      note(sent.destroyed, sent.reusedSocket, sent.aborted, sent.writableFinished, sent.errored)
      setImmediate(resolve)
    })
    change(sent)
  })
  /** Sends with an agent of its own, and notes what that has afterwards. */
  const withAgent = (options: ConstructorParameters<typeof Agent>[0], run: (agent: Agent, note: Note) => Promise<unknown>): Program => async (note) => {
    const agent = follow(note, 'agent', new Agent(options))
    await run(agent, note)
    note(agentSight(agent))
    agent.destroy()
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve))
    note(agentSight(agent))
  }
  /** Waits until the answer is read, and its connection has gone back to the agent. */
  const read = (agent: Agent, path: string, note: Note) => new Promise<void>((resolve) => {
    get(at(path, { agent }), (response) => {
      note(response.statusCode)
      response.resume()
    }).on('error', (error) => { note(error) }).on('close', () => { setImmediate(resolve) })
  })
  const abortedWhen = (path: string, signal: AbortSignal, when: (service: HostileService) => unknown): Program => async (note) => {
    const done = sent(path, { signal })(note)
    await when(service)
    await done
  }

  return {
    ...Object.fromEntries(['/text', '/nothing', '/known', '/failed', '/redirected', '/early', '/chunks', '/bye', '/trailers', '/unknown', '/cut', '/reset', '/cut-in-the-body', '/cut-in-a-chunk', '/garbage']
      .map((path) => [`an answer of ${path}`, sent(path)])),
    'a HEAD': sent('/text', { method: 'HEAD' }),
    'without an agent': sent('/text', { agent: false }),
    'a callback, and its this': (note) => new Promise((resolve) => {
      const made = get(at('/text'), function (this: unknown, ...args) {
        note(this === made, args.length)
        args[0].resume().on('end', () => { resolve(made.constructor.name) })
      })
      note(made instanceof ClientRequest, Object.keys(made).sort())
    }),
    'a URL with a password': async (note) => {
      const made = get(`http://user:secret@${service.host}/text`)
      note(made.getHeaders())
      const [response] = await once(made, 'response') as [IncomingMessage]
      response.resume()
    },
    'who listens': async (note) => {
      const made = get(at('/text'))
      note(made.eventNames().filter((event) => event !== 'close'))
      const [response] = await once(made, 'response') as [IncomingMessage]
      note(response.eventNames().filter((event) => event !== 'close'), Object.keys(response).sort())
      response.resume()
    },
    'an upload': sent('/echo', { method: 'POST' }, (sent) => { sent.end('hello') }),
    'Expect: 100-continue': sent('/echo', { method: 'POST', headers: { expect: '100-continue' } }, (sent) => { sent.on('continue', () => { sent.end('hello') }).flushHeaders() }),
    'Expect: 100-continue that is refused': sent('/nothing', { method: 'POST', headers: { expect: '100-continue' } }, (sent) => { sent.on('response', () => sent.end()).flushHeaders() }),
    'an upload of a stream': async () => {
      const upload = request(at('/echo', { method: 'PUT' }))
      const answer = once(upload, 'response')
      await pipeline(Readable.from(['one', 'two']), upload)
      const [response] = await answer as [IncomingMessage]
      return (await response.toArray()).join('')
    },
    'an upload that fails': (note) => {
      const upload = request(at('/echo', { method: 'PUT' }))
      follow(note, 'upload', upload)
      return pipeline(new Readable({ read () { this.destroy(Object.assign(new Error('disk'), { code: 'EIO' })) } }), upload)
    },
    'an upgrade': (note) => new Promise<void>((resolve) => {
      const made = follow(note, 'request', get(at('/', { headers: { connection: 'upgrade', upgrade: 'echo' } })))
      made.on('upgrade', (response, socket, head) => {
        note(response.statusCode, response.headers, head.length)
        socket.on('close', () => { resolve() }).destroy()
      })
    }),
    'an upgrade that nobody listens for': sent('/', { headers: { connection: 'upgrade', upgrade: 'echo' } }),
    'a tunnel': (note) => new Promise<void>((resolve) => {
      const made = follow(note, 'request', request(at('somewhere:443', { method: 'CONNECT' })).end())
      made.on('connect', (response, socket) => {
        note(response.statusCode)
        socket.on('close', () => { resolve() }).destroy()
      })
    }),
    'a tunnel that nobody listens for': sent('somewhere:443', { method: 'CONNECT' }),
    'a connection that is refused': (note) => over(note, get({ host: '127.0.0.1', port: 1 }), () => {}, () => {}),
    'a name that is not there': (note) => over(note, get({ host: 'nobody.invalid' }), () => {}, () => {}),
    'a lookup that fails': (note) => over(note, get({ host: 'a.invalid', lookup: (_host, _options, done) => { done(new Error('of the lookup'), '', 4) } }), () => {}, () => {}),
    'a connection that cannot be made': () => get(at('/text', { agent: false, createConnection: () => { throw new Error('of the connection') } })),
    'a path that is none': () => get(at('/ x')),
    'a header that is none': () => get(at('/text', { headers: { 'x-a': 'a\nb' } })),
    'a method that is none': () => get(at('/text', { method: 'A B' })),
    'a failure that nobody listens for': async () => {
      const thrown = once(process, 'uncaughtException')
      get(at('/cut'))
      await thrown
    },
    'an answer that nobody listens for': (note) => closed(follow(note, 'request', get(at('/text')))),
    'a callback that throws': async (note) => {
      const made = follow(note, 'request', get(at('/text'), () => {
        // The connection is of no use after that.
        setImmediate(() => { service.hangUp() })
        throw new Error('of the callback')
      }))
      await closed(made)
    },
    'not read, and destroyed': sent('/large', {}, undefined, (_sent, response) => { response?.destroy() }),
    'destroyed in the body': sent('/half', {}, undefined, (_sent, response) => { response?.once('data', () => { response.destroy(new RangeError('mine')) }) }),
    'the request destroyed in the body': sent('/half', {}, undefined, (sent) => { sent.destroy() }),
    'the request destroyed in the body, a reason': sent('/half', {}, undefined, (sent) => { sent.destroy(new RangeError('mine')) }),
    'destroyed at once': sent('/text', {}, (sent) => { sent.end().destroy() }),
    'destroyed at once, a reason': sent('/text', {}, (sent) => { sent.end().destroy(new RangeError('mine')) }),
    'destroyed with its socket': sent('/text', {}, (sent) => { sent.on('socket', () => { sent.destroy() }).end() }),
    'destroyed while waiting': sent('/silent', {}, (sent) => { service.asked.then(() => { sent.destroy() }, () => {}); sent.end() }),
    'aborted the old way': sent('/silent', {}, (sent) => { service.asked.then(() => { sent.abort() }, () => {}); sent.end() }),
    'aborted before': sent('/text', { signal: AbortSignal.abort(new Error('mine')) }),
    'aborted while waiting': (note) => {
      const controller = new AbortController()
      const { asked } = service
      return abortedWhen('/silent', controller.signal, async () => { await asked; controller.abort({ my: 'reason' }) })(note)
    },
    'a timeout of the application': sent('/silent', {}, (sent) => { service.asked.then(() => { sent.setTimeout(1, () => { sent.destroy(new Error('late')) }) }, () => {}); sent.end() }),
    'listeners that the application removes': (note) => new Promise<void>((resolve) => {
      get(at('/text'), (response) => {
        response.removeAllListeners()
        response.resume().on('end', () => { note('end'); resolve() })
      })
    }),
    'an agent that keeps alive': withAgent({ keepAlive: true }, async (agent, note) => {
      for (const path of ['/text', '/nothing', '/chunks', '/bye', '/failed']) {
        await read(agent, path, note)
        note(agentSight(agent))
      }
    }),
    'an agent that does not': withAgent({}, async (agent, note) => { for (const path of ['/text', '/chunks']) await read(agent, path, note) }),
    'an agent of one connection': withAgent({ keepAlive: true, maxSockets: 1 }, async (agent, note) => {
      await Promise.all(['/text', '/chunks', '/cut', '/text'].map((path) => read(agent, path, note)))
    }),
    'aborted in the queue of an agent': withAgent({ keepAlive: true, maxSockets: 1 }, async (agent, note) => {
      const first = request(at('/silent', { agent })).on('error', () => {})
      const ended = closed(first)
      const { asked } = service
      first.end()
      await asked
      const controller = new AbortController()
      const second = over(note, get(at('/text', { agent, signal: controller.signal })), () => {}, () => {})
      note(agentSight(agent))
      controller.abort()
      note(agentSight(agent))
      // Node tells of the second once there is a connection for it.
      first.destroy()
      await Promise.all([ended, second])
    }),
    'a kept connection that is closed meanwhile': withAgent({ keepAlive: true }, async (agent, note) => {
      await read(agent, '/text', note)
      service.hangUp()
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
      note(agentSight(agent))
      await read(agent, '/text', note)
    }),
    'a kept connection after its answer was not read': withAgent({ keepAlive: true, maxSockets: 1 }, async (agent, note) => {
      await new Promise<void>((resolve) => { get(at('/text', { agent }), (response) => { response.destroy(); response.on('close', () => { resolve() }) }) })
      await read(agent, '/text', note)
    }),
    'after all that': sent('/text')
  }
}
