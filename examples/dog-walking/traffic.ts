import { setTimeout as sleep } from 'node:timers/promises'
import { choicesOf, Visitor, type Choice } from './visitor.js'

const PAUSE_MS = 500

/**
 * Keeps a little traffic going, so that there is something to see: one visit after the other, about two a second. Visits that
 * fail are the service's to tell.
 * @returns stops it; resolves when the last visit is over
 */
export function keepTraffic (url: string): () => Promise<void> {
  const stopping = new AbortController()
  const running = visit(new Visitor(url, stopping.signal), stopping.signal)
  return async () => {
    stopping.abort()
    await running
  }
}

async function visit (visitor: Visitor, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await any(visits)(visitor)
    } catch {}
    // A tenth more or less: traffic in lockstep with a scrape would show the same moment each time.
    await sleep(PAUSE_MS * (0.9 + Math.random() / 5), undefined, { signal }).catch(() => {})
  }
}

type Visit = (visitor: Visitor) => Promise<unknown>

const start: Visit = async (visitor) => {
  const { text } = await visitor.open('/walks/start')
  const [walkers, dogs] = [choicesOf(text, 'walker'), choicesOf(text, 'dog')]
  // Somebody stays at home, for visitors in a browser to walk.
  if (dogs.length > 2) await visitor.send('/walks/start', { walker: idOfAny(walkers), dog: idOfAny(dogs) })
}

const complete: Visit = async (visitor) => {
  const [walk] = choicesOf((await visitor.open('/walks/complete')).text, 'walk')
  if (walk !== undefined) await visitor.send('/walks/complete', { walk: walk.value, distance: someDistance() })
}

const mistake: Visit = (visitor) => any([
  () => visitor.send('/walks/start', { walker: '', dog: '' }),
  () => visitor.send('/walks/complete', { walk: '0', distance: '-20' }),
  () => visitor.open('/no-such-page')
])()

const look: Visit = (visitor) => visitor.open('/')
const status: Visit = (visitor) => visitor.open('/status')

/** Each as often as it is here. */
const visits = [start, start, start, start, complete, complete, complete, complete, look, look, status, mistake]

function any<T> (list: readonly T[]): T {
  return list[Math.floor(Math.random() * list.length)] as T
}

function idOfAny (choices: readonly Choice[]): string {
  return choices.length === 0 ? '' : any(choices).value
}

/** Metres: mostly some hundreds, now and then some thousands. */
function someDistance (): string {
  return String(Math.round(100 * Math.exp(Math.random() * 3.8)))
}
