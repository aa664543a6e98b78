import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { posix } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { valuesFile } from '../support/chart.js'
import { samplesOf } from '../support/event-stream.js'
import { findHelm, only, secretValue, type Helm } from '../support/helm.js'
import { exchange, service } from '../support/http.js'
import { credentials, startNginx, startProxy } from '../support/nginx.js'

/*
 * The chart's nginx before the live page: metrics.live.enabled lets the page and what it is made of through, by the password of the metrics. Before a service
 * that answers everything, the same nginx shows what it lets through.
 */
const EVENTS = '/metrics/live/events'
const LIVE = ['/metrics/live', '/metrics/live.json', '/metrics/live/page.js', '/metrics/live/page.css', EVENTS]
const headers = credentials('prometheus', 'a password of the metrics')
const OTHERS = [
  '/metrics/', '/metrics/nowhere', '/metrics/live/', '/metrics/live/nowhere', '/metrics/live/events/', '/metrics/live/page.js.map', '/metrics/live/page.html', '/metrics/live.js',
  '/metrics/live.json/', '/metrics/lives', '/metrics/live;x', '/metrics/live%20', '/metrics/live%0a', '/metrics/live%3Fx', '/metrics/live%23', '/metrics/live%2f', '/metrics/live%5c',
  '/METRICS', '/Metrics/live', '/metrics/LIVE', '/metrics/live.JSON', '/metrics/live/Events', '/metricslive', '/metrics.json', '/metrics-private'
]

const hex = (character: string) => character.charCodeAt(0).toString(16)
/** Another way of writing one character of a path. */
const spelled = (character: string) => fc.oneof(
  { weight: 12, arbitrary: fc.constant(character) },
  fc.constantFrom(`%${hex(character)}`, `%${hex(character).toUpperCase()}`, `%25${hex(character)}`, `%%${hex(character)}`, character.toUpperCase()),
  fc.constantFrom(...character === '/' ? ['//', '///', '/./', '/%2e/', '/x/../', '/x/%2e%2e/', '/x/..//', '/..%2f', '%2F', '%5c', '\\', '/;x/', '/../', '/.%2e/', '/%00/'] : [character])
)
const beginnings = fc.constantFrom(...Array<string>(8).fill(''), '/', '/x/..', '/x/y/../..', 'http://dogs', 'http://user@dogs', '/walks/..%2f..', '/.', '%2f', '?', '#')
const ends = fc.constantFrom(...Array<string>(8).fill(''), '/', '//', '/.', '/..', '/x/..', '/%2e%2e', '?', '?x', '?/../', '#', '#x', ';x', '%20', '%09', '%00', '%0a', '%3f', '%23', '%', '.', '.json', '/events')
/** Paths that mean, or nearly mean, one of those that ask for the password. */
const spellings = fc.constantFrom('/metrics', ...LIVE, '/metrics/nowhere', '/metrics/live/nowhere').chain((path) => {
  return fc.tuple(beginnings, ...[...path].map(spelled), ends).map((parts) => parts.join(''))
})

const helm = await findHelm(t)
if (helm !== undefined) await tests(helm)

