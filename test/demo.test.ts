import pg from 'pg'
import t from 'tap'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Demo, buildDemo } from './support/demo.js'
import { Page } from './support/page.js'
import { freePort, startPostgres } from './support/postgres.js'
import { temporaryFolder } from './support/temporary-folder.js'

async function metrics (address: string): Promise<Page> {
  return new Page(await (await fetch(`${address}/metrics`)).text())
}

function post (address: string, form: Record<string, string> | string): Promise<Response> {
  return fetch(address, { method: 'POST', body: new URLSearchParams(form), redirect: 'manual' })
}

function entries (folder: string): string[] {
  return readdirSync(folder)
}

function alive (pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** The processes that a process has started with an argument. */
function childrenOf (pid: number, argument: string): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
  return children.filter((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').split('\0').includes(argument))
}

/** Tried until it holds, where nothing tells: what a process that is no child of ours does. */
async function eventually (holds: () => boolean | Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 150; tries++) {
    if (await holds()) return true
    await sleep(100)
  }
  return false
}

await buildDemo()

t.test('--smoke goes through every page, shows what moved and exits 0, and leaves nothing behind', async (t) => {
  const demo = new Demo(['--smoke'])
  t.equal(await demo.exit, 0, demo.err)
  t.equal(demo.err, '')
  for (const line of [
    /^ +\+1 {2}walks_started$/m, /^ +\+1 {2}walks_completed$/m, /^ +\+5 {2}invalid_walks$/m, /^ +\+750 {2}walk_distance_sum$/m,
    /^ +\+1 {2}model_inserts_total\{model="walk"\}$/m,
    /^ +\+1 {2}db_query_duration_seconds_count\{alias="status",vendor="postgresql",operation="select"\}$/m,
    /^ +\+1 {2}http_request_duration_seconds_count\{method="GET",route="__unmatched__",status_code="404"\}$/m,
    /^smoke: ok$/m
  ]) t.match(demo.out, line)
  t.notOk(existsSync(await demo.folder()))
})

t.test('what keeps the demo from starting is told in one line', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const taken = (server.address() as AddressInfo).port
  const nobodys = await freePort()
  const locked = await temporaryFolder(t, 'locked')
  await chmod(locked, 0o700)

  const cases: Array<[args: string[], env: Record<string, string>, line: RegExp]> = [
    [[], { DATABASE_URL: 'nonsense' }, /DATABASE_URL must be like postgres:\/\/.+, got 'nonsense'/],
    [[], { DATABASE_URL: 'mysql://bob:secret@localhost/dogs' }, /DATABASE_URL must be like postgres:.+, got 'mysql:\/\/bob:\*\*\*@localhost\/dogs'/],
    [[], { DATABASE_URL: `postgres://bob:secret@127.0.0.1:${nobodys}/dogs` }, new RegExp(`no PostgreSQL listens at 127.0.0.1:${nobodys}; `)],
    [[], { PORT: String(taken) }, new RegExp(`port ${taken} of 127.0.0.1 is taken; `)],
    [[], { HOST: '192.0.2.1' }, /HOST 192\.0\.2\.1 is no address of this machine/],
    [[], { PORT: '3000x' }, /PORT must be a number from 0 to 65535, got '3000x'/],
    [['--smoke'], { TMPDIR: join(locked, 'nowhere') }, /the embedded PostgreSQL did not start: .+nowhere/],
    [['--smok'], {}, /Unknown option '--smok'/],
    [['--migrate'], {}, /need DATABASE_URL/],
    [['--smoke', '--serve'], {}, /exclude each other/]
  ]
  if (process.getuid?.() === 0) cases.push([['--smoke'], { TMPDIR: locked }, new RegExp(`the user 'postgres'.+ cannot enter the folder ${locked}; set TMPDIR`)])
  await Promise.all(cases.map(async ([args, env, line]) => {
    const demo = new Demo(args, env)
    t.equal(await demo.exit, 1)
    t.match(demo.err, line)
    t.match(demo.err, /^dog-walking: [^\n]+\n$/)
    t.notMatch(demo.err, /secret/)
  }))
})

