/** HTML that is safe to send as it is. */
export class Html {
  constructor (readonly text: string) {}
}

type Part = Html | string | number | undefined | readonly Part[]

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** A template whose values are escaped unless they are Html themselves; an array is its items, undefined nothing. */
export function html (strings: TemplateStringsArray, ...parts: Part[]): Html {
  return new Html(String.raw({ raw: strings }, ...parts.map(textOf)))
}

function textOf (part: Part): string {
  if (part instanceof Html) return part.text
  if (part === undefined) return ''
  if (typeof part === 'object') return part.map(textOf).join('')
  return String(part).replace(/[&<>"']/g, (character) => ENTITIES[character] as string)
}
