import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { validate, valuesFile } from '../support/chart.js'
import { chart, findHelm, type Helm } from '../support/helm.js'
import { temporaryFolder } from '../support/temporary-folder.js'

interface Schema {
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: false | Schema
  readonly items?: Schema
  readonly $ref?: string
  readonly description?: string
}

const root = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8')) as Schema & { definitions: Record<string, Schema> }

function resolved (schema: Schema): Schema {
  return schema.$ref === undefined ? schema : root.definitions[schema.$ref.replace('#/definitions/', '')] as Schema
}

/**
 * Values for everything in the schema, a list with one item each.
 * @param leaf what stands where there is neither a closed object nor a list; undefined for nothing
 * @param unknown whether each closed object has the key 'nonsense' as well
 */
function valuesOf (schema: Schema, path: string, leaf: (path: string, schema: Schema) => unknown, unknown: boolean): unknown {
  const { properties, items } = resolved(schema)
  if (properties !== undefined) {
    const entries = Object.entries(properties).map(([name, inner]) => [name, valuesOf(inner, `${path}/${name}`, leaf, unknown)])
    return Object.fromEntries([...entries, ...unknown ? [['nonsense', 1]] : []].filter(([, value]) => value !== undefined))
  }
  return items === undefined ? leaf(path, resolved(schema)) : [valuesOf(items, `${path}/0`, leaf, unknown)]
}

const helm = await findHelm(t)
if (helm !== undefined) await tests(helm)

