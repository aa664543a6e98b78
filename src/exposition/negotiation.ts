import type { IncomingHttpHeaders } from 'node:http'
import { COMPRESSIONS, type Compression } from './compression.js'
import { OPENMETRICS_2 } from './openmetrics-2.js'
import { OPENMETRICS } from './openmetrics.js'
import { PROTOBUF } from './protobuf.js'
import { TEXT } from './text.js'

/** The content types of the formats of a page. Where a scraper takes all equally, it gets the first. */
export const FORMATS = { text: TEXT, openmetrics: OPENMETRICS, protobuf: PROTOBUF, openmetrics2: OPENMETRICS_2 } as const
export type Format = keyof typeof FORMATS

/** Formats that a scraper gets only where it names their version: a scraper that asks for any gets the oldest (OpenMetrics 2.0, "Protocol Negotiation"). */
const NAMED: ReadonlySet<Format> = new Set(['openmetrics2'])

/** What a scraper asks for. */
export interface ScrapeRequest {
  readonly format: Format
  /** Undefined where the bytes are sent as they are. */
  readonly compression: Compression | undefined
  /** The metrics that are asked for; undefined for all. */
  readonly names: ReadonlySet<string> | undefined
  /** Milliseconds after which the scraper has no use for an answer; undefined where it does not say. */
  readonly timeout: number | undefined
}

/** A day: a timer takes no more than 24 of them. */
const LONGEST_TIMEOUT = 86_400_000
/** Elements of a header that are read: none that means well has more. */
const MOST_ELEMENTS = 100

/** Reads what a scraper asks for. A malformed part is ignored. */
export function readRequest (headers: IncomingHttpHeaders, url: string): ScrapeRequest {
  const query = url.indexOf('?')
  const names = query === -1 ? [] : new URLSearchParams(url.slice(query)).getAll('name[]')
  const seconds = Number(headers['x-prometheus-scrape-timeout-seconds'])
  return {
    format: formatOf(headers.accept),
    compression: compressionOf(headers['accept-encoding']),
    names: names.length === 0 ? undefined : new Set(names),
    timeout: seconds > 0 ? Math.min(seconds * 1000, LONGEST_TIMEOUT) : undefined
  }
}

/** One element of a header that lists what is accepted. */
interface Accepted {
  /** In lower case. */
  readonly value: string
  readonly parameters: ReadonlyMap<string, string>
  /** 0 to 1. */
  readonly quality: number
  readonly position: number
}

/** The content types of the formats, as the elements of a header are read. */
const OFFERED = (Object.keys(FORMATS) as Format[]).map((format) => {
  const type = acceptedIn(FORMATS[format])[0] as Accepted
  // Names that need no escaping are the same in every scheme that a scraper may ask for.
  return { format, type: { ...type, parameters: new Map([...type.parameters].filter(([name]) => name !== 'escaping')) } }
})

/** The best format by RFC 9110, 12.5.1: each has the quality of the range that speaks of it most precisely; text where none is accepted. */
function formatOf (accept: string | undefined): Format {
  if (accept === undefined) return 'text'
  const ranges = acceptedIn(accept)
  let best: { format: Format, range: Accepted } | undefined
  for (const { format, type } of OFFERED) {
    const range = rangeOf(type, NAMED.has(format) ? ranges.filter(({ parameters }) => parameters.has('version')) : ranges)
    if (range === undefined || range.quality === 0) continue
    if (best === undefined || range.quality > best.range.quality || (range.quality === best.range.quality && range.position < best.range.position)) best = { format, range }
  }
  return best?.format ?? 'text'
}

/** The most precise range that a content type is in. */
function rangeOf ({ value, parameters }: Accepted, ranges: readonly Accepted[]): Accepted | undefined {
  const precision = (range: Accepted): number => {
    if (range.value === '*/*') return 1
    if (range.value === `${value.split('/')[0]}/*`) return 2
    if (range.value !== value) return 0
    let same = 3
    for (const [name, wanted] of range.parameters) {
      const given = parameters.get(name)
      // A parameter that the type does not have asks for nothing that it is not, as Prometheus' escaping=allow-utf-8.
      if (given !== undefined && given !== wanted) return 0
      if (given !== undefined) same++
    }
    return same
  }
  let best: Accepted | undefined
  for (const range of ranges) {
    const found = precision(range)
    if (found > 0 && (best === undefined || found > precision(best))) best = range
  }
  return best
}

/**
 * The compression that is most welcome, and no less than the bytes as they are (RFC 9110, 12.5.3); of two that are equally welcome, the first in the header.
 * Only gzip is meant by `*`: every scraper can read it.
 */
function compressionOf (header: string | undefined): Compression | undefined {
  if (header === undefined) return undefined
  const accepted = acceptedIn(header)
  const find = (...names: string[]) => accepted.find(({ value }) => names.includes(value))
  const least = find('identity')?.quality ?? 0
  let best: Accepted | undefined
  let compression: Compression | undefined
  for (const each of COMPRESSIONS) {
    const found = each === 'gzip' ? find('gzip', 'x-gzip') ?? find('*') : find(each)
    if (found === undefined || found.quality === 0 || found.quality < least) continue
    if (best !== undefined && (found.quality < best.quality || (found.quality === best.quality && found.position > best.position))) continue
    best = found
    compression = each
  }
  return compression
}

/** The elements of a header with a list of what is accepted. A quality that is no number from 0 to 1 is 1. */
function acceptedIn (header: string): Accepted[] {
  return split(header, ',').slice(0, MOST_ELEMENTS).map((element, position) => {
    const [value = '', ...rest] = split(element, ';')
    const parameters = new Map(rest.map((parameter) => {
      const [name = '', text = ''] = parameter.split(/=(.*)/s)
      return [name.trim().toLowerCase(), text.trim().replace(/^"(.*)"$/s, '$1').replace(/\\(.)/gs, '$1').toLowerCase()]
    }))
    const said = parameters.get('q')
    const quality = said !== undefined && /^(0(\.\d*)?|1(\.0*)?)$/.test(said) ? Number(said) : 1
    parameters.delete('q')
    return { value: value.trim().toLowerCase(), parameters, quality, position }
  })
}

/** Splits at a separator that does not stand in quotes. */
function split (text: string, separator: string): string[] {
  const parts: string[] = []
  let from = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const character = text[i]
    if (quoted && character === '\\') i++
    else if (character === '"') quoted = !quoted
    else if (character === separator && !quoted) {
      parts.push(text.slice(from, i))
      from = i + 1
    }
  }
  parts.push(text.slice(from))
  return parts
}
