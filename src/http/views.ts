import type { FastifyReply } from 'fastify'
import type { FamilyOf } from '../catalogue.js'
import { OTHER } from './routes.js'

type View = (this: FastifyReply, page: unknown, ...rest: unknown[]) => unknown

/** Counts what this reply renders by `reply.view`, where @fastify/view has put it there. */
export function countViews (reply: FastifyReply, templates: FamilyOf<'http_responses_template_total'>): void {
  const { view } = reply as { view?: View }
  if (typeof view !== 'function') return
  ;(reply as { view?: View }).view = function (page, ...rest) {
    templates.inc({ template: typeof page === 'string' ? page : OTHER })
    return view.call(this, page, ...rest)
  }
}
