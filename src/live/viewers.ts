import { Readable } from 'node:stream'
import type { Live, View } from './live.js'

/** Those who look at once; more are sent away. What one more costs is a write of text that is there already. */
export const MOST_VIEWERS = 100
/** Samples after which somebody who reads nothing is cut off. */
const MOST_BEHIND = 30

/** One who looks: a stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
class Viewer extends Readable {
  readonly view: View
  readonly key: string
  /** Of what it has; undefined if it has nothing yet, or has missed something. */
  layout: string | undefined
  /** Samples that it has not been sent, for it has not read what came before. */
  behind = 0

  constructor (view: View, key: string) {
    super({ read () {} })
    this.view = view
    this.key = key
  }
}

/** What all who look at the same are told: it is made once for each sample. */
interface Told {
  readonly layout: string
  whole: string | undefined
  sample: string | undefined
}

/** Those who look at a live page. */
export class Viewers {
  readonly #live: Live
  readonly #viewers = new Set<Viewer>()
  #unwatch: (() => void) | undefined

  constructor (live: Live) {
    this.#live = live
  }

  get isFull (): boolean {
    return this.#viewers.size >= MOST_VIEWERS
  }

  get size (): number {
    return this.#viewers.size
  }

  /** Somebody looks, until the stream is destroyed. */
  add (view: View): Readable {
    const viewer = new Viewer(view, JSON.stringify(view))
    this.#viewers.add(viewer)
    this.#unwatch ??= this.#live.watch(() => this.#tell())
    viewer.once('close', () => this.#remove(viewer))
    this.#send(viewer, { layout: this.#live.layout(view), whole: undefined, sample: undefined })
    return viewer
  }

  /** Ends all streams: their connections would keep a server from closing. */
  end (): void {
    for (const viewer of this.#viewers) viewer.push(null)
    this.#viewers.clear()
    this.#unwatch?.()
    this.#unwatch = undefined
  }

  #remove (viewer: Viewer): void {
    if (!this.#viewers.delete(viewer) || this.#viewers.size > 0) return
    this.#unwatch?.()
    this.#unwatch = undefined
  }

  #tell (): void {
    const told = new Map<string, Told>()
    for (const viewer of this.#viewers) {
      const about = told.get(viewer.key) ?? { layout: this.#live.layout(viewer.view), whole: undefined, sample: undefined }
      told.set(viewer.key, about)
      this.#send(viewer, about)
    }
  }

  #send (viewer: Viewer, told: Told): void {
    if (viewer.readableLength > 0) {
      // It gets all once more, when it has read what is there: nothing is kept for it.
      viewer.layout = undefined
      if (++viewer.behind >= MOST_BEHIND) viewer.destroy()
      return
    }
    viewer.behind = 0
    if (viewer.layout === told.layout) {
      viewer.push(told.sample ??= event('sample', this.#live.latest(viewer.view)))
      return
    }
    viewer.layout = told.layout
    viewer.push(told.whole ??= event('live', this.#live.whole(viewer.view)))
  }
}

/** JSON has no line feeds, so one line of data holds it. */
function event (name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}
