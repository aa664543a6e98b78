import type { Dog } from '../entities/dog.js'
import type { Walk } from '../entities/walk.js'
import type { Walker } from '../entities/walker.js'
import type { CompleteFields, Problems, StartFields } from '../walks.js'
import { html, type Html } from './html.js'
import { page } from './layout.js'

/** What somebody filled in, and what is wrong with it. */
export interface Filled<F extends string> {
  readonly form: Partial<Record<F, string>>
  readonly problems?: Problems<F>
}

export function startPage (walkers: readonly Walker[], dogs: readonly Dog[], { form, problems = {} }: Filled<StartFields>): Html {
  return page('Start a walk', '/walks/start', html`<section>
<h1>Start a walk</h1>
<form method="post" action="/walks/start">
${select('walker', 'Walker', walkers.map(({ id, name }) => [id, name]), form.walker, problems.walker)}
${select('dog', 'Dog', dogs.map(({ id, name, size }) => [id, `${name} (${size})`]), form.dog, problems.dog)}
<button>Start</button>
</form>
</section>`)
}

export function completePage (walks: readonly Walk[], { form, problems = {} }: Filled<CompleteFields>): Html {
  return page('Complete a walk', '/walks/complete', html`<section>
<h1>Complete a walk</h1>
<form method="post" action="/walks/complete">
${select('walk', 'Walk', walks.map(({ id, dog, walker }) => [id, `${id}: ${dog.name} with ${walker.name}`]), form.walk, problems.walk)}
<label>Distance in metres
<input name="distance" inputmode="numeric" autocomplete="off" value="${form.distance}"${invalid(problems.distance)}>${problem(problems.distance)}</label>
<button>Complete</button>
</form>
</section>`)
}

function select (name: string, label: string, options: Array<[id: number, text: string]>, chosen?: string, wrong?: string): Html {
  return html`<label>${label}
<select name="${name}"${invalid(wrong)}>
<option value="">Choose</option>${options.map(([id, text]) => html`
<option value="${id}"${String(id) === chosen ? html` selected` : undefined}>${text}</option>`)}
</select>${problem(wrong)}</label>`
}

function invalid (wrong: string | undefined): Html | undefined {
  return wrong === undefined ? undefined : html` aria-invalid="true"`
}

function problem (wrong: string | undefined): Html | undefined {
  return wrong === undefined ? undefined : html`<span class="wrong" role="alert">${wrong}</span>`
}
