import type { LiveNumbers } from '../../src/index.js'

/** One event of a stream of server-sent events, as the live page gets it; of a 'sample' its data has not all the fields. */
export interface Received {
  readonly event: string
  readonly data: LiveNumbers
  /** When it was here. */
  readonly at: number
}

/** The events of a live page's stream (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export async function * eventsOf (body: AsyncIterable<Uint8Array | string>): AsyncGenerator<Received, void> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of body) {
    text += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const [, event = '', data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(text.slice(0, end)) ?? []
      text = text.slice(end + 2)
      yield { event, data: JSON.parse(data) as Received['data'], at: Date.now() }
    }
  }
}

/**
 * The first samples of a live page's stream. Nobody held them back if each was here before the next one was taken.
 * @throws Error where the stream ends before
 */
export async function samplesOf (body: AsyncIterable<Uint8Array | string>, count: number): Promise<Received[]> {
  const samples: Received[] = []
  for await (const received of eventsOf(body)) {
    if (received.event === 'sample') samples.push(received)
    if (samples.length === count) return samples
  }
  throw new Error(`the stream ended after ${samples.length} samples`)
}

/** The stream of a live page; closed at teardown. */
export async function events (t: { teardown: (fn: () => unknown) => void }, url: string): Promise<{
  readonly response: Response
  /** The next event. @throws Error when the stream ends before it */
  readonly next: () => Promise<Received>
  readonly close: () => void
}> {
  const closing = new AbortController()
  t.teardown(() => closing.abort())
  const response = await fetch(url, { signal: closing.signal })
  const received = eventsOf(response.body as AsyncIterable<Uint8Array>)
  const next = async () => {
    const { value, done } = await received.next()
    if (done === true) throw new Error('the stream ended')
    return value
  }
  return { response, next, close: () => closing.abort() }
}