t.test('the demo makes a little traffic, and at Ctrl-C stops and leaves nothing behind', async (t) => {
  const demo = new Demo([], { PORT: '0' })
  const folder = await demo.folder()
  const server = Number(readFileSync(join(folder, 'postmaster.pid'), 'utf8').split('\n', 1)[0])
  t.ok(alive(server))
  const address = await demo.address()
  t.equal(demo.out.split('\n')[0], `${address}/metrics/live is the live page, as soon as the service listens`, 'what to look at is said first')
  t.match(await (await fetch(`${address}/metrics/live`)).text(), '<h2 id="wrong-title">What is wrong now</h2>')
  const front = await fetch(address)
  t.equal(front.headers.get('content-type'), 'text/html; charset=utf-8')
  t.match(await front.text(), '<a href="/metrics">')
  t.ok(await eventually(async () => (await metrics(address)).sum('http_requests_received_total') > 1), 'somebody else visits')

  demo.signal('SIGINT')
  t.equal(await demo.exit, 0)
  t.equal(demo.err, '')
  t.notOk(existsSync(folder))
  t.notOk(alive(server))
})

t.test('with --workers, each page is of all processes, and one that is killed takes nothing away', async (t) => {
  const files = await temporaryFolder(t, 'demo')
  await chmod(files, 0o755)
  const demo = new Demo(['--workers', '3'], { PORT: '0', TMPDIR: files })
  const address = await demo.address()
  t.match(demo.out, `${address}/metrics/live is the live page`)
  // A connection of its own for each request, so that each process has some.
  const walks = async () => await Promise.all(Array.from({ length: 30 }, async () => {
    const [response] = await once(get(`${address}/walks/start`, { agent: false }), 'response')
    response.resume()
    await once(response, 'end')
  }))
  await walks()
  const answered = async () => {
    const page = await metrics(address)
    t.equal(page.of('process_start_time_seconds').length, page.sum('metrics_processes', { state: 'live' }))
    return page.sum('http_request_duration_seconds_count', { route: '/walks/start' })
  }
  t.ok(await answered() >= 30)
  await walks()
  const before = await answered()
  t.ok(before >= 60)
  const [worker] = childrenOf(demo.child.pid as number, '--serve')
  process.kill(worker as number, 'SIGKILL')
  // A request on a connection of the one that was killed is reset.
  const processes = async (state: string) => await metrics(address).then((page) => page.sum('metrics_processes', { state }), () => NaN)
  t.ok(await eventually(async () => await processes('ended') === 1))
  t.ok(await eventually(async () => await processes('live') === 3), 'it is replaced')
  t.ok(await answered() >= before)
  demo.signal('SIGINT')
  t.equal(await demo.exit, 0)
  t.equal(demo.err, '')
  for (const [args, message] of [[['--workers', '0'], /--workers must be a number from 1 to 64, got '0'/], [['--workers', '2', '--smoke'], /--workers goes with none of the others/]] as const) {
    const refused = new Demo([...args])
    t.equal(await refused.exit, 1)
    t.match(refused.err, message)
  }
})

t.test('nothing is left behind by a demo that is stopped while it starts, or killed', async (t) => {
  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    const files = await temporaryFolder(t, 'demo')
    await chmod(files, 0o755)
    const demo = new Demo(['--smoke'], { TMPDIR: files })
    await demo.printed(/starting a PostgreSQL/)
    t.ok(await eventually(() => entries(files).some((name) => existsSync(join(files, name, 'PG_VERSION')))), 'PostgreSQL makes its files')
    demo.signal(signal)
    t.equal(await demo.exit, signal === 'SIGINT' ? 0 : null)
    t.equal(demo.err, '')
    t.ok(await eventually(() => entries(files).length === 0), `after ${signal}`)
  }
})

