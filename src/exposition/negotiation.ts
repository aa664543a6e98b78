import type { IncomingHttpHeaders } from 'node:http'
import { COMPRESSIONS, type Compression } from './compression.js'
import { OPENMETRICS_2 } from './openmetrics-2.js'
import { OPENMETRICS } from './openmetrics.js'
import { PROTOBUF } from './protobuf.js'
import { TEXT } from './text.js'

/** The content types of the formats of a page. A scraper that accepts all of them equally gets the first. */
export const FORMATS = { text: TEXT, openmetrics: OPENMETRICS, protobuf: PROTOBUF, openmetrics2: OPENMETRICS_2 } as const
export type Format = keyof typeof FORMATS

/**
 * Formats that a scraper gets only if it names their version. A scraper that asks for any version gets the oldest
 * (OpenMetrics 2.0, "Protocol Negotiation").
 */
const NAMED: ReadonlySet<Format> = new Set(['openmetrics2'])

/** The request of a scraper. */
export interface ScrapeRequest {
  readonly format: Format
  /** Undefined if the page is sent uncompressed. */
  readonly compression: Compression | undefined
  /** The names of the metrics that the scraper asks for; undefined for all. */
  readonly names: ReadonlySet<string> | undefined
  /** Milliseconds after which the scraper has no use for an answer; undefined if the scraper does not tell. */
  readonly timeout: number | undefined
}

/** One day in milliseconds: a timer takes no more than 24 days. */
const LONGEST_TIMEOUT = 86_400_000
/** The most elements of a header that are read. No honest scraper sends more. */
const MOST_ELEMENTS = 100

/** Reads the request of a scraper. A malformed part is ignored. */
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

/** One element of an Accept or Accept-Encoding header. */
interface Accepted {
  /** The media range or the content coding, in lower case. */
  readonly value: string
  readonly parameters: ReadonlyMap<string, string>
  /** From 0 to 1. */
  readonly quality: number
  readonly position: number
}

/** The content types of the formats, read in the same way as the elements of a header. */
const OFFERED = (Object.keys(FORMATS) as Format[]).map((format) => {
  const type = acceptedIn(FORMATS[format])[0] as Accepted
  // Our names need no escaping, so they are the same in every escaping scheme that a scraper may ask for.
  return { format, type: { ...type, parameters: new Map([...type.parameters].filter(([name]) => name !== 'escaping')) } }
})

/**
 * The best format by RFC 9110, 12.5.1: each format has the quality of the most precise range that it is in. Text if the
 * scraper accepts no format.
 */
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
      // A parameter that the content type does not have, such as Prometheus' escaping=allow-utf-8, excludes nothing.
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
 * The compression that the scraper prefers, if it does not prefer the page uncompressed (RFC 9110, 12.5.3). Of two that
 * it prefers equally, the first in the header. `*` means only gzip, because every scraper can read gzip.
 */
function compressionOf (header: string | undefined): Compression | undefined {
  if (header === undefined) return undefined
  const find = finderIn(header)
  const least = find('identity')?.quality ?? 0
  let best: Accepted | undefined
  let compression: Compression | undefined
  for (const each of COMPRESSIONS) {
    const found = each === 'gzip' ? gzipIn(find) : find(each)
    if (found === undefined || found.quality === 0 || found.quality < least) continue
    if (best !== undefined && (found.quality < best.quality || (found.quality === best.quality && found.position > best.position))) continue
    best = found
    compression = each
  }
  return compression
}

/** Whether an Accept-Encoding header takes gzip. */
export function takesGzip (header: string | undefined): boolean {
  return (gzipIn(finderIn(header ?? ''))?.quality ?? 0) > 0
}

/** Finds the first element of a header that is one of some names. */
type Finder = (...names: string[]) => Accepted | undefined

function finderIn (header: string): Finder {
  const accepted = acceptedIn(header)
  return (...names) => accepted.find(({ value }) => names.includes(value))
}

function gzipIn (find: Finder): Accepted | undefined {
  return find('gzip', 'x-gzip') ?? find('*')
}

/** The elements of an Accept or Accept-Encoding header. A quality that is no number from 0 to 1 is read as 1. */
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

/** Splits a text at each separator that is not in quotes. */
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
