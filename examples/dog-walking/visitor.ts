/** What the service answered. */
export interface Answer {
  readonly status: number
  readonly text: string
  /** Where it sends the visitor on to, '' where it does not. */
  readonly location: string
}

/** An option of a select of a form. */
export interface Choice {
  readonly value: string
  readonly label: string
}

/** Visits the service as a browser does: opens its pages and sends its forms. */
export class Visitor {
  readonly #url: string
  readonly #signal: AbortSignal | undefined

  /** @param signal ends every visit */
  constructor (url: string, signal?: AbortSignal) {
    this.#url = url
    this.#signal = signal
  }

  open (path: string): Promise<Answer> {
    return this.#fetch(path, {})
  }

  send (path: string, form: Record<string, string>): Promise<Answer> {
    return this.#fetch(path, { method: 'POST', body: new URLSearchParams(form) })
  }

  async #fetch (path: string, init: RequestInit): Promise<Answer> {
    const response = await fetch(this.#url + path, { ...init, redirect: 'manual', signal: this.#signal ?? null })
    return { status: response.status, text: await response.text(), location: response.headers.get('location') ?? '' }
  }
}

/** What there is to choose from in a select of a page. */
export function choicesOf (page: string, select: string): Choice[] {
  const [, options = ''] = new RegExp(`<select name="${select}"[^>]*>(.*?)</select>`, 's').exec(page) ?? []
  return [...options.matchAll(/<option value="(\d+)"[^>]*>([^<]*)/g)].map(([, value = '', label = '']) => ({ value, label }))
}
