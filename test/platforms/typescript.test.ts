import { dirname } from 'node:path'
import t from 'tap'
import typescript, { type CompilerOptions, type SourceFile } from 'typescript'
import { unpackPackage } from '../support/package-folder.js'

/** An empty project with the tarball of what `npm run build` made in it. */
const folder = await unpackPackage(t)

/**
 * What a project may say, that of every project of Nest's first among them: how imports are written, and in which kind
 * of package.
 */
const SETTINGS: Array<[name: string, type: 'commonjs' | 'module', options: Record<string, unknown>]> = [
  ['CommonJS', 'commonjs', { module: 'commonjs', moduleResolution: 'node10' }],
  ['CommonJS, esModuleInterop and decorators', 'commonjs', { module: 'commonjs', moduleResolution: 'node10', esModuleInterop: true, emitDecoratorMetadata: true, experimentalDecorators: true }],
  ['Node16 in a CommonJS package', 'commonjs', { module: 'node16' }],
  ['Node16 in an ES package', 'module', { module: 'node16' }],
  ['NodeNext in a CommonJS package', 'commonjs', { module: 'nodenext' }],
  ['ESNext for a bundler', 'module', { module: 'esnext', moduleResolution: 'bundler' }]
]

const PROGRAM = `
import { fastify } from 'fastify'
import plugin, { Counter, MetricsError, metricsPlugin, type MetricsPluginOptions } from 'fastify-prometheus'
import { instrumentPool, type PgOptions } from 'fastify-prometheus/pg'
import { assertSeries, snapshot } from 'fastify-prometheus/testing'
import { instrumentDataSource, modelOpsSubscriber, type DataSourceLike, type ModelOpsSubscriber } from 'fastify-prometheus/typeorm'
import { Pool } from 'pg'
import { Registry } from 'prom-client'

async function main (): Promise<void> {
  const registry = new Registry()
  const options: MetricsPluginOptions = { registry, labels: { tenant: (request, reply) => request.id + reply.statusCode } }
  const app = fastify()
  await app.register(plugin, options)
  app.get('/', { config: { metrics: { route: 'root' } } }, async () => 'ok')
  // @ts-expect-error -- a route is named by a string
  const wrong = () => app.get('/wrong', { config: { metrics: { route: 1 } } }, async () => '')
  // @ts-expect-error -- no such option
  const misspelt: MetricsPluginOptions = { endpiont: '/metrics' }
  await app.inject('/')
  if (!(await app.metrics.render()).includes('route="root"')) throw new Error('no route')
  const walks = new Counter({ name: 'walks', help: 'Walks.', labelNames: ['size'], registers: [registry] })
  walks.inc({ size: 'xl' })
  // @ts-expect-error -- no such label
  try { walks.inc({ colour: 'brown' }) } catch {}
  await assertSeries(registry, 'walks', { size: 'xl' }, 1)
  const pool = new Pool({ port: 1 })
  const ofPool: PgOptions = { registry, alias: 'walks' }
  const undo: () => void = instrumentPool(pool, ofPool)
  undo()
  const subscriber: ModelOpsSubscriber = modelOpsSubscriber('walk', { registry })
  const observe: (dataSource: DataSourceLike) => () => void = (dataSource) => instrumentDataSource(dataSource, { registry, models: ['walk'] })
  if (typeof subscriber.afterInsert !== 'function' || observe.length !== 1) throw new Error('no subscriber')
  try {
    instrumentPool(JSON.parse('{}'))
  } catch (error) {
    if (!(error instanceof MetricsError)) throw error
    console.log(plugin === metricsPlugin, error.code, (await snapshot(registry)) !== undefined)
  }
  await app.close()
}
void main()
`

/** What others declare is read once for each kind of module. */
const others = new Map<string, SourceFile>()

/**
 * @returns what TypeScript has to say of the program and of each declaration of ours that it reaches, and what else it
 * reaches of ours
 */
function compile (file: string, settings: Record<string, unknown>): { said: string[], ours: string[] } {
  const { options, errors } = typescript.convertCompilerOptionsFromJson({
    target: 'es2022', lib: ['es2022'], strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, types: ['node'], ...settings
  }, dirname(file))
  const host = typescript.createCompilerHost(options as CompilerOptions)
  const read = host.getSourceFile
  host.getSourceFile = (name, version, ...rest) => {
    if (name.startsWith(folder.path)) return read(name, version, ...rest)
    const key = `${name} ${typeof version === 'object' ? version.impliedNodeFormat : ''}`
    const known = others.get(key) ?? read(name, version, ...rest)
    if (known !== undefined) others.set(key, known)
    return known
  }
  const program = typescript.createProgram([file], options, host)
  const ours = program.getSourceFiles().filter(({ fileName }) => fileName === file || fileName.startsWith(folder.join('package/')))
  const diagnostics = [...errors, ...program.getOptionsDiagnostics(), ...ours.flatMap((source) => [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)])]
  program.emit()
  return {
    said: diagnostics.map(({ file, code, messageText }) => `${file?.fileName ?? ''} TS${code}: ${typescript.flattenDiagnosticMessageText(messageText, '\n')}`),
    ours: ours.map(({ fileName }) => fileName)
  }
}

for (const [name, type, settings] of SETTINGS) {
  t.test(`TypeScript with ${name}: the program compiles, the declarations are without an error, and it runs`, async (t) => {
    const project = folder.join(name)
    await folder.write({ [`${name}/package.json`]: JSON.stringify({ type }), [`${name}/program.ts`]: PROGRAM })
    const { said, ours } = compile(`${project}/program.ts`, settings)
    t.same(said, [])
    for (const entry of ['src/index.d', 'adapters/pg.d', 'adapters/typeorm.d', 'src/testing/index.d']) t.ok(ours.some((path) => path.startsWith(folder.join('package/dist', entry))), entry)
    t.notOk(ours.some((path) => path.endsWith('.ts') && !/\.d\.[mc]?ts$/.test(path) && !path.endsWith('program.ts')), 'declarations, and not the sources beside them')
    t.equal(await folder.output(process.execPath, ['--throw-deprecation', `${project}/program.js`]), 'true FP_ERR_INVALID_TARGET true\n')
  })
}
