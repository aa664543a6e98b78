import type { Walk } from '../entities/walk.js'
import { html, type Html } from './html.js'
import { page } from './layout.js'

/** What the front page shows. */
export interface Overview {
  readonly inProgress: readonly Walk[]
  readonly completed: readonly Walk[]
  readonly dogsAtHome: number
}

export function overviewPage ({ inProgress, completed, dogsAtHome }: Overview): Html {
  return page('Walks', '/', html`<section>
<h1>Today in the park <small class="soft">times in UTC</small></h1>
<dl class="numbers">
<div><dt>Dogs out</dt><dd>${inProgress.length}</dd></div>
<div><dt>Dogs at home</dt><dd>${dogsAtHome}</dd></div>
</dl>
</section>
<section>
<h2>In progress</h2>
${inProgress.length === 0 ? html`<p class="soft">Nobody is out. <a href="/walks/start">Start a walk</a></p>` : walksTable(inProgress)}
</section>
<section>
<h2>Completed lately</h2>
${completed.length === 0 ? html`<p class="soft">No walk has been completed yet.</p>` : walksTable(completed)}
</section>`)
}

function walksTable (walks: readonly Walk[]): Html {
  const out = walks[0]?.endedAt === null
  return html`<div class="wide"><table>
<thead><tr><th>Walk</th><th>Dog</th><th>Size</th><th>Walker</th><th>Started</th>${out ? html`<th></th>` : html`<th>Ended</th><th class="number">Distance</th>`}</tr></thead>
<tbody>${walks.map((walk) => html`
<tr id="walk-${walk.id}"><td>${walk.id}</td><td>${walk.dog.name}</td><td>${walk.dog.size}</td><td>${walk.walker.name}</td><td>${timeOf(walk.startedAt)}</td>${
  out ? html`<td class="number"><a href="/walks/complete?walk=${walk.id}">Complete</a></td>` : html`<td>${timeOf(walk.endedAt)}</td><td class="number">${walk.distance ?? ''} m</td>`}</tr>`)}
</tbody>
</table></div>`
}

function timeOf (date: Date | null): Html | undefined {
  return date === null ? undefined : html`<time datetime="${date.toISOString()}">${date.toISOString().slice(11, 19)}</time>`
}
