import type { FastifyReply } from 'fastify'
import type { FamilyOf } from '../catalogue.js'
import { shadowMethod } from '../instrumentation/index.js'
import { OTHER } from './bounded-values.js'

/** Counts the templates that this reply renders by `reply.view`, if @fastify/view has put it there. */
export function countViews (reply: FastifyReply, templates: FamilyOf<'http_responses_template_total'>, failed: (error: unknown) => void): void {
  shadowMethod(reply, 'view', (view) => function (this: unknown, ...args: unknown[]) {
    try {
      templates.inc({ template: typeof args[0] === 'string' ? args[0] : OTHER })
    } catch (error) {
      failed(error)
    }
    return view.apply(this, args)
  })
}