t.test('on a database of somebody else', async (t) => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.close())
  const base = `postgres://postgres:postgres@127.0.0.1:${postgres.port}`
  const env = { DATABASE_URL: `${base}/postgres`, PORT: '0' }

  const missing = new Demo([], { DATABASE_URL: `${base}/dogs` })
  t.equal(await missing.exit, 1)
  t.match(missing.err, /^dog-walking: the PostgreSQL at 127\.0\.0\.1:\d+ has no database 'dogs'; [^\n]+\n$/)
  const early = new Demo(['--serve'], env)
  t.equal(await early.exit, 1)
  t.match(early.err, /^dog-walking: the database has no tables yet; [^\n]+\n$/)

  const other = new pg.Client(postgres.config)
  await other.connect()
  await other.query('SELECT pg_advisory_lock(3141592)')
  const migrating = [new Demo(['--migrate', '--seed'], env), new Demo(['--migrate'], env)]
  t.ok(await eventually(async () => {
    const { rows } = await other.query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    return rows.length === migrating.length
  }), 'they wait while somebody else migrates')
  await other.end()
  t.same(await Promise.all(migrating.map(({ exit }) => exit)), [0, 0], 'several at once take turns')
  t.match(migrating.map(({ out }) => out).join(''), /migrated: CreateWalkersAndDogs\d+, CreateWalks\d+\n[^]*no migration was pending|no migration was pending\n[^]*migrated: /)
  t.match(migrating[0]?.out, 'seeded')

  const demo = new Demo(['--serve'], env)
  const address = await demo.address()
  const [start, complete] = [`${address}/walks/start`, `${address}/walks/complete`]

  await t.test('wrong forms are answered 400, say what is wrong and are counted', async (t) => {
    const wrong: Array<[url: string, form: Record<string, string> | string, says: string]> = [
      [start, {}, 'Choose a walker.'],
      [start, { walker: '1' }, 'Choose a dog.'],
      [start, { walker: '99', dog: '1' }, 'We have no such walker.'],
      [start, { walker: '1', dog: '99999999999' }, 'We know no such dog.'],
      [start, 'walker=1&dog=1&dog=2', 'Choose a dog.'],
      [complete, { distance: '10' }, 'Choose a walk.'],
      [complete, { walk: '1; DROP TABLE walk', distance: '10' }, 'There is no such walk.'],
      [complete, { walk: '1', distance: '' }, 'How far did they go?'],
      [complete, { walk: '1', distance: '-1' }, 'The distance cannot be negative.'],
      [complete, { walk: '1', distance: '10.5' }, 'The distance must be in whole metres.'],
      [complete, { walk: '1', distance: 'Infinity' }, 'Nobody walks more than'],
      [complete, { walk: '1', distance: '"><script>' }, 'value="&quot;&gt;&lt;script&gt;"']
    ]
    for (const [url, form, says] of wrong) {
      const answer = await post(url, form)
      t.equal(answer.status, 400, says)
      t.ok((await answer.text()).includes(says), says)
    }
    const page = await metrics(address)
    t.equal(page.sum('invalid_walks'), wrong.length)
    t.equal(page.sum('walks_started'), 0)
    t.equal(page.sum('model_inserts_total'), 0)
  })

  await t.test('of two who start or complete the same walk at once, one does', async (t) => {
    const twice = async (url: string, form: Record<string, string>) => {
      const answers = await Promise.all([post(url, form), post(url, form)])
      t.same(answers.map(({ status }) => status).sort(), [303, 400])
      return answers.map(({ headers }) => headers.get('location') ?? '').join('').replace('/#walk-', '')
    }
    const walk = await twice(start, { walker: '1', dog: '1' })
    await twice(complete, { walk, distance: '1600' })
    const page = await metrics(address)
    t.equal(page.sum('walks_started'), 1)
    t.equal(page.sum('walks_completed'), 1)
    t.equal(page.sum('model_inserts_total', { model: 'walk' }), 1)
    t.equal(page.sum('model_updates_total', { model: 'walk' }), 1)
    t.same(page.of('walk_distance_bucket').map(({ labels, value }) => [labels['le'], value]),
      [['0.0', 0], ['50.0', 0], ['200.0', 0], ['400.0', 0], ['800.0', 0], ['1600.0', 1], ['3200.0', 1], ['+Inf', 1]])
    t.equal(page.sum('db_migrations_pending'), 0)
  })

  await t.test('/healthz says that the process answers, and counts nowhere', async (t) => {
    const before = (await metrics(address)).sum('http_requests_received_total')
    const health = await fetch(`${address}/healthz`)
    t.equal(health.status, 200)
    t.same(await health.json(), { status: 'up' })
    const page = await metrics(address)
    t.equal(page.sum('http_requests_received_total'), before)
    t.notOk(page.values('http_requests_received_total', 'route').includes('/healthz'))
  })

  await t.test('the smoke round works there, too', async (t) => {
    const smoke = new Demo(['--smoke'], env)
    t.equal(await smoke.exit, 0, smoke.err)
  })

  await t.test('the status answers without its database, and the service goes on when that is back', async (t) => {
    t.match(await (await fetch(`${address}/status`)).json(), { database: 'up', walks: { in_progress: 0, completed: 2, metres: 2350 }, walkers: 4, dogs: 8 })
    await postgres.stop()
    const status = await fetch(`${address}/status`)
    t.equal(status.status, 200)
    t.match(await status.json(), { service: 'up', database: 'down' })
    t.equal((await fetch(address)).status, 500)
    t.equal((await fetch(`${address}/healthz`)).status, 200, 'a probe is answered meanwhile')
    await postgres.start()
    t.equal((await fetch(address)).status, 200)
    t.match(await (await fetch(`${address}/status`)).json(), { database: 'up' })
  })

  demo.child.kill('SIGTERM')
  t.equal(await demo.exit, 0)
})