async function tests (helm: Helm): Promise<void> {
  const refusal = async (values: unknown) => {
    const file = join(await temporaryFolder(t, 'values'), 'values.json')
    await writeFile(file, JSON.stringify(values))
    const { status, stdout, stderr } = helm.template('-f', file)
    t.equal(status, 1)
    t.equal(stdout, '')
    return stderr.split('\n')
  }

  t.test('what is unknown is refused by its name, wherever it stands', async (t) => {
    const lines = await refusal(valuesOf(root, '', () => undefined, true))
    let objects = 0
    const look = (schema: Schema, path: string) => {
      const { properties, items } = resolved(schema)
      if (items !== undefined) look(items, `${path}/0`)
      if (properties === undefined) return
      objects++
      t.ok(lines.some((line) => line.includes(`at '${path}': additional properties 'nonsense' not allowed`)), path)
      for (const [name, inner] of Object.entries(properties)) look(inner, `${path}/${name}`)
    }
    look(root, '')
    t.ok(objects > 70, `${objects} objects`)
  })

  t.test('what is of the wrong type is refused by its name, wherever it stands', async (t) => {
    const paths: string[] = []
    const wrong = (path: string, { type }: Schema) => {
      // Helm itself refuses a global that is no table.
      if (path === '/global') return undefined
      paths.push(path)
      return type === 'object' ? 'text' : { text: 1 }
    }
    const lines = await refusal(valuesOf(root, '', wrong, false))
    for (const path of paths) t.ok(lines.some((line) => line.includes(`at '${path}': `)), path)
    t.ok(paths.length > 150, `${paths.length} values`)
  })

  t.test('a value that is left empty is as good as its default, or is missed by its name', async (t) => {
    const missed = new Set<string>()
    const look = async (values: object, path: readonly string[]) => {
      for (const [name, value] of Object.entries(values)) {
        const inner = [...path, name]
        const what = inner.join('.')
        const file = join(folder, 'values.json')
        await writeFile(file, JSON.stringify(inner.reduceRight<unknown>((within, key) => ({ [key]: within }), null)))
        try {
          const objects = helm.render(...['platform', 'autoscaled'].flatMap((name) => ['-f', valuesFile(name)]), '-f', file)
          for (const object of objects) t.doesNotThrow(() => validate(object), `without ${what}, ${object.kind}`)
        } catch (error) {
          const { message } = error as Error
          missed.add(what)
          t.ok(message.includes(`at '${path.map((key) => `/${key}`).join('')}': missing property '${name}'`) || (message.includes('execution error') && message.includes(what)), `${what}: ${message}`)
        }
        if (typeof value === 'object' && !Array.isArray(value)) await look(value as object, inner)
      }
    }
    const folder = await temporaryFolder(t, 'values')
    await look(parse(readFileSync(join(chart, 'values.yaml'), 'utf8')) as object, [])
    for (const name of ['replicas', 'metrics.dashboards.enabled', 'ingress', 'ingress.hosts', 'database.key', 'resources']) t.ok(missed.has(name), name)
    for (const name of ['podLabels', 'podAnnotations', 'affinity', 'image.tag', 'nodeSelector', 'topologySpreadConstraints']) t.notOk(missed.has(name), name)
  })

  t.test('what is wrong is refused by its name', async (t) => {
    const volume = (json: string) => ['--set-json', `extraVolumes=[${json}]`]
    const cases: Array<[sets: string[], says: RegExp]> = [
      [['--set', 'replica=3'], /at '': additional properties 'replica' not allowed/],
      [['--set', 'enabled=false'], /at '\/enabled': value must be true/],
      [['--set', 'nameOverride=Dogs'], /at '\/nameOverride': 'Dogs' does not match pattern/],
      [['--set', `fullnameOverride=${'x'.repeat(51)}`], /at '\/fullnameOverride': maxLength/],
      [['--set', 'replicas=-1'], /at '\/replicas': minimum/],
      [['--set', 'resources.request.cpu=1'], /at '\/resources': additional properties 'request' not allowed/],
      [['--set', 'resources.limits.memory=256MB'], /at '\/resources\/limits\/memory': '256MB' does not match pattern/],
      [['--set', 'image.pullPolicy=Sometimes'], /at '\/image\/pullPolicy': value must be one of/],
      [['--set', 'image.tag=a b'], /at '\/image\/tag': 'a b' does not match pattern/],
      [['--set', 'image.repository='], /at '\/image\/repository': minLength/],
      [['--set', 'image.digest=sha256:abc'], /at '\/image\/digest': 'sha256:abc' does not match pattern/],
      [['--set', 'imagePullSecrets[0]=registry'], /at '\/imagePullSecrets\/0': got string, want object/],
      [['--set', 'database.url=mysql://dogs@db/dogs'], /at '\/database\/url': .+ does not match pattern/],
      [['--set', 'database.url='], /at '\/database\/url': '' does not match pattern/],
      [['--set', 'database.key=a/b'], /at '\/database\/key': 'a\/b' does not match pattern/],
      [['--set', 'database.existingSecret=Not_A_Name'], /at '\/database\/existingSecret'/],
      [['--set', 'metrics.auth.username=a:b'], /at '\/metrics\/auth\/username': 'a:b' does not match pattern/],
      [['--set-json', 'metrics.auth.password="one\\ntwo"'], /at '\/metrics\/auth\/password': .+ does not match pattern/],
      [['--set-json', 'metrics.auth.password=" x"'], /at '\/metrics\/auth\/password': .+ does not match pattern/],
      [['--set', 'metrics.auth.password=12345'], /at '\/metrics\/auth\/password': got number, want string/],
      [['--set', 'metrics.live=true'], /at '\/metrics\/live': got boolean, want object/],
      [['--set', 'metrics.live.enable=true'], /at '\/metrics\/live': additional properties 'enable' not allowed/],
      [['--set-string', 'metrics.live.enabled=true'], /at '\/metrics\/live\/enabled': got string, want boolean/],
      [['--set', 'metrics.serviceMonitor.interval=15'], /at '\/metrics\/serviceMonitor\/interval': got number, want string/],
      [['--set', 'metrics.serviceMonitor.scrapeTimeout=fast'], /at '\/metrics\/serviceMonitor\/scrapeTimeout': 'fast' does not match pattern/],
      [['--set', 'metrics.serviceMonitor.interval=9s'], /metrics\.serviceMonitor\.scrapeTimeout is 10s, longer than metrics\.serviceMonitor\.interval, 9s/],
      [['--set', 'metrics.serviceMonitor.scrapeTimeout=1m1ms,metrics.serviceMonitor.interval=60s'], /scrapeTimeout is 1m1ms, longer than .+ 60s/],
      [['--set', 'metrics.serviceMonitor.labels.a=1'], /at '\/metrics\/serviceMonitor\/labels\/a': got number, want string/],
      [['--set', 'metrics.prometheusRule.labels.a=b c'], /at '\/metrics\/prometheusRule\/labels\/a': 'b c' does not match pattern/],
      [['--set', 'metrics.dashboards.labels.a b=c'], /at '\/metrics\/dashboards\/labels': additional properties 'a b' not allowed/],
      [['--set', 'autoscaling.requestsPerSecond=0'], /at '\/autoscaling\/requestsPerSecond': minimum/],
      [['--set', 'autoscaling.scaleDownSeconds=7200'], /at '\/autoscaling\/scaleDownSeconds': maximum/],
      [['--set', 'autoscaling.minReplicas=20'], /autoscaling\.minReplicas is 20, more than autoscaling\.maxReplicas, 10/],
      [['--set', 'nginx.image=nginxinc/nginx-unprivileged'], /at '\/nginx\/image': .+ does not match pattern/],
      [['--set', 'serviceAccount.name=Not_A_Name'], /at '\/serviceAccount\/name'/],
      [['--set', 'podDisruptionBudget.maxUnavailable=0'], /at '\/podDisruptionBudget\/maxUnavailable': minimum/],
      [['--set', 'podDisruptionBudget.maxUnavailable=0%'], /at '\/podDisruptionBudget\/maxUnavailable': '0%' does not match pattern/],
      [['--set-json', 'networkPolicy.from=[{}]'], /at '\/networkPolicy\/from\/0': minProperties/],
      [['--set-json', 'networkPolicy.from=[{"ipBlock":{"cidr":"10.0.0.1"}}]'], /at '\/networkPolicy\/from\/0\/ipBlock\/cidr': '10\.0\.0\.1' does not match pattern/],
      [['--set', 'ingress.enabled=true'], /ingress\.enabled without ingress\.hosts; give at least one host/],
      [['--set', 'ingress.hosts={https://a.example.com}'], /at '\/ingress\/hosts\/0': .+ does not match pattern/],
      [['--set', 'ingress.hosts={a.example.com},ingress.tls[0].secretName=a,ingress.tls[0].hosts={b.example.com}'], /ingress\.tls has the host 'b\.example\.com', which ingress\.hosts has not/],
      [['--set', 'httpRoute.enabled=true'], /httpRoute\.enabled without httpRoute\.parentRefs; give at least one gateway/],
      [['--set', 'httpRoute.parentRefs[0].port=0'], /at '\/httpRoute\/parentRefs\/0\/port': minimum/],
      [['--set', 'podLabels.app\\.kubernetes\\.io/name=cats'], /podLabels has 'app\.kubernetes\.io\/name', which is set already/],
      [['--set', 'podAnnotations.checksum/secrets=x'], /podAnnotations has 'checksum\/secrets', which the chart says by itself/],
      [['--set-string', 'podAnnotations.prometheus\\.io/scrape=true'], /podAnnotations has 'prometheus\.io\/scrape', which the chart says by itself/],
      [['--set', 'extraEnv[0].name=A-B,extraEnv[0].value=x'], /at '\/extraEnv\/0\/name': 'A-B' does not match pattern/],
      [['--set', 'extraEnv[0].name=A'], /at '\/extraEnv\/0': minProperties/],
      [['--set', 'extraEnv[0].name=PORT,extraEnv[0].value=x'], /extraEnv has 'PORT', which is set already/],
      [['--set', 'extraEnv[0].name=A,extraEnv[0].value=x,extraEnv[1].name=A,extraEnv[1].value=y'], /extraEnv has 'A', which is set already/],
      [volume('{"name":"a"}'), /at '\/extraVolumes\/0': minProperties/],
      [volume('{"name":"a","emptyDir":{},"configMap":{"name":"b"}}'), /at '\/extraVolumes\/0': maxProperties/],
      [volume('{"name":"a","hostPath":{"path":"/"}}'), /at '\/extraVolumes\/0': additional properties 'hostPath' not allowed/],
      [volume('{"name":"tmp","emptyDir":{}}'), /at '\/extraVolumes\/0\/name': 'not' failed/],
      [volume('{"name":"a","emptyDir":{}},{"name":"a","emptyDir":{}}'), /extraVolumes has 'a' twice/],
      [['--set', 'extraVolumeMounts[0].name=a,extraVolumeMounts[0].mountPath=/a'], /extraVolumeMounts has 'a', which extraVolumes has not/],
      [[...volume('{"name":"a","emptyDir":{}}'), '--set', 'extraVolumeMounts[0].name=a,extraVolumeMounts[0].mountPath=/tmp/'], /extraVolumeMounts has the mountPath '\/tmp\/', which is mounted already/],
      [['--set', 'extraVolumeMounts[0].name=a,extraVolumeMounts[0].mountPath=a'], /at '\/extraVolumeMounts\/0\/mountPath': 'a' does not match pattern/],
      [['--set', 'tolerations[0].effect=Never'], /at '\/tolerations\/0\/effect': value must be one of/],
      [['--set-json', 'affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution=[{"weight":0,"podAffinityTerm":{"topologyKey":"a"}}]'], /at '\/affinity\/podAffinity\/preferred\w+\/0\/weight': minimum/],
      [['--set-json', 'topologySpreadConstraints=[{"topologyKey":"a","maxSkew":1}]'], /at '\/topologySpreadConstraints\/0': missing property 'whenUnsatisfiable'/],
      [['--set', 'priorityClassName=High!'], /at '\/priorityClassName': 'High!' does not match pattern/],
      [['--set', 'metrics.auth.password='], /metrics\.auth has no password; give metrics\.auth\.password, or the name of a Secret .+ as metrics\.auth\.existingSecret/],
      [['--set', 'metrics.auth.existingSecret=a'], /metrics\.auth\.password and metrics\.auth\.existingSecret exclude each other/],
      [['--set', 'database.existingSecret=a'], /database\.password and database\.existingSecret exclude each other/],
      [['--set', 'database.url=postgres://dogs:bone@db/dogs'], /database\.url has a password in it.+ give database\.password or database\.existingSecret/],
      [['--set', 'database.url=postgres://dogs@db/dogs?password=bone'], /database\.url has a password in it/]
    ]
    for (const [sets, says] of cases) {
      const { status, stdout, stderr } = helm.template('-f', valuesFile('minimal'), ...sets)
      t.equal(status, 1, sets.join(' '))
      t.equal(stdout, '')
      t.match(stderr, says)
      t.notMatch(stderr, /bone/, 'no password of the database is shown')
    }
    for (const set of [
      'database.url=postgres://dogs@db/dogs', 'database.url=postgresql://db:5432/a@b', 'database.url=postgres://dogs@db:5432/dogs?options=-c%20a=b:c@d',
      'nginx.image=registry.example.com:5000/nginx:1.28', `nginx.image=nginx@sha256:${'a'.repeat(64)}`, 'resources.limits.cpu=1,resources.requests.cpu=0.5',
      'metrics.serviceMonitor.scrapeTimeout=60s,metrics.serviceMonitor.interval=1m'
    ]) t.equal(helm.template('-f', valuesFile('minimal'), '--set', set).status, 0, `${set} is taken`)
  })
}
