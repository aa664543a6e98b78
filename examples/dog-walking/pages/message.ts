import { html, type Html } from './html.js'
import { page } from './layout.js'

export function messagePage (title: string, text: string): Html {
  return page(title, '', html`<section>
<h1>${title}</h1>
<p>${text} <a href="/">Back to the walks</a></p>
</section>`)
}