t.test('a password that PostgreSQL asks for comes from PGPASSWORD as well, and what is wrong with it is told in one line', async (t) => {
  for (const method of ['scram-sha-256', 'md5', 'password']) {
    const postgres = await startPostgres()
    t.teardown(() => postgres.close())
    const owner = new pg.Client(postgres.config)
    await owner.connect()
    await owner.query(`SET password_encryption = '${method === 'md5' ? 'md5' : 'scram-sha-256'}'`)
    await owner.query("CREATE ROLE dogs LOGIN SUPERUSER PASSWORD 'b:o#n$e'")
    const { rows: [{ hba_file: rules }] } = await owner.query('SHOW hba_file')
    await writeFile(rules, `host all all 127.0.0.1/32 ${method}\n`)
    await owner.query('SELECT pg_reload_conf()')
    await owner.end()

    const place = `127.0.0.1:${postgres.port}`
    const cases: Array<[credentials: string, env: Record<string, string>, line: RegExp]> = [
      ['dogs', {}, /asks 'dogs' for a password and there is none; set PGPASSWORD, in Kubernetes by the Secret that database\.existingSecret names\n$/],
      ['dogs', { PGPASSWORD: '' }, /asks 'dogs' for a password and there is none; set PGPASSWORD/],
      ['dogs', { PGPASSWORD: 'secret' }, /does not take the password of 'dogs'; correct it in PGPASSWORD, in Kubernetes by the Secret/],
      ['dogs:secret', { PGPASSWORD: 'b:o#n$e' }, /does not take the password of 'dogs'; correct it in DATABASE_URL\n$/]
    ]
    await Promise.all(cases.map(async ([credentials, env, line]) => {
      const demo = new Demo(['--serve'], { DATABASE_URL: `postgres://${credentials}@${place}/postgres`, PORT: '0', ...env })
      t.equal(await demo.exit, 1)
      t.match(demo.err, line, method)
      t.match(demo.err, /^dog-walking: the PostgreSQL at 127\.0\.0\.1:\d+ [^\n]+\n$/)
      t.notMatch(demo.err, /secret/)
    }))

    const env = { DATABASE_URL: `postgres://dogs@${place}/postgres`, PGPASSWORD: 'b:o#n$e', PORT: '0' }
    t.equal(await new Demo(['--migrate'], env).exit, 0)
    const demo = new Demo(['--serve'], env)
    t.match(await (await fetch(`${await demo.address()}/status`)).json(), { database: 'up' }, 'the pool of the status has it as well')
    demo.child.kill('SIGTERM')
    t.equal(await demo.exit, 0)
  }
})