async function tests (helm: Helm): Promise<void> {
  const [off, on] = [[], ['--set', 'metrics.live.enabled=true']].map((more) => {
    const objects = helm.render('-f', valuesFile('minimal'), ...more)
    return { conf: only(objects, 'ConfigMap')['data']['nginx.conf'] as string, htpasswd: secretValue(only(objects, 'Secret', 'walks-dog-walking-metrics'), 'htpasswd') }
  }) as [Settings, Settings]
  const { port: upstreamPort, url: direct } = await service(t, { options: { live: true } })

  await t.test('while it is off, the live page is refused as a path is that nobody knows', async (t) => {
    const nginx = await startNginx(t, { ...off, upstreamPort })
    if (nginx === undefined) return
    const told = async (path: string) => {
      const answer = await fetch(`${nginx.url}${path}`, { headers, signal: AbortSignal.timeout(10_000) })
      return [answer.status, answer.headers.get('content-type'), await answer.text()]
    }
    t.equal((await fetch(`${nginx.url}/metrics`, { headers })).status, 200)
    const unknown = await told('/metrics/nowhere')
    t.equal(unknown[0], 404)
    for (const path of LIVE) {
      const there = await fetch(`${direct}${path}`)
      t.equal(there.status, 200, `the service has ${path}`)
      await there.body?.cancel()
      t.equal((await fetch(`${nginx.url}${path}`)).status, 401, path)
      t.same(await told(path), unknown, path)
    }
  })

  await t.test('while it is on, it asks for the password, and is whole with it', async (t) => {
    const nginx = await startNginx(t, { ...on, upstreamPort })
    if (nginx === undefined) return
    for (const path of LIVE) {
      for (const wrong of [{}, credentials('prometheus', 'wrong'), credentials('somebody', 'a password of the metrics'), { authorization: 'Bearer x' }]) {
        const answer = await fetch(`${nginx.url}${path}`, { headers: wrong, signal: AbortSignal.timeout(10_000) })
        t.equal(answer.status, 401, path)
        t.equal(answer.headers.get('www-authenticate'), 'Basic realm="metrics"', 'the realm of /metrics: a browser asks once')
        t.match(await answer.text(), /401 Authorization Required/)
      }
    }
    const page = await fetch(`${nginx.url}/metrics/live`, { headers })
    t.equal(page.status, 200)
    t.match(page.headers.get('content-type'), /^text\/html/)
    const references = [...(await page.text()).matchAll(/ (?:src|href)="(live[^"]*)"/g)].map(([, reference = '']) => new URL(reference, page.url))
    t.same(references.map(({ pathname }) => pathname).sort(), ['/metrics/live.json', '/metrics/live.json', '/metrics/live/page.css', '/metrics/live/page.js'])
    for (const reference of references) {
      const answer = await fetch(reference, { headers })
      t.equal(answer.status, 200, reference.href)
      const text = await answer.text()
      if (reference.pathname.endsWith('.json')) continue
      t.equal(text, await (await fetch(`${direct}${reference.pathname}${reference.search}`)).text(), `${reference.pathname} is what the service has`)
    }
    t.match(await (await fetch(`${nginx.url}/metrics/live.json?range=1h`, { headers })).json(), { version: 1, range: '1h' }, 'the query arrives')
    t.equal((await fetch(`${nginx.url}/metrics`)).status, 401)
    t.equal((await fetch(`${nginx.url}/metrics`, { headers })).status, 200)
  })

  await t.test('events come one by one as they are sent, through an nginx before this one too', async (t) => {
    // Samples come each two seconds: that one is not waited for so long elsewhere tells that events have a timeout of their own.
    const conf = on.conf.replace('proxy_read_timeout 30s;', 'proxy_read_timeout 1s;')
    t.not(conf, on.conf)
    const nginx = await startNginx(t, { ...on, conf, upstreamPort })
    if (nginx === undefined) return
    const ingress = await startProxy(t, (port) => `server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${nginx.port}; } }`)
    const ways = { alone: nginx.url, 'behind another nginx': `http://127.0.0.1:${ingress?.port}` }
    await Promise.all(Object.entries(ways).map(async ([way, url]) => {
      const begun = Date.now()
      const answer = await fetch(`${url}${EVENTS}`, { headers, signal: AbortSignal.timeout(30_000) })
      t.match(answer.headers.get('content-type'), /^text\/event-stream/, way)
      const [first, second] = await samplesOf(answer.body as unknown as AsyncIterable<Uint8Array>, 2)
      t.ok(first !== undefined && first.at - begun < 5000, `${way}, the first comes within five seconds`)
      t.ok(first !== undefined && second !== undefined && second.data.time > first.at, `${way}, the first was here before the second was taken`)
    }))
    t.same(await nginx.accesses(), [], 'the access log has visitors only')
  })

  for (const [name, settings, allowed] of [['off', off, ['/metrics']], ['on', on, ['/metrics', ...LIVE]]] as const) {
    await t.test(`while it is ${name}, nothing else comes to the service from below /metrics`, async (t) => {
      const { seen, ask } = await beforeAnything(t, settings)
      for (const path of allowed) {
        t.match(await ask(path), /^HTTP\/1\.1 401 /, path)
        t.same(seen.splice(0), [], path)
        for (const method of ['GET', 'HEAD', 'POST', 'DELETE']) {
          t.match(await ask(`${path}?a=b%20c`, headers, method), /^HTTP\/1\.1 200 /, path)
          t.same(seen.splice(0), [`${method} ${path}?a=b%20c`])
        }
      }
      for (const path of [...OTHERS, ...LIVE.filter((path) => !(allowed as readonly string[]).includes(path))]) {
        t.match(await ask(path), /^HTTP\/1\.1 401 /, path)
        t.match(await ask(path, headers), /^HTTP\/1\.1 404 /, path)
        t.match(await ask(path, headers, 'POST'), /^HTTP\/1\.1 40[45] /, path)
        t.same(seen.splice(0), [], path)
      }
      t.match(await ask('/live'), /^HTTP\/1\.1 200 /, 'and everything that is not')
      t.same(seen.splice(0), ['GET /live'])
    })

    await t.test(`while it is ${name}, no way of writing a path gets around the password, or to more with it`, async (t) => {
      const { seen, ask } = await beforeAnything(t, settings)
      let [refused, passed] = [0, 0]
      await fc.assert(fc.asyncProperty(spellings, async (target) => {
        const answer = await ask(target)
        for (const request of seen.splice(0)) {
          if (isOfMetrics(request)) throw new Error(`without a password ${JSON.stringify(target)} came to the service as ${request}`)
        }
        if (!/^HTTP\/1\.1 (200|40[01]) /.test(answer)) throw new Error(`${target}: ${answer}`)
        if (answer.startsWith('HTTP/1.1 401')) refused++
        await ask(target, headers)
        for (const request of seen.splice(0)) {
          if (!isOfMetrics(request)) continue
          if (!(allowed as readonly string[]).includes(pathOf(request))) throw new Error(`${JSON.stringify(target)} came to the service as ${request}`)
          passed++
        }
      }), { numRuns: 400 })
      t.ok(refused > 50, `${refused} were refused without the password`)
      t.ok(passed > 0, `${passed} came to the service with it`)
    })
  }
}

type Settings = Pick<Parameters<typeof startNginx>[1], 'conf' | 'htpasswd'>

/** The chart's nginx before a service that answers everything, and remembers it. */
async function beforeAnything (t: Test, settings: Settings) {
  const seen: string[] = []
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    request.resume()
    response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const nginx = await startNginx(t, { ...settings, upstreamPort: (server.address() as AddressInfo).port })
  if (nginx === undefined) return { seen, ask: async () => '' }
  const ask = (target: string, headers: object = {}, method = 'GET') => {
    const lines = Object.entries({ host: 'dogs', connection: 'close', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`).join('')
    return exchange(nginx.port, `${method} ${target} HTTP/1.1\r\n${lines}\r\n`)
  }
  return { seen, ask }
}

/** Of 'GET /path?query', the path. */
function pathOf (request: string): string {
  return request.replace(/^\w+ /, '').replace(/\?.*$/s, '')
}

/** Whether some service could take it for a path that begins with /metrics. */
function isOfMetrics (request: string): boolean {
  const path = pathOf(request)
  const decoded = path.replace(/%([0-9a-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
  return [path, decoded].some((path) => /^\/metrics/i.test(posix.normalize(path)))
}
