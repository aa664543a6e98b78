import zlib, { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { readRequest, type Format } from '../../src/exposition/index.js'
import { Counter, Histogram } from '../../src/index.js'
import { exchange, service } from '../support/http.js'
import { Page } from '../support/page.js'

const TYPES: Record<Format, string> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores',
  openmetrics2: 'application/openmetrics-text; version=2.0.0; charset=utf-8',
  protobuf: 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited'
}

/** Accept headers and what they get. The first ones are what Prometheus sends, by version and configuration. */
const ACCEPTED: Array<[Format, string]> = [
  ['openmetrics', 'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'],
  ['protobuf', 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'],
  ['openmetrics', 'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1'],
  ['protobuf', 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1'],
  ['text', 'application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'],
  ['text', '*/*'],
  ['text', 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'],
  ['text', 'text/plain'],
  ['text', 'TEXT/Plain;VERSION=0.0.4'],
  ['openmetrics', 'application/openmetrics-text'],
  ['openmetrics', 'application/openmetrics-text; version="1.0.0"; charset="UTF-8"'],
  ['openmetrics', 'application/*'],
  ['openmetrics', 'text/plain;q=0.1, */*;q=0.9'],
  ['protobuf', 'application/openmetrics-text;q=0, text/plain;q=0, */*'],
  ['protobuf', 'application/vnd.google.protobuf'],
  ['text', 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=compact-text, text/plain;q=0.1'],
  ['openmetrics', 'application/openmetrics-text, text/plain'],
  ['text', 'text/plain, application/openmetrics-text'],
  ['text', 'application/openmetrics-text;q=0.5, text/plain;q=0.6'],
  ['openmetrics', 'text/plain;q=0.6, application/openmetrics-text;q=0.61'],
  ['openmetrics', 'text/plain;a="\\",";q=0.1, application/openmetrics-text'],
  // OpenMetrics 2.0 is for those that name its version. The first is what Prometheus 3.15 sends with it.
  ['openmetrics2', 'application/openmetrics-text;version=2.0.0;q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'],
  ['openmetrics2', 'application/openmetrics-text; version=2.0.0; charset=utf-8'],
  ['openmetrics2', 'Application/OpenMetrics-Text;Version="2.0.0"'],
  ['openmetrics2', 'application/openmetrics-text;version=2.0.0, text/plain;version=0.0.4;q=0.9, */*;q=0.1'],
  ['openmetrics', 'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=2.0.0'],
  ['openmetrics', 'application/openmetrics-text;version=2.0.0;q=0.5,application/openmetrics-text;version=1.0.0;q=0.6'],
  ['openmetrics', 'application/openmetrics-text;version=2.0.0;q=0,application/openmetrics-text'],
  ['openmetrics', 'application/openmetrics-text;escaping=dots'],
  ['openmetrics', 'application/openmetrics-text;version=1.0.0;escaping=values'],
  ['text', 'application/openmetrics-text;version=2.0.0;q=0'],
  ['text', 'application/openmetrics-text;version=2.0'],
  ['text', 'application/openmetrics-text;version=2.1.0, */*;q=0.1'],
  ['protobuf', 'application/vnd.google.protobuf;q=0.8,application/openmetrics-text;version=2.0.0;q=0.7'],
  // What fits nothing, or is nothing, gets text.
  ['text', 'image/png'],
  ['text', 'text/plain;q=0'],
  ['text', 'application/openmetrics-text;q=0'],
  ['text', 'text/plain;version=9'],
  ['text', ''],
  ['text', ',,;;,=,q=1;;"'],
  ['openmetrics', 'application/openmetrics-text;q=high'],
  ['openmetrics', 'application/openmetrics-text;q=7']
]

t.test('the Accept header chooses the format, and what nothing fits gets text', async (t) => {
  const { app, url } = await service(t, { before: (app) => app.addHook('onRequest', async (request, reply) => { if (request.headers.origin !== undefined) reply.header('vary', 'origin') }) })
  for (const [format, accept] of ACCEPTED) {
    const response = await fetch(`${url}/metrics`, { headers: { accept } })
    t.equal(response.status, 200)
    t.equal(response.headers.get('content-type'), TYPES[format], accept)
    t.equal(response.headers.get('vary'), 'accept, accept-encoding')
    await response.arrayBuffer()
  }
  t.equal(readRequest({}, '/metrics').format, 'text', 'no header at all')
  t.equal((await app.inject({ url: '/metrics', headers: { origin: 'a' } })).headers.vary, 'origin, accept, accept-encoding', 'what another hook said stays')
})

t.test('a format has its own end, and the same series', async (t) => {
  const { url, registry } = await service(t, {})
  new Counter({ name: 'walks', help: 'Walks.', registers: [registry] }).inc(2)
  new Counter({ name: 'dogs_total', help: 'Dogs.', registers: [registry] }).inc(3)
  const get = async (accept: string) => await (await fetch(`${url}/metrics`, { headers: { accept } })).text()
  const text = await get('text/plain')
  const openMetrics = await get('application/openmetrics-text')
  t.match(text, '# TYPE walks counter\nwalks 2\n')
  t.match(text, '# TYPE dogs_total counter\ndogs_total 3\n')
  t.notMatch(text, '# EOF')
  t.match(openMetrics, '# TYPE walks unknown\n# HELP walks Walks.\nwalks 2\n')
  t.match(openMetrics, '# TYPE dogs counter\n# HELP dogs Dogs.\ndogs_total 3\n')
  t.notMatch(openMetrics, '_created', 'a series that says when another began is there where it is asked for')
  const second = await get('application/openmetrics-text;version=2.0.0')
  t.match(second, /# TYPE dogs_total counter\n# HELP dogs_total Dogs.\ndogs_total 3 st@1\d{9}(\.\d+)?\n/)
  t.ok(second.endsWith('\n# EOF\n'))
  t.ok(openMetrics.endsWith('\n# EOF\n'))
})

t.test('created asks for series that say when others began, in OpenMetrics 1.0 alone', async (t) => {
  const { url } = await service(t, { options: { endpoint: { created: true } } })
  const get = async (accept: string) => await (await fetch(`${url}/metrics`, { headers: { accept } })).text()
  t.match(await get('application/openmetrics-text'), /\nmetrics_exposition_size_bytes_created 1\d{9}(\.\d+)?\n/)
  t.notMatch(await get('application/openmetrics-text;version=2.0.0'), '_created')
  t.notMatch(await get('text/plain'), '_created')
})

t.test('gzip is used where it is accepted and no worse than none', async (t) => {
  const { app } = await service(t, {})
  const cases: Array<[boolean, string | undefined]> = [
    [true, 'gzip'], [true, 'gzip, deflate, br'], [true, 'x-gzip'], [true, '*'], [true, 'GZIP;q=0.5'], [true, 'identity;q=0.5, gzip;q=0.6'],
    [false, undefined], [false, ''], [false, 'br'], [false, 'gzip;q=0'], [false, '*;q=0'], [false, 'gzip;q=0.4, identity;q=0.5'], [false, 'gzip;q=0, *'], [false, ';;,,=']
  ]
  for (const [zipped, header] of cases) {
    const { headers, rawPayload } = await app.inject({ url: '/metrics', headers: header === undefined ? {} : { 'accept-encoding': header } })
    t.equal(headers['content-encoding'], zipped ? 'gzip' : undefined, header ?? 'no header')
    t.ok(new Page((zipped ? gunzipSync(rawPayload) : rawPayload).toString()).samples.length > 10)
  }
})

/** As Node 22.15 and later can. */
const { zstdDecompressSync } = zlib as { zstdDecompressSync?: (bytes: Buffer) => Buffer }

t.test('zstd is used where this Node has it and the scraper asks for it, before gzip where it weighs more or comes first', async (t) => {
  const { app, port, registry } = await service(t, {})
  const large = new Counter({ name: 'large_total', help: 'h', labelNames: ['text'], registers: [registry], maxSeries: 5000 })
  for (let i = 0; i < 5000; i++) large.inc({ text: `${i}`.padStart(40) })
  const cases: Array<[with22: string | undefined, with20: string | undefined, header: string]> = [
    ['zstd', undefined, 'zstd'], ['zstd', 'gzip', 'zstd, gzip'], ['gzip', 'gzip', 'gzip, zstd'], ['zstd', 'gzip', 'gzip;q=0.8, zstd;q=0.9'], ['gzip', 'gzip', 'zstd;q=0.8, gzip;q=0.9'],
    ['gzip', 'gzip', 'zstd;q=0, *'], ['gzip', 'gzip', '*'], ['zstd', 'gzip', 'gzip;q=0.5, ZSTD'], [undefined, undefined, 'zstd;q=0.4, identity;q=0.5'], [undefined, undefined, 'zstd;q=0'], ['zstd', undefined, 'br, zstd, gzip;q=0']
  ]
  for (const [with22, with20, header] of cases) {
    const { headers, rawPayload } = await app.inject({ url: '/metrics', headers: { 'accept-encoding': header } })
    const expected = zstdDecompressSync === undefined ? with20 : with22
    t.equal(headers['content-encoding'], expected, header)
    const page = expected === 'zstd' ? zstdDecompressSync?.(rawPayload) ?? rawPayload : expected === 'gzip' ? gunzipSync(rawPayload) : rawPayload
    t.equal(new Page(page.toString()).sum('large_total'), 5000)
    if (expected !== undefined) t.ok(rawPayload.length < page.length / 4, `${rawPayload.length} of ${page.length} bytes`)
  }
  const head = await app.inject({ method: 'HEAD', url: '/metrics', headers: { 'accept-encoding': 'zstd' } })
  t.equal(head.headers['content-encoding'], zstdDecompressSync === undefined ? undefined : 'zstd')
  t.match(await exchange(port, 'GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept-Encoding: zstd\r\nAccept: application/openmetrics-text;version=2.0.0\r\n\r\n'), /^HTTP\/1\.1 200 OK/)
})

t.test('HEAD says what GET would, and reads nothing', async (t) => {
  const { url, registry, page } = await service(t, {})
  let collected = 0
  registry.registerMetric(new Counter({ name: 'asked', help: 'h', registers: [], collect () { collected++ } }) as never)
  const response = await fetch(`${url}/metrics`, { method: 'HEAD', headers: { accept: 'application/openmetrics-text' } })
  t.equal(response.status, 200)
  t.equal(response.headers.get('content-type'), TYPES.openmetrics)
  t.equal(await response.text(), '')
  t.equal(collected, 0)
  t.equal((await page()).sum('metrics_expositions_total'), 0, 'it is no exposition')
  t.equal(collected, 1)
})

t.test('name[] asks for some metrics, by their own names or those of their lines', async (t) => {
  let collected = 0
  const { app, registry } = await service(t, {})
  new Counter({ name: 'a_total', help: 'h', registers: [registry] }).inc()
  new Counter({ name: 'b_total', help: 'h', registers: [registry], collect () { collected++ } }).inc()
  new Histogram({ name: 'h_seconds', help: 'h', registers: [registry], buckets: [1] }).observe(2)
  const get = async (query: string) => new Page((await app.inject(`/metrics?${query}`)).body).samples.map(({ name }) => name)
  const whole = ['h_seconds_bucket', 'h_seconds_bucket', 'h_seconds_sum', 'h_seconds_count']
  t.same(await get('name[]=a_total'), ['a_total'])
  t.same(await get('name%5B%5D=a_total'), ['a_total'])
  t.same(await get('name[]=a'), ['a_total'], 'the name that OpenMetrics gives the family')
  t.same(await get('name[]=h_seconds_bucket&name[]=a_total'), ['a_total', ...whole])
  t.same(await get('name[]=h_seconds_count'), whole)
  t.same(await get('name[]=nothing'), [])
  t.same(await get('name[]='), [])
  t.same(await get('name[]=%ff%00&name[]=%'), [], 'malformed')
  t.same(await get('name[]=__proto__'), [])
  t.equal(collected, 0, 'what is not asked for is not collected')
  t.ok((await get('name=a_total&other=1')).length > 20, 'another parameter is none of ours')
  t.equal(collected, 1)
  const empty = await app.inject({ url: '/metrics?name[]=nothing', headers: { accept: 'application/openmetrics-text' } })
  t.equal(empty.body, '# EOF\n')
})

t.test('no header, however malformed, is more than a page in text', async (t) => {
  const { port, page } = await service(t, {})
  const hostile = fc.oneof(fc.string({ maxLength: 300 }), fc.stringMatching(/^[a-z*/;=,q"\\.01 ]{0,200}$/))
    .map((text) => text.replace(/[^\x20-\x7e\x80-\xff]/g, '').trim())
  await fc.assert(fc.asyncProperty(hostile, hostile, hostile, async (accept, encoding, timeout) => {
    const request = readRequest({ accept, 'accept-encoding': encoding, 'x-prometheus-scrape-timeout-seconds': timeout }, '/metrics')
    if (!(request.format in TYPES)) throw new Error(request.format)
    if (request.timeout !== undefined && !(request.timeout > 0 && request.timeout < 2 ** 31)) throw new Error(String(request.timeout))
  }), { numRuns: 2000 })
  await fc.assert(fc.asyncProperty(hostile, hostile, async (accept, timeout) => {
    const answer = await exchange(port, `GET /metrics?name[]=metrics_expositions_total HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept: ${accept}\r\nX-Prometheus-Scrape-Timeout-Seconds: ${timeout}\r\n\r\n`)
    if (!answer.startsWith('HTTP/1.1 200 OK')) throw new Error(answer)
  }), { numRuns: 100 })
  t.equal((await page()).sum('metrics_expositions_total'), (await page()).sum('metrics_expositions_total', { outcome: 'served' }))
  const long = Array.from({ length: 3000 }, () => 'a/b').join()
  t.equal(readRequest({ accept: long }, '/').format, 'text')
})

t.test('the timeout header is a number of seconds, or nothing', async (t) => {
  const timeout = (header: string) => readRequest({ 'x-prometheus-scrape-timeout-seconds': header }, '/').timeout
  t.equal(timeout('10'), 10_000)
  t.equal(timeout('0.25'), 250)
  t.equal(timeout('1e300'), 86_400_000, 'no longer than a timer takes')
  for (const header of ['', '0', '-1', 'NaN', 'soon', '10, 20', '10s']) t.equal(timeout(header), undefined, header)
})
