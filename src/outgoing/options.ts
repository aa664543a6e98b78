import { domainToASCII } from 'node:url'
import type { Scope } from '../catalogue.js'
import { SCOPE_DEFAULTS, SCOPE_OPTIONS, readScope } from '../instrumentation/index.js'
import { invalidOption } from '../validation/errors.js'
import { entriesOf, readBuckets, readKnown } from '../validation/given.js'
import { outgoingSpellings } from '../validation/spellings.js'

/** The options that an adapter of outgoing HTTP takes. */
export interface OutgoingScope extends Scope {
  /**
   * The hosts that the label `host` may name; all others are `_OTHER`. A host has its port only where that is not the
   * scheme's own: 'api.example.com', 'localhost:3000', '[::1]:3000'. '*.example.com' is the label of all hosts below
   * example.com. Default: the first `maxHosts` hosts are named.
   */
  hosts?: readonly string[] | undefined
  /** How many hosts are named; further ones are `_OTHER`, and one warning says so. Default: 100. */
  maxHosts?: number | undefined
  /** Upper bounds of http_client_request_duration_seconds, in seconds. */
  buckets?: readonly number[] | undefined
}

export const DEFAULT_MAX_HOSTS = 100

/** What an option is that was not given. */
export const OUTGOING_DEFAULTS: OutgoingScope = { maxHosts: DEFAULT_MAX_HOSTS, ...SCOPE_DEFAULTS }

const MAX_PORT = 65535
const OPTIONS = ['hosts', 'maxHosts', 'buckets', ...SCOPE_OPTIONS] as const satisfies ReadonlyArray<keyof OutgoingScope>

/** A host as the label shows it, with `*.` before it for all below. Nothing that can hold a path, a query or a password. */
const HOST = /^(\*\.)?([^\s/?#@:[\]*]+|\[[\da-f:.]+\])(:\d{1,5})?$/

/**
 * Checks the options of an adapter of outgoing HTTP.
 * @param owner the public function that the options were passed to
 * @throws MetricsError FP_ERR_INVALID_OPTION for an option that is unknown or has a wrong value
 */
export function readOutgoingScope (owner: string, given: unknown = {}): OutgoingScope {
  const options = readKnown(owner, given, OPTIONS, outgoingSpellings)
  const { maxHosts, buckets } = options
  if (maxHosts !== undefined && !(Number.isInteger(maxHosts) && (maxHosts as number) > 0)) throw invalidOption(owner, 'maxHosts', 'a whole number from 1 on', maxHosts)
  return { hosts: readHosts(owner, options.hosts), maxHosts: maxHosts as number | undefined, buckets: readBuckets(owner, buckets), ...readScope(owner, options) }
}

function readHosts (owner: string, given: unknown): readonly string[] | undefined {
  if (given === undefined) return undefined
  if (!Array.isArray(given)) throw invalidOption(owner, 'hosts', 'an array of hosts', given)
  return entriesOf(owner, 'hosts', given).map(([i, host]) => {
    const expected = "a host without scheme and path, such as 'api.example.com', 'localhost:3000' or '*.example.com'"
    const [whole, wildcard = '', name = '', port = ''] = (typeof host === 'string' ? HOST.exec(host.toLowerCase()) : undefined) ?? []
    // As the URL of a request has it: 'xn--bcher-kva.example'.
    const ascii = name.startsWith('[') ? name : domainToASCII(name)
    if (whole === undefined || ascii === '' || Number(port.slice(1)) > MAX_PORT) throw invalidOption(owner, `hosts[${i}]`, expected, host)
    return wildcard + ascii + port
  })
}
