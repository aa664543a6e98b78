import type { Live, Problem } from '../shape.js'
import { moment } from './clock.js'
import { byId, element, setAttribute, setText } from './element.js'
import { counted, visible } from './format.js'
import { hasNumbers } from './state.js'

const SEVERITY = { critical: 'Critical', warning: 'Warning' } as const

/** What is wrong now. Assistive technology is told when a problem comes or goes, and not at every change of a number. */
export class Problems {
  readonly #title = byId('wrong-title')
  readonly #list = byId('problems')
  readonly #news = byId('news')
  #shown = ''
  #told = ''

  /** @param lost whether the numbers are old ones */
  show (live: Live | null, lost: boolean): void {
    const shown = JSON.stringify([live?.problems, lost, live !== null && hasNumbers(live)])
    if (shown === this.#shown) return
    this.#shown = shown
    setText(this.#title, lost ? 'What was wrong before the connection was lost' : 'What is wrong now')
    const known = live !== null && hasNumbers(live)
    const problems = live?.problems ?? []
    if (problems.length > 0 && live !== null) {
      this.#rows(problems, live.time)
    } else if (!known) {
      this.#list.replaceChildren(note('unknown', '…', 'No numbers yet'))
    } else if (lost) {
      this.#list.replaceChildren(note('unknown', '?', 'Not known: the connection is lost. Nothing was wrong before.'))
    } else {
      this.#list.replaceChildren(note('fine', '✓', 'Nothing is wrong.'))
    }
    document.body.classList.toggle('has-problems', problems.length > 0)
    this.#tell(problems, known, lost)
  }

  /** A row stays while its problem does, with the focus and the selection that may be in it. */
  #rows (problems: readonly Problem[], now: number): void {
    const before = this.#list.querySelector('ul')
    const list = before ?? element('ul')
    if (before === null) this.#list.replaceChildren(list)
    const keys = keysOf(problems)
    for (const row of [...list.children]) if (!keys.includes(row.getAttribute('data-problem') ?? '')) row.remove()
    problems.forEach((problem, index) => {
      const key = keys[index] ?? ''
      const found = [...list.children].find((row) => row.getAttribute('data-problem') === key) ?? newRow(problem, key)
      fill(found, problem, now)
      if (list.children[index] !== found) list.insertBefore(found, list.children[index] ?? null)
    })
  }

  #tell (problems: readonly Problem[], known: boolean, lost: boolean): void {
    const told = `${problems.map(({ id, severity }) => `${id} ${severity}`).join()} ${known} ${lost}`
    if (told === this.#told) return
    this.#told = told
    const texts = problems.map(({ severity, text }) => `${SEVERITY[severity]}: ${visible(text)}`)
    setText(this.#news, texts.length > 0 ? `${counted(texts.length, 'problem', 'problems')}. ${texts.join(' ')}` : this.#list.textContent ?? '')
  }
}

/** What tells the rows apart: several databases may have the same problem. */
function keysOf (problems: readonly Problem[]): string[] {
  const ids = problems.map(({ id }) => id)
  return ids.map((id, index) => {
    const earlier = ids.slice(0, index).filter((each) => each === id).length
    return earlier === 0 ? id : `${id} ${earlier + 1}`
  })
}

function note (kind: string, sign: string, text: string): HTMLElement {
  return element('p', { class: kind }, element('span', { class: 'sign', 'aria-hidden': 'true' }, sign), text)
}

function newRow ({ runbook }: Problem, key: string): Element {
  const said = element('p', { class: 'said' }, element('strong', { class: 'severity' }), ' ', element('bdi'))
  const todo = element('p', { class: 'first' }, element('bdi'))
  const more = element('p', { class: 'since' }, element('span'))
  if (/^https?:/.test(runbook)) more.append(' ', element('a', { href: runbook, rel: 'noopener noreferrer', target: '_blank' }, 'Runbook'))
  return element('li', { 'data-problem': key }, said, todo, more)
}

function fill (row: Element, { severity, text, first, since }: Problem, now: number): void {
  setAttribute(row, 'class', severity)
  const texts = { '.severity': SEVERITY[severity], '.said bdi': visible(text), '.first bdi': visible(first), '.since span': `since ${moment(since, now)}` }
  for (const [selector, written] of Object.entries(texts)) {
    const place = row.querySelector(selector)
    if (place !== null) setText(place, written)
  }
}
