// npm run mutants: makes one change in one rule of examples/prometheus at a time, and looks whether the unit tests notice. Prints those that nobody notices;
// each has to stand in test/mutants/survivors.yml with the reason, or it exits 1.
// npm run mutants -- HttpRequestsHanging DatabaseDown: only these alerts, or records
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { parse } from 'yaml'
import { mutantsOf } from './mutants.js'
import { groups, nameOf, trialOf } from './trial.js'

const explained = parse(readFileSync(new URL('survivors.yml', import.meta.url), 'utf8')) ?? {}
const asked = process.argv.slice(2)
const rules = groups.flatMap(({ rules }) => rules)
const unknown = asked.filter((name) => !rules.some((rule) => nameOf(rule) === name))
if (unknown.length > 0) {
  console.error(`no rule is called ${unknown.join(', ')}`)
  process.exit(1)
}

const mutants = rules.filter((rule) => asked.length === 0 || asked.includes(nameOf(rule)))
  .flatMap((rule) => [...mutantsOf(rule)].map(({ what, rule: mutant }) => ({ rule, name: nameOf(rule), what, mutant })))
const survivors = []
let done = 0
const scratch = mkdtempSync(join(tmpdir(), 'fastify-prometheus-mutants-'))
try {
  const trials = new Map()
  const queue = mutants.entries()
  await Promise.all(Array.from({ length: availableParallelism() }, async () => {
    for (const [number, { rule, mutant, ...told }] of queue) {
      if (!trials.has(rule)) trials.set(rule, trialOf(rule, join(scratch, `unchanged-${number}`)))
      const { isNoticed } = await trials.get(rule)
      if (!await isNoticed(mutant, join(scratch, String(number)))) survivors.push(told)
      if (++done % 20 === 0 || done === mutants.length) process.stderr.write(`${done} of ${mutants.length} mutants, ${survivors.length} not noticed\n`)
    }
  }))
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

let unexplained = 0
for (const { name, what } of survivors.sort((a, b) => a.name.localeCompare(b.name))) {
  const reason = reasonOf(name, what)
  if (reason === undefined) unexplained++
  console.log(`${name}: ${what}\n    ${reason ?? 'NOT EXPLAINED'}`)
}
console.log(`${mutants.length} mutants, ${mutants.length - survivors.length} noticed, ${survivors.length - unexplained} explained, ${unexplained} not explained`)
process.exitCode = unexplained > 0 ? 1 : 0

/** Of a rule; in the names of the file `*` is anything. */
function reasonOf (name, what) {
  for (const [rules, reasons] of Object.entries(explained)) {
    if (new RegExp(`^${rules.replaceAll('*', '.*')}$`).test(name)) return reasons[what] ?? reasons['*']
  }
}
