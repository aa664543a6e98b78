import type { About, Range } from '../shape.js'
import { moment, zoneName } from './clock.js'
import { byId, setAttribute, setText } from './element.js'
import { counted, visible } from './format.js'
import { connectionWords, type ConnectionState } from './words.js'

/** The letters of a commit that are shown. */
const COMMIT = 12

/** The top of the page: which service this is, how the page hears from it, and what the viewer can choose. */
export class Heading {
  readonly #ranges = [...document.querySelectorAll<HTMLButtonElement>('button[data-range]')]
  readonly #pause = byId('pause')

  /**
   * @param range called when the viewer chooses a range
   * @param pause called when the viewer stops the picture, or lets it go on
   */
  constructor (range: (range: Range) => void, pause: (paused: boolean) => void) {
    for (const button of this.#ranges) button.addEventListener('click', () => { range(button.dataset['range'] as Range) })
    this.#pause.addEventListener('click', () => { pause(this.#pause.getAttribute('aria-pressed') !== 'true') })
  }

  about (about: About, problems: number): void {
    const name = about.service.name === null ? 'Live' : visible(about.service.name)
    setText(byId('service'), name)
    setText(byId('version'), about.service.version === null ? '' : visible(about.service.version))
    const title = name === 'Live' ? name : `${name} · live`
    document.title = problems === 0 ? title : `(${problems}) ${title}`
    const processes = about.processes === null ? 'this process alone' : counted(about.processes, 'process', 'processes')
    const started = `started ${moment(about.started, Date.now())} ${zoneName(about.started)}`
    // A service of an older version says none.
    const commit: string | null | undefined = about.service.commit
    const facts = [visible(about.host), `pid ${about.pid}`, processes, started, `Node.js ${visible(about.node).replace(/^v/, '')}`, ...typeof commit === 'string' ? [`commit ${visible(commit).slice(0, COMMIT)}`] : []]
    setText(byId('about'), facts.join(' · '))
  }

  range (range: Range): void {
    for (const button of this.#ranges) setAttribute(button, 'aria-pressed', String(button.dataset['range'] === range))
  }

  connection (state: ConnectionState): void {
    const words = byId('connection')
    setText(words, connectionWords(state, Date.now()))
    setAttribute(words, 'data-state', state.kind)
  }

  paused (since: number | null): void {
    setAttribute(this.#pause, 'aria-pressed', String(since !== null))
    setText(byId('paused'), since === null ? '' : `paused at ${moment(since, Date.now())}`)
  }
}
