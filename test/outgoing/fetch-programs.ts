import { Readable } from 'node:stream'
import type { HostileService } from '../support/hostile-service.js'
import type { Note, Program } from './sight.js'

type Options = RequestInit & { readonly duplex?: 'half', readonly dispatcher?: unknown }
export type Fetch = (url: string, options?: Options) => Promise<Response>

/** What an application does with the global fetch. Nothing here may load undici: its package puts itself under that. */
export function programsOf (service: HostileService): Record<string, Program> {
  return programsWith(service, fetch as Fetch)
}

/** What an application does with any fetch. */
export function programsWith (service: HostileService, fetch: Fetch): Record<string, Program> {
  const { origin } = service
  const get = (path: string, options?: Options) => fetch(origin + path, options)
  const noteHead = (note: Note, { status, statusText, headers, url, type, redirected, ok, bodyUsed }: Response) => { note(status, statusText, headers, url, type, redirected, ok, bodyUsed) }
  const read = (path: string, options?: Options): Program => async (note) => {
    const response = await get(path, options)
    noteHead(note, response)
    note(await response.text())
    note(response.bodyUsed)
  }
  const aborting = (path: string, when: 'before' | 'at once' | 'asked' | 'head', reason?: unknown): Program => async (note) => {
    const controller = new AbortController()
    const { asked } = service
    if (when === 'before') controller.abort(reason)
    const answer = get(path, { signal: controller.signal })
    answer.catch(() => {})
    if (when === 'at once') controller.abort(reason)
    if (when === 'asked') {
      await asked
      controller.abort(reason)
    }
    try {
      const response = await answer
      noteHead(note, response)
      controller.abort(reason)
      note(await response.text())
    } catch (error) {
      note(error === reason, error)
    }
  }
  return {
    'each way to end': async (note) => {
      for (const path of ['/text', '/large', '/nothing', '/known', '/failed', '/cached', '/early', '/chunks', '/bye', '/gzip', '/trailers', '/unknown']) {
        note(path)
        await read(path)(note)
      }
    },
    HEAD: read('/text', { method: 'HEAD' }),
    'json that is none': async () => (await get('/text')).json(),
    'a redirect': read('/redirected'),
    'a redirect that is not followed': async (note) => { noteHead(note, await get('/redirected', { redirect: 'manual' })) },
    'a redirect that is an error': read('/redirected', { redirect: 'error' }),
    'a redirect that has no end': read('/loop'),
    'a redirect to nowhere': read('/away'),
    'a redirect of a stream': read('/loop', { method: 'POST', body: Readable.toWeb(Readable.from(['x'])) as ReadableStream, duplex: 'half' }),
    'an upload': read('/echo', { method: 'POST', body: 'hello', headers: { 'x-a': '1' } }),
    'a large upload': async () => (await (await get('/echo', { method: 'PUT', body: 'x'.repeat(1_000_000) })).arrayBuffer()).byteLength,
    'an upload in pieces': read('/echo', { method: 'POST', body: Readable.toWeb(Readable.from(['one', 'two'])) as ReadableStream, duplex: 'half' }),
    'a form': async (note) => {
      const body = new URLSearchParams({ a: '1', b: '2' })
      await read('/echo', { method: 'POST', body })(note)
    },
    'an upload that fails': read('/echo', { method: 'POST', duplex: 'half', body: new ReadableStream({ pull (controller) { controller.error(Object.assign(new Error('disk'), { code: 'EIO' })) } }) }),
    'not read': async (note) => { noteHead(note, await get('/text')) },
    'half read and cancelled': async (note) => {
      const { body } = await get('/half')
      const reader = (body as ReadableStream<Uint8Array>).getReader()
      note(await reader.read())
      note(await reader.cancel('enough'))
      note(await reader.closed)
    },
    cancelled: async (note) => { note(await (await get('/half')).body?.cancel(new Error('enough'))) },
    'left in the loop': async (note) => {
      for await (const chunk of (await get('/large')).body as ReadableStream<Uint8Array>) {
        note(typeof chunk)
        if (chunk !== undefined) break
      }
    },
    'read twice': async () => {
      const response = await get('/text')
      await response.text()
      return response.text()
    },
    cloned: async (note) => {
      const response = await get('/chunks')
      const clone = response.clone()
      note(await response.text(), await clone.text())
    },
    'a port that is refused': () => fetch('http://127.0.0.1:1/'),
    'a connection that is refused': () => fetch('http://127.0.0.1:59999/'),
    'a name that is not there': () => fetch('http://nobody.invalid/'),
    'a URL that is none': () => fetch('nonsense'),
    'a URL with a password': () => fetch(`http://user:secret@${service.host}/text`),
    'a header that is none': () => get('/text', { headers: { 'x-a': 'a\nb' } }),
    'a method that is none': () => get('/text', { method: 'TRACE' }),
    'cut before the head': read('/cut'),
    'reset before the head': read('/reset'),
    'cut in the body': read('/cut-in-the-body'),
    'cut in a chunk': read('/cut-in-a-chunk'),
    garbage: read('/garbage'),
    'aborted before': aborting('/text', 'before'),
    'aborted before, a reason': aborting('/text', 'before', new Error('mine')),
    'aborted at once': aborting('/silent', 'at once'),
    'aborted at once, a reason': aborting('/silent', 'at once', new Error('mine')),
    'aborted while waiting': aborting('/silent', 'asked'),
    'aborted while waiting, a reason': aborting('/silent', 'asked', { my: 'reason' }),
    'aborted in the body': aborting('/half', 'head'),
    'aborted in the body, a reason': aborting('/half', 'head', new RangeError('mine')),
    'aborted after the body': aborting('/text', 'head'),
    'a timeout': aborting('/silent', 'asked', new DOMException('late', 'TimeoutError')),
    'a failure that nobody handles': () => { get('/cut').then(() => {}) },
    'in two orders': async (note) => {
      const both = [get('/chunks').then((response) => response.text()), get('/text').then((response) => response.text())]
      note(await Promise.all(both))
    }
  }
}
