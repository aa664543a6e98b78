import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { Demo, buildDemo } from '../support/demo.js'
import { container } from '../support/chart.js'
import { chart, findHelm, only, secretValue } from '../support/helm.js'
import { exchange } from '../support/http.js'
import { credentials, startNginx, type Nginx } from '../support/nginx.js'
import { Page } from '../support/page.js'
import { freePort, startPostgres } from '../support/postgres.js'

const USER = 'prometheus'
const PASSWORD = 'a:b#c$d "e" \'f\' \\ ö€🐕 g'
/** What is on a page of the service's metrics and on none of its others. */
const METRICS = /^# (TYPE|HELP) /m

const minimal = join(chart, '../values/minimal.yaml')

function basic (password: string, user = USER): Record<string, string> {
  return { ...credentials(user, password) }
}

const helm = await findHelm(t)
await buildDemo()

if (helm !== undefined) {
  const withPassword = (password: string) => helm.render('-f', minimal, '--set-json', `metrics.auth.password=${JSON.stringify(password)}`)
  const objects = withPassword(PASSWORD)
  const conf = only(objects, 'ConfigMap')['data']['nginx.conf'] as string
  const htpasswdOf = (password: string) => secretValue(only(withPassword(password), 'Secret', 'walks-dog-walking-metrics'), 'htpasswd')

  const postgres = await startPostgres()
  t.teardown(() => postgres.close())
  const upstreamPort = await freePort()
  const { user, password, port, database } = postgres.config
  const said = only(objects, 'Deployment')['spec'].template.spec.containers[0].env as Array<{ name: string, value: string }>
  const { HOST = '' } = Object.fromEntries(said.map(({ name, value }) => [name, value]))
  const env = { HOST, DATABASE_URL: `postgres://${user}@127.0.0.1:${port}/${database}`, PGPASSWORD: password, PORT: String(upstreamPort) }
  const migrating = new Demo(['--migrate', '--seed'], env)
  if (await migrating.exit !== 0) throw new Error(migrating.err)
  let demo = new Demo(['--serve'], env)
  t.teardown(() => demo.child.kill('SIGKILL'))
  await demo.address()

  const nginx = await startNginx(t, { conf, htpasswd: secretValue(only(objects, 'Secret', 'walks-dog-walking-metrics'), 'htpasswd'), upstreamPort })
  if (nginx !== undefined) await tests(nginx)

  const { livenessProbe } = container(objects, 'app')
  const { readinessProbe } = container(objects, 'nginx')
  const command = livenessProbe.exec.command as string[]

  /** The exit code of the service's probe, which the kubelet starts in the container with its environment. */
  async function probe (env: Record<string, string> = {}): Promise<number | null> {
    const asked = command.map((word) => word.replace('http://127.0.0.1:3000/', `http://127.0.0.1:${upstreamPort}/`))
    if (asked.join() === command.join()) throw new Error('the probe does not ask port 3000')
    const [program = '', ...args] = asked
    const child = execFile(program, args, { env: { PATH: process.env['PATH'], ...env } })
    const [code] = await once(child, 'exit')
    return code as number | null
  }

  async function tests (nginx: Nginx): Promise<void> {
    t.test('the metrics ask for the password', async (t) => {
      const url = `${nginx.url}/metrics`
      for (const headers of [{}, basic('wrong'), basic(''), basic(PASSWORD, 'somebody'), basic('a'), basic(PASSWORD.slice(0, -1)), { authorization: 'Bearer x' }]) {
        for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST']) {
          const answer = await fetch(url, { headers, method })
          t.equal(answer.status, 401, method)
          t.equal(answer.headers.get('www-authenticate'), 'Basic realm="metrics"')
          t.equal(answer.headers.get('server'), 'nginx', 'no version')
          t.notMatch(await answer.text(), METRICS)
        }
      }
      t.ok(nginx.errors.some((line) => line.includes('password mismatch')), 'who tries passwords stands in the error log')

      const page = await fetch(url, { headers: basic(PASSWORD) })
      t.equal(page.status, 200)
      t.match(page.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
      t.ok(new Page(await page.text()).sum('http_requests_received_total') >= 0)
      const openMetrics = await fetch(url, { headers: { ...basic(PASSWORD), accept: 'application/openmetrics-text; version=1.0.0' } })
      t.match(openMetrics.headers.get('content-type'), /openmetrics/, 'the scraper negotiates with the service')
    })

    t.test('the password may have any characters of one line, and another is taken without a restart', async (t) => {
      t.teardown(() => nginx.setHtpasswd(htpasswdOf(PASSWORD)))
      for (const password of ['x', ':', '::', 'a:b', '#', '$apr1$x$y', '{PLAIN}x', "it's", '"', '\\', '日本語', 'é', '% &?=+', 'x'.repeat(200), 'a,b={c}']) {
        await nginx.setHtpasswd(htpasswdOf(password))
        t.equal((await fetch(`${nginx.url}/metrics`, { headers: basic(password) })).status, 200, password)
        t.equal((await fetch(`${nginx.url}/metrics`, { headers: basic(`${password}x`) })).status, 401)
        t.equal((await fetch(`${nginx.url}/metrics`, { headers: basic(password.slice(0, -1)) })).status, 401)
      }
    })

    t.test('of an existing Secret, nginx takes what htpasswd and openssl make', async (t) => {
      t.teardown(() => nginx.setHtpasswd(htpasswdOf(PASSWORD)))
      for (const kind of ['-apr1', '-5', '-6']) {
        const hash = execFileSync('openssl', ['passwd', kind, '-stdin'], { input: 'of:somebody else\n', encoding: 'utf8' }).trim()
        await nginx.setHtpasswd(`# made by hand\nscraper:${hash}\n`)
        t.equal((await fetch(`${nginx.url}/metrics`, { headers: basic('of:somebody else', 'scraper') })).status, 200, kind)
        t.equal((await fetch(`${nginx.url}/metrics`, { headers: basic('of', 'scraper') })).status, 401)
        t.equal((await fetch(`${nginx.url}/metrics`, { headers: basic(PASSWORD) })).status, 401)
      }
    })

    t.test('no way of writing the path leads to the metrics without the password', async (t) => {
      const targets = [
        '/metrics', '/metrics/', '//metrics', '///metrics//', '/metrics?x', '/metrics?', '/metrics#x', '/metrics#/../', '/metrics?/../', '/metrics/?x',
        '/%6detrics', '/%6Detrics', '/m%65trics', '/%6d%65%74%72%69%63%73', '/%256detrics', '/%25%36detrics', '/metric%73?a=b',
        '/METRICS', '/Metrics', '/mEtRiCs', '/%4detrics',
        '/./metrics', '/../metrics', '/foo/../metrics', '/foo/%2e%2e/metrics', '/foo/..%2fmetrics', '/%2e/metrics', '/.%2e/metrics', '/a/b/../../metrics', '/walks/..//metrics',
        '/%2fmetrics', '/%2Fmetrics', '%2fmetrics', '/%5cmetrics', '/\\metrics', '\\metrics', '/foo/..\\metrics',
        '/metrics;x', '/metrics;/../', '/;/metrics', '/metrics%3b', '/metrics%3Fx', '/metrics%23', '/metrics%23/..', '/metrics%3f/..', '/metrics/..', '/metrics/../', '/metrics/.', '/metrics/%2e', '/metrics/./',
        '/metrics%20', '/metrics%09', '/metrics%00', '/metrics%0a', '/metrics%0d%0a', '/metrics.', '/%20metrics', '/metrics%c0%80', '/metrics%E2%80%8B', '/%c0%afmetrics', '/%ef%bc%8fmetrics', '/metrics%', '/metrics%2',
        'http://dogs/metrics', 'http://dogs//metrics', 'http://dogs/%6detrics', 'HTTP://dogs:80/metrics', 'http://user@dogs/metrics', 'https://dogs/metrics', 'http:///metrics', 'http://dogs/x/../metrics', 'http://dogs?/metrics', 'metrics', '*', '?/metrics', '#/metrics',
        '/?/metrics', '/ /metrics', '/x HTTP/1.1\r\nHost: dogs\r\n\r\nGET /metrics'
      ]
      const headers = ['', 'X-Original-URL: /metrics\r\n', 'X-Rewrite-URL: /metrics\r\n', 'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n', 'X-HTTP-Method-Override: GET\r\n', 'X-Forwarded-Prefix: /metrics\r\nX-Forwarded-For: 127.0.0.1\r\n']
      let refused = 0
      for (const target of targets) {
        for (const method of ['GET', 'HEAD']) {
          const answer = await exchange(nginx.port, `${method} ${target} HTTP/1.1\r\nHost: dogs\r\nConnection: close\r\n\r\n`)
          t.match(answer, /^HTTP\/1\.1 (301|303|40[0145]|200) /, `${method} ${target}`)
          t.notMatch(answer, METRICS, `${method} ${target}`)
          if (answer.startsWith('HTTP/1.1 401')) refused++
          // A page of metrics has no body for HEAD; its type tells.
          t.notMatch(answer, /version=0\.0\.4|openmetrics/, `${method} ${target}`)
        }
      }
      for (const header of headers) {
        t.notMatch(await exchange(nginx.port, `GET / HTTP/1.1\r\nHost: dogs\r\n${header}Connection: close\r\n\r\n`), METRICS, header)
        t.match(await exchange(nginx.port, `GET /metrics HTTP/1.1\r\nHost: dogs\r\n${header}Connection: close\r\n\r\n`), /^HTTP\/1\.1 401 /, header)
      }
      t.match(await exchange(nginx.port, 'GET /metrics HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 401 /)
      t.notMatch(await exchange(nginx.port, 'GET /metrics\r\n'), METRICS, 'HTTP/0.9')
      // One request for nginx, two for a service that reads the length otherwise.
      const smuggled = 'GET /metrics HTTP/1.1\r\nHost: dogs\r\n\r\n'
      for (const lengths of [
        `Content-Length: ${smuggled.length + 5}\r\nTransfer-Encoding: chunked\r\n`, `Content-Length: 5\r\nContent-Length: ${smuggled.length + 5}\r\n`,
        `Content-Length: ${smuggled.length + 5}\r\nTransfer-Encoding : chunked\r\n`, 'Transfer-Encoding: chunked\r\n', 'Transfer-Encoding: xchunked\r\n'
      ]) {
        const answer = await exchange(nginx.port, `POST /walks/start HTTP/1.1\r\nHost: dogs\r\nContent-Type: application/x-www-form-urlencoded\r\n${lengths}Connection: close\r\n\r\n0\r\n\r\n${smuggled}`)
        t.notMatch(answer, METRICS, lengths)
      }
      t.ok(refused > 50, 'most of them are known as metrics and refused')
      // None of the service's paths now; they would be if somebody let its router ignore case or a slash at the end.
      for (const target of ['/metrics/', '/METRICS', '/metrics;x', '/%4Detrics//']) {
        t.match(await exchange(nginx.port, `GET ${target} HTTP/1.1\r\nHost: dogs\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 401 /, target)
      }
      // The same ways with the password: nginx and the service mean the same path.
      const spelled = await fetch(`${nginx.url}/x/..//%6detrics`, { headers: basic(PASSWORD) })
      t.match(await spelled.text(), METRICS)
    })

    t.test('of what the service has below /metrics, nothing but the page is let through, not even with the password', async (t) => {
      for (const path of ['/metrics/live', '/metrics/live.json', '/metrics/live/page.js', '/metrics/live/page.css', '/metrics/live/events']) {
        const there = await fetch(`http://127.0.0.1:${upstreamPort}${path}`)
        t.equal(there.status, 200, `the service has ${path}`)
        await there.body?.cancel()
        t.equal((await fetch(`${nginx.url}${path}`)).status, 401, path)
        const answer = await fetch(`${nginx.url}${path}`, { headers: basic(PASSWORD) })
        t.equal(answer.status, 404, path)
        await answer.body?.cancel()
      }
    })

    t.test('everything else is the service', async (t) => {
      const front = await fetch(nginx.url)
      t.equal(front.status, 200)
      t.match(await front.text(), /<a href="\/metrics">/)
      t.equal((await fetch(`${nginx.url}/nowhere`)).status, 404)
      t.equal((await fetch(`${nginx.url}/healthz`)).status, 200)
      t.match(await (await fetch(`${nginx.url}/status`)).json(), { database: 'up', walkers: 4 })
      const post = (fields: Record<string, string>) => fetch(`${nginx.url}/walks/start`, { method: 'POST', body: new URLSearchParams(fields), redirect: 'manual' })
      const started = await post({ walker: '1', dog: '1' })
      t.equal(started.status, 303)
      const walk = started.headers.get('location')?.replace('/#walk-', '') ?? ''
      t.match(await (await fetch(`${nginx.url}/walks/complete?walk=${walk}`)).text(), `value="${walk}" selected`, 'the query arrives')
      t.equal((await post({ walker: 'x'.repeat(70_000) })).status, 413)
    })

    t.test('what nginx sends on', async (t) => {
      const seen = await forwarded(conf, '/a%20b/../c%2525?d=%20e', { host: 'dogs.example:8080', 'x-forwarded-for': '192.0.2.1', 'x-request-start': 't=1', connection: 'close' })
      t.equal(seen.url, '/c%2525?d=%20e')
      t.equal(seen.headers['host'], 'dogs.example:8080')
      t.equal(seen.headers['x-forwarded-for'], '192.0.2.1, 127.0.0.1')
      t.equal(seen.headers['x-forwarded-proto'], 'http')
      t.equal(seen.headers['connection'], undefined, 'the connection is kept')
      t.equal(seen.version, '1.1')
      const [, seconds] = /^t=(\d+\.\d{3})$/.exec(String(seen.headers['x-request-start'])) ?? []
      t.ok(Math.abs(Number(seconds) - Date.now() / 1000) < 10, 'a client cannot say when its request came')
      t.equal((await forwarded(conf, '/', { 'x-forwarded-proto': 'https' })).headers['x-forwarded-proto'], 'https', 'an ingress has said it')

      async function forwarded (conf: string, target: string, headers: Record<string, string>) {
        const { createServer } = await import('node:http')
        const server = createServer((request, response) => { response.end(JSON.stringify({ url: request.url, headers: request.headers, version: request.httpVersion })) }).listen(0, '127.0.0.1')
        let connections = 0
        server.on('connection', () => connections++)
        await once(server, 'listening')
        t.teardown(() => { server.closeAllConnections(); server.close() })
        const before = await startNginx(t, { conf, htpasswd: '', upstreamPort: (server.address() as { port: number }).port })
        const lines = Object.entries({ host: 'dogs', connection: 'close', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`).join('')
        const ask = () => exchange(before?.port as number, `GET ${target} HTTP/1.1\r\n${lines}\r\n`)
        await ask()
        const answer = await ask()
        t.equal(connections, 1, 'for the next request as well')
        return JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1)) as { url: string, headers: Record<string, string | undefined>, version: string }
      }
    })

    t.test('the probe of the service asks the service, and says in time when it does not answer', async (t) => {
      t.equal(await probe(), 0)
      t.equal(await probe({ NODE_OPTIONS: '--require /nowhere.js' }), 0, 'what the service loads is not loaded')
      const [, milliseconds] = /timeout\((\d+)\)/.exec(command.join(' ')) ?? []
      t.ok(Number(milliseconds) + 500 < livenessProbe.timeoutSeconds * 1000, 'it gives up before the kubelet does')
      // A service whose event loop does not turn: its port takes connections all the same.
      demo.child.kill('SIGSTOP')
      t.teardown(() => demo.child.kill('SIGCONT'))
      t.equal(await probe(), 1)
      t.equal((await fetch(`${nginx.url}/nginx-healthz`)).status, 200, 'nginx stays')
      const ready = fetch(`${nginx.url}/healthz`, { signal: AbortSignal.timeout(readinessProbe.timeoutSeconds * 1000) })
      await t.rejects(ready, { name: 'TimeoutError' }, 'and gets no requests')
      demo.child.kill('SIGCONT')
      t.equal(await probe(), 0)
      t.equal((await fetch(`${nginx.url}/healthz`)).status, 200)
    })

    t.test('the probe of nginx is answered by nginx alone, to everybody, and has nothing of the service', async (t) => {
      for (const path of ['/nginx-healthz', '/x/../nginx-healthz', '/nginx-healthz?x']) {
        const answer = await exchange(nginx.port, `GET ${path} HTTP/1.1\r\nHost: dogs\r\nConnection: close\r\n\r\n`)
        t.match(answer, /^HTTP\/1\.1 200 /, path)
        t.match(answer, /\r\n\r\nup\n$/, path)
      }
      t.equal((await fetch(`${nginx.url}/nginx-healthz/`)).status, 404, 'another path is the service')
    })

    t.test('the access log has visitors in JSON, and neither probes nor scrapes', async (t) => {
      await fetch(`${nginx.url}/nginx-healthz`)
      await (await fetch(`${nginx.url}/nowhere/%22quoted%22?secret=1`, { headers: { 'user-agent': 'a "visitor"' } })).text()
      const lines = (await nginx.accesses()).map((line) => JSON.parse(line) as Record<string, unknown>)
      t.match(lines.find(({ path }) => path === '/nowhere/"quoted"'), { status: 404, method: 'GET', agent: 'a "visitor"', client: '127.0.0.1' })
      t.same(lines.filter(({ path }) => /^\/(healthz$|nginx-healthz$|metrics)/i.test(String(path))), [])
      t.notMatch(JSON.stringify(lines), /secret/)
    })

    t.test('while the service is down nginx answers 502, and goes on when it is back', async (t) => {
      demo.child.kill('SIGTERM')
      t.equal(await demo.exit, 0)
      for (let tries = 0; tries < 3; tries++) t.equal((await fetch(nginx.url)).status, 502)
      t.equal((await fetch(`${nginx.url}/healthz`)).status, 502, 'the pod is not ready')
      t.equal(await probe(), 1, 'the service is restarted')
      t.equal((await fetch(`${nginx.url}/nginx-healthz`)).status, 200, 'nginx is not')
      t.equal((await fetch(`${nginx.url}/metrics`)).status, 401)
      t.equal((await fetch(`${nginx.url}/metrics`, { headers: basic(PASSWORD) })).status, 502)
      demo = new Demo(['--serve'], env)
      await demo.address()
      t.equal((await fetch(nginx.url)).status, 200)
      t.equal((await fetch(`${nginx.url}/metrics`, { headers: basic(PASSWORD) })).status, 200)
    })

    t.test('nobody comes to the service but over the loopback address', async (t) => {
      const answered = (address: string) => fetch(`http://${address}:${upstreamPort}/healthz`).then(({ status }) => status, (error: Error) => (error.cause as { code: string }).code)
      t.equal(await answered('127.0.0.1'), 200)
      t.equal(await answered('127.0.0.2'), 'ECONNREFUSED')
    })
  }
}
