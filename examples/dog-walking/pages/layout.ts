import { Html, html } from './html.js'

// Written here and not by a user, so it is not escaped.
const STYLE = new Html(`<style>
  :root { color-scheme: light dark; --ink: light-dark(#22302b, #dfe8e3); --soft: light-dark(#64756d, #93a49c); --line: light-dark(#dde5e0, #33413b);
    --paper: light-dark(#fff, #1c2622); --ground: light-dark(#f3f6f4, #141b18); --leaf: light-dark(#1f7a4d, #5ec48f); --wrong: light-dark(#b3261e, #f2857d) }
  * { box-sizing: border-box }
  body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
  header, main { max-width: 54rem; margin: 0 auto; padding: 0 1.25rem }
  header { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; align-items: baseline; padding-top: 1.5rem; padding-bottom: 1rem }
  header strong { font-size: 1.15rem; margin-right: auto }
  a { color: var(--leaf) }
  header a { text-decoration: none }
  header a:hover, header a[aria-current] { text-decoration: underline; text-underline-offset: .3em }
  section { background: var(--paper); border: 1px solid var(--line); border-radius: .6rem; padding: 1.1rem 1.25rem 1.25rem; margin-bottom: 1.25rem }
  h1 { font-size: 1.35rem; margin: 0 0 .75rem } h2 { font-size: 1.05rem; margin: 0 0 .5rem }
  p { margin: 0 } .soft { color: var(--soft) } h1 small { font-size: .85rem; font-weight: 400; margin-left: .5rem }
  .wide { overflow-x: auto }
  table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums }
  th { text-align: left; font-size: .85rem; font-weight: 600; color: var(--soft) }
  th, td { padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); white-space: nowrap }
  tbody tr:last-child td { border-bottom: 0 } tr:target td { background: color-mix(in srgb, var(--leaf) 14%, transparent) }
  .number { text-align: right } td:last-child, th:last-child { padding-right: 0 }
  .numbers { display: flex; flex-wrap: wrap; gap: .5rem 2.5rem; margin: 0 } .numbers dt { color: var(--soft); font-size: .85rem }
  .numbers dd { margin: 0; font-size: 1.6rem; line-height: 1.3 }
  form { display: grid; gap: 1rem; max-width: 24rem }
  label { display: grid; gap: .25rem; font-weight: 600 }
  select, input { font: inherit; font-weight: 400; color: inherit; background: var(--paper); padding: .45rem .6rem; border: 1px solid var(--soft); border-radius: .4rem; width: 100% }
  [aria-invalid] { border-color: var(--wrong) } .wrong { color: var(--wrong); font-weight: 400; font-size: .9rem }
  button { justify-self: start; font: inherit; font-weight: 600; padding: .5rem 1.1rem; border: 0; border-radius: .4rem; background: #1f7a4d; color: #fff; cursor: pointer }
  @media (max-width: 36rem) { header strong { width: 100% } th, td { padding-right: .5rem; font-size: .9rem } }
</style>`)

const LINKS = [['/', 'Walks'], ['/walks/start', 'Start a walk'], ['/walks/complete', 'Complete a walk'], ['/status', 'Status'], ['/metrics', 'Metrics']] as const

/** A whole page. @param path the link that leads to it, if one does */
export function page (title: string, path: string, content: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Dog walking</title>
<link rel="icon" href="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='10' r='4' fill='%231f7a4d'/><circle cx='3' cy='6' r='2' fill='%231f7a4d'/><circle cx='8' cy='3' r='2' fill='%231f7a4d'/><circle cx='13' cy='6' r='2' fill='%231f7a4d'/></svg>">
${STYLE}
</head>
<body>
<header><strong>Dog walking</strong>${LINKS.map(([to, name]) => to === path ? html` <a href="${to}" aria-current="page">${name}</a>` : html` <a href="${to}">${name}</a>`)}</header>
<main>
${content}
</main>
</body>
</html>
`
}
