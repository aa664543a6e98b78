const KEY = 'fastify-prometheus.theme'
const THEMES = ['auto', 'light', 'dark']

/** The buttons of the theme. 'auto' follows the system. */
export function themes (buttons: Iterable<HTMLButtonElement>, changed: () => void): void {
  const all = [...buttons]
  const apply = (theme: string): void => {
    document.documentElement.dataset['theme'] = theme
    for (const button of all) button.setAttribute('aria-pressed', String(button.dataset['theme'] === theme))
    changed()
  }
  for (const button of all) {
    button.addEventListener('click', () => {
      const theme = button.dataset['theme'] ?? 'auto'
      keep(theme)
      apply(theme)
    })
  }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed)
  apply(kept())
}

/** The browser may forbid to keep anything; then the theme is chosen anew at each visit. */
function kept (): string {
  try {
    const theme = localStorage.getItem(KEY)
    return theme !== null && THEMES.includes(theme) ? theme : 'auto'
  } catch {
    return 'auto'
  }
}

function keep (theme: string): void {
  try {
    localStorage.setItem(KEY, theme)
  } catch {
    // See above.
  }
}
