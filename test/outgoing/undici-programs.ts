import { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import * as undici from 'undici'
import type { HostileService } from '../support/hostile-service.js'
import { follow, type Note, type Program } from './sight.js'

type Options = Omit<undici.Dispatcher.RequestOptions, 'path' | 'method'> & { readonly method?: undici.Dispatcher.HttpMethod }
type Sender = (path: string, options?: Options) => Promise<undici.Dispatcher.ResponseData>

/** Whatever undici's own stacks and events tell of its clients. */
const STATS = ['connected', 'pending', 'running', 'size', 'free', 'queued'] as const

/** What an application does with undici's own functions and dispatchers. */
export function programsOf (service: HostileService): Record<string, Program> {
  const { origin } = service
  const request: Sender = (path, options) => undici.request(origin + path, options)
  const kinds: Record<string, () => undici.Dispatcher> = {
    'a Client': () => new undici.Client(origin),
    'a Client, pipelining': () => new undici.Client(origin, { pipelining: 10 }),
    'a Pool': () => new undici.Pool(origin, { connections: 2 }),
    'a BalancedPool': () => new undici.BalancedPool([origin]),
    'an Agent': () => new undici.Agent({ connections: 2 }),
    'a RetryAgent': () => new undici.RetryAgent(new undici.Agent(), { maxRetries: 2, minTimeout: 1, maxTimeout: 1 })
  }
  const programs: Record<string, Program> = {
    ...senderPrograms(service, request, 'request'),
    stream: async (note) => undici.stream(`${origin}/chunks`, { method: 'GET', opaque: note }, ({ statusCode, headers, opaque }) => {
      note(statusCode, headers, opaque === note)
      return new Writable({ write: (chunk, _encoding, done) => { note(chunk); done() } })
    }),
    'stream, whose factory fails': () => undici.stream(`${origin}/text`, { method: 'GET' }, () => { throw new Error('of the factory') }),
    'stream, whose target fails': () => undici.stream(`${origin}/text`, { method: 'GET' }, () => new Writable({ write: (_chunk, _encoding, done) => { done(new Error('disk')) } })),
    pipeline: () => text(Readable.from(['hello']).pipe(undici.pipeline(`${origin}/echo`, { method: 'PUT' }, ({ body }) => body))),
    'pipeline, whose handler fails': () => text(Readable.from(['hello']).pipe(undici.pipeline(`${origin}/echo`, { method: 'PUT' }, () => { throw new Error('of the handler') }))),
    'pipeline that is destroyed': (note) => new Promise<void>((resolve) => {
      const duplex = undici.pipeline(`${origin}/silent`, { method: 'PUT' }, ({ body }) => body)
      follow(note, 'duplex', duplex).on('error', () => {}).on('close', resolve)
      service.asked.then(() => duplex.destroy(new Error('no more')), () => {})
      duplex.end()
    }),
    connect: async (note) => {
      const { statusCode, headers, socket } = await undici.connect(origin)
      note(statusCode, headers)
      socket.destroy()
    },
    upgrade: async (note) => {
      const { headers, socket } = await undici.upgrade(origin, { protocol: 'echo' })
      note(headers)
      socket.destroy()
    },
    'an upgrade that is refused': () => undici.upgrade(`${service.origin}/text`, { protocol: 'echo', method: 'POST' }),
    'a callback': (note) => new Promise<void>((resolve) => {
      const client = new undici.Client(origin)
      const given: unknown = client.request({ path: '/text', method: 'GET', opaque: { my: 'own' } }, (error, data) => {
        note(error, data?.statusCode, data?.opaque)
        data?.body.dump().then(() => client.close()).then(resolve, resolve)
      })
      note(given)
    }),
    'a MockAgent': async (note) => {
      const agent = new undici.MockAgent()
      agent.disableNetConnect()
      agent.get(origin).intercept({ path: '/text' }).reply(200, 'mock', { headers: { 'x-a': '1' } })
      agent.get(origin).intercept({ path: '/failed' }).replyWithError(new Error('mocked'))
      for (const path of ['/text', '/failed', '/unknown']) await settled(note, undici.request(origin + path, { dispatcher: agent }).then(({ body }) => body.text()))
      note(agent.pendingInterceptors().length)
      await agent.close()
    },
    ...interceptorPrograms(origin),
    ...handlerPrograms(service)
  }
  for (const [name, make] of Object.entries(kinds)) {
    const using = (run: (sender: Sender, note: Note, dispatcher: undici.Dispatcher) => Promise<unknown>): Program => async (note) => {
      const dispatcher = follow(note, 'dispatcher', make())
      try {
        await run((path, options) => undici.request(origin + path, { ...options, dispatcher }), note, dispatcher)
        note(Object.fromEntries(STATS.map((stat) => [stat, Reflect.get(Reflect.get(dispatcher, 'stats') ?? {}, stat)])))
      } finally {
        await dispatcher.destroy()
      }
    }
    programs[`${name}, all at once`] = using(async (sender, note) => {
      note(await Promise.all(Array.from({ length: 10 }, (_, i) => sender(i % 2 === 0 ? '/text' : '/chunks').then(({ body }) => body.text()))))
    })
    programs[`${name}, an error`] = using(async (sender, note) => {
      for (const path of ['/failed', '/cut', '/text']) await settled(note, sender(path).then(({ body }) => body.text()))
    })
    programs[`${name}, destroyed`] = using(async (sender, note, dispatcher) => {
      const { asked } = service
      const answer = settled(note, sender('/silent'))
      await asked
      await dispatcher.destroy(new Error('destroyed'))
      await answer
    })
    programs[`${name}, closed`] = using(async (sender, note, dispatcher) => {
      const answer = sender('/chunks').then(({ body }) => body.text())
      const closed = dispatcher.close()
      note(await answer)
      await closed
      await settled(note, sender('/text'))
    })
  }
  return programs
}

/** Notes how something ends. */
async function settled (note: Note, what: Promise<unknown>): Promise<void> {
  await what.then((value) => { note('gave', value) }, (error: unknown) => { note('threw', error) })
}

function senderPrograms (service: HostileService, send: Sender, name: string): Record<string, Program> {
  const read = (path: string, options?: Options): Program => async (note) => {
    const { statusCode, headers, trailers, body, context } = await send(path, options)
    note(statusCode, headers, context)
    note(await body.text(), trailers)
  }
  const aborted = (path: string, when: 'before' | 'asked' | 'head', reason?: unknown): Program => async (note) => {
    const controller = new AbortController()
    const { asked } = service
    if (when === 'before') controller.abort(reason)
    const answer = send(path, { signal: controller.signal })
    answer.catch(() => {})
    if (when === 'asked') {
      await asked
      controller.abort(reason)
    }
    const { body } = await answer
    follow(note, 'body', body)
    controller.abort(reason)
    return body.text()
  }
  const all: Record<string, Program> = {
    'each way to end': async (note) => {
      for (const path of ['/text', '/large', '/nothing', '/known', '/failed', '/redirected', '/early', '/chunks', '/bye', '/trailers', '/unknown']) await read(path)(note)
    },
    HEAD: read('/text', { method: 'HEAD' }),
    '1xx': async (note) => {
      const { body } = await send('/early', { onInfo: (info) => { note(info) } })
      await body.dump()
    },
    'an upload': read('/echo', { method: 'POST', body: 'hello' }),
    'an upload of a stream': read('/echo', { method: 'POST', body: Readable.from(['one', 'two']) }),
    'an upload that fails': read('/echo', { method: 'POST', body: new Readable({ read () { this.destroy(Object.assign(new Error('disk'), { code: 'EIO' })) } }) }),
    'an upload that is too long': read('/echo', { method: 'POST', body: 'hello', headers: { 'content-length': '2' } }),
    'not read': async (note) => { note((await send('/text')).statusCode) },
    'left in the loop': async (note) => {
      const { body } = await send('/large')
      follow(note, 'body', body)
      for await (const chunk of body) {
        note(typeof chunk)
        if (chunk !== undefined) break
      }
    },
    destroyed: async (note) => {
      const { body } = await send('/half')
      follow(note, 'body', body).on('error', () => {}).destroy(new Error('enough'))
    },
    'destroyed, and nobody listens': async (note) => {
      const { body } = await send('/half')
      follow(note, 'body', body).destroy()
    },
    dumped: async (note) => { note(await (await send('/large')).body.dump({ limit: 10 })) },
    'no head in time': read('/silent', { headersTimeout: 1 }),
    'no body in time': read('/half', { bodyTimeout: 1 }),
    'cut before the head': read('/cut'),
    'reset before the head': read('/reset'),
    'cut in the body': read('/cut-in-the-body'),
    'cut in a chunk': read('/cut-in-a-chunk'),
    garbage: read('/garbage'),
    'aborted before': aborted('/text', 'before'),
    'aborted while waiting': aborted('/silent', 'asked'),
    'aborted while waiting, a reason': aborted('/silent', 'asked', { my: 'reason' }),
    'aborted in the body': aborted('/half', 'head'),
    'aborted in the body, a reason': aborted('/half', 'head', new RangeError('mine')),
    'a timeout': aborted('/silent', 'asked', new DOMException('late', 'TimeoutError')),
    'a header that is none': read('/text', { headers: { 'x-a': 'a\nb' } }),
    'a path that is none': read(' x'),
    'an error for a status': read('/failed', { throwOnError: true } as never),
    'Expect: 100-continue': read('/echo', { method: 'POST', body: 'x', headers: { expect: '100-continue' } }),
    'a failure that nobody handles': () => { send('/cut').then(() => {}) }
  }
  return Object.fromEntries(Object.entries(all).map(([what, program]) => [`${name}, ${what}`, program]))
}

function interceptorPrograms (origin: string): Record<string, Program> {
  const { redirect, retry, responseError, dump, cache, dns } = undici.interceptors
  const composed = (interceptor: undici.Dispatcher.DispatcherComposeInterceptor, paths: readonly string[], to = origin): Program => async (note) => {
    const agent = new undici.Agent()
    const dispatcher = agent.compose(interceptor)
    for (const path of paths) {
      await settled(note, undici.request(to + path, { dispatcher }).then(async ({ statusCode, headers, body, context }) => { note(statusCode, headers, context, await body.text()) }))
    }
    await agent.destroy()
  }
  return {
    'redirect, an interceptor': composed(redirect({ maxRedirections: 3 }), ['/redirected', '/loop', '/away']),
    'retry, an interceptor': composed(retry({ maxRetries: 2, minTimeout: 1, maxTimeout: 1 }), ['/failed', '/cut', '/text']),
    'responseError, an interceptor': composed(responseError(), ['/failed', '/text']),
    'dump, an interceptor': composed(dump({ maxSize: 10_000_000 }), ['/large']),
    'cache, an interceptor': composed(cache(), ['/cached', '/cached', '/text']),
    'dns, an interceptor': composed(dns({ dualStack: false }), ['/text', '/text'], origin.replace('127.0.0.1', 'localhost')),
    'dns, a name that is not there': composed(dns(), ['/text'], 'http://nobody.invalid')
  }
}

/** Handlers of dispatch(): what undici itself tells, in its order. */
function handlerPrograms ({ origin }: HostileService): Record<string, Program> {
  const dispatched = (path: string, failing?: string, options: Partial<undici.Dispatcher.DispatchOptions> = {}): Program => async (note) => {
    const agent = new undici.Agent()
    await new Promise<void>((resolve) => {
      const seen = (what: string, ...args: unknown[]) => {
        note(what, ...args)
        if (what === failing) throw new Error(`of ${what}`)
      }
      agent.dispatch({ origin, path, method: 'GET', ...options }, {
        onRequestStart: () => { seen('start') },
        onRequestUpgrade: (_controller, status) => {
          seen('upgrade', status)
          resolve()
        },
        onResponseStart: (_controller, status, headers) => { seen('head', status, headers) },
        onResponseData: () => { seen('data') },
        onResponseEnd: (_controller, trailers) => {
          try {
            seen('end', trailers)
          } finally {
            if (failing !== 'end') resolve()
          }
        },
        onResponseError: (_controller, error) => {
          note('error', error)
          resolve()
        }
      })
    })
    await agent.destroy()
  }
  return {
    ...Object.fromEntries(['/text', '/early', '/trailers', '/chunks', '/cut', '/cut-in-the-body', '/garbage'].map((path) => [`a handler of ${path}`, dispatched(path)])),
    ...Object.fromEntries(['head', 'data', 'end'].map((failing) => [`a handler that fails at its ${failing}`, dispatched('/text', failing)])),
    'a handler of an upgrade': dispatched('/', undefined, { upgrade: 'echo' }),
    'a handler of a tunnel': dispatched('/', undefined, { method: 'CONNECT' })
  }
}
