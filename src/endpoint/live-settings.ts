import type { RouteShorthandOptions } from 'fastify'
import { invalidOption } from '../validation/errors.js'
import { isRecord, readGiven, refuseUnknown } from '../validation/given.js'
import { endpointSpellings } from '../validation/spellings.js'
import { OF_ROUTES, checkGuards, checkPath, routeIn, type RouteSettings } from './settings.js'

/** Options of the live page: its path, and any Fastify route option, which replaces that of the endpoint. */
export interface LiveOptions extends RouteShorthandOptions {
  /** The path of the page. Default: that of the endpoint with '/live' behind it. */
  path?: string
}

/**
 * Reads the option `live`.
 * @param owner the public function that the option was passed to
 * @param endpoint the page of the metrics: what protects it protects this one
 * @returns undefined if there is no live page
 * @throws MetricsError FP_ERR_INVALID_OPTION
 */
export function readLive (owner: string, live: unknown, endpoint: RouteSettings): RouteSettings | undefined {
  if (live === undefined || live === false) return undefined
  const usual = { ...endpoint, path: `${endpoint.path.replace(/\/+$/, '')}/live` }
  if (live === true) return usual
  if (!isRecord(live)) throw invalidOption(owner, 'live', "true, false, or an object with a path and Fastify's route options", live)
  const { values, unknown } = readGiven(owner, 'live.', live, ['path', ...OF_ROUTES])
  refuseUnknown(owner, 'live.', live, unknown, "path, or an option of a Fastify route; what a hook of your own reads goes into 'live.config'", endpointSpellings('live.'))
  const { path = usual.path } = values
  checkPath(owner, 'live.path', path)
  if (/[*:]|\/$/.test(path)) throw invalidOption(owner, 'live.path', "a path without parameters, '*' and a '/' at its end", path)
  checkGuards(owner, 'live.', live, values)
  return { ...usual, path, route: { ...endpoint.route, ...routeIn(values) } }
}
