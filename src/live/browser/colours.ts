/** The custom properties of page.css that the colours of lines stand in. */
const SEMANTIC: ReadonlyArray<readonly [names: RegExp, property: string]> = [
  [/^(499|aborted|cancelled)$/i, '--aborted'],
  [/^1(xx|\d\d)$/i, '--aborted'],
  [/^2(xx|\d\d)$/i, '--status-2'],
  [/^3(xx|\d\d)$/i, '--status-3'],
  [/^4(xx|\d\d)$/i, '--status-4'],
  [/^(5(xx|\d\d)|errors?|failed)$/i, '--status-5'],
  [/^p50$/i, '--quantile-1'],
  [/^p(75|90|95)$/i, '--quantile-2'],
  [/^p99(\.?9+)?$/i, '--quantile-3']
]
const PALETTE = 8

/** The custom property that has the colour of a line: by the meaning of its name, or else by its place. */
export function lineColour (name: string, index: number): string {
  return SEMANTIC.find(([names]) => names.test(name))?.[1] ?? `--line-${index % PALETTE + 1}`
}

const resolved = new Map<string, string>()

/** The colour that the custom property has in the theme of now, as canvas takes it. */
export function colour (property: string): string {
  const known = resolved.get(property)
  if (known !== undefined) return known
  const probe = document.createElement('i')
  probe.style.color = `var(${property})`
  document.body.append(probe)
  const value = getComputedStyle(probe).color
  probe.remove()
  resolved.set(property, value)
  return value
}

/** The theme has changed. */
export function forgetColours (): void {
  resolved.clear()
}
