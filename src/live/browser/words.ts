import { moment } from './clock.js'

/** How the page hears from the service. */
export type ConnectionState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  | { readonly kind: 'asking', readonly every: number }
  | { readonly kind: 'lost', readonly since: number | null, readonly why: string | null }

/** The state in words. */
export function connectionWords (state: ConnectionState, now: number): string {
  if (state.kind === 'connecting') return 'connecting'
  if (state.kind === 'live') return 'live'
  if (state.kind === 'asking') return `asking every ${Math.round(state.every / 1000)} s`
  const why = state.why === null ? '' : ` (${state.why})`
  if (state.since === null) return `no connection${why}, trying again`
  return `connection lost since ${moment(state.since, now)}${why}, trying again`
}
