import type { IncomingHttpHeaders } from 'node:http'
import { OPENMETRICS } from './openmetrics.js'
import { PROTOBUF } from './protobuf.js'
import { TEXT } from './text.js'

/** The formats of a page, the one that is served where all are equally welcome first. */
export const FORMATS = { text: TEXT, openmetrics: OPENMETRICS, protobuf: PROTOBUF } as const
export type Format = keyof typeof FORMATS

/** What a scraper asks for. */
export interface ScrapeRequest {
  readonly format: Format
  readonly gzip: boolean
  /** The metrics that are asked for; undefined for all. */
  readonly names: ReadonlySet<string> | undefined
  /** Milliseconds after which the scraper has no use for an answer; undefined where it does not say. */
  readonly timeout: number | undefined
}

/** A day: a timer takes no more than 24 of them. */
const LONGEST_TIMEOUT = 86_400_000
/** Elements of a header that are read: none that means well has more. */
const MOST_ELEMENTS = 100

/** Reads what is asked for. What is malformed is as if it were not there. */
export function readRequest (headers: IncomingHttpHeaders, url: string): ScrapeRequest {
  const query = url.indexOf('?')
  const names = query === -1 ? [] : new URLSearchParams(url.slice(query)).getAll('name[]')
  const seconds = Number(headers['x-prometheus-scrape-timeout-seconds'])
  return {
    format: formatOf(headers.accept),
    gzip: acceptsGzip(headers['accept-encoding']),
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

/** The content types of the formats, as a header's elements are read. */
const OFFERED = (Object.keys(FORMATS) as Format[]).map((format) => ({ format, type: acceptedIn(FORMATS[format])[0] as Accepted }))

/** The best format by RFC 9110, 12.5.1: each has the quality of the range that speaks of it most precisely; text where none is accepted. */
function formatOf (accept: string | undefined): Format {
  if (accept === undefined) return 'text'
  const ranges = acceptedIn(accept)
  let best: { format: Format, range: Accepted } | undefined
  for (const { format, type } of OFFERED) {
    const range = rangeOf(type, ranges)
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

/** Whether gzip is accepted, and no less than the bytes as they are (RFC 9110, 12.5.3). */
function acceptsGzip (header: string | undefined): boolean {
  if (header === undefined) return false
  const accepted = acceptedIn(header)
  const qualityOf = (...names: string[]): number | undefined => accepted.find(({ value }) => names.includes(value))?.quality
  const gzip = qualityOf('gzip', 'x-gzip') ?? qualityOf('*') ?? 0
  return gzip > 0 && gzip >= (qualityOf('identity') ?? 0)
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
