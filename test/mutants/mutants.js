// What can be wrong in a rule: one change each.

/**
 * @typedef {{ readonly what: string, readonly rule: object }} Mutant
 */

/** Numbers of thresholds are multiplied by this: what a test does not notice is half or twice as much. */
const FACTORS = [0.4, 2.5]
const OTHER_FUNCTION = { increase: 'rate', rate: 'increase', changes: 'resets', avg_over_time: 'max_over_time' }
const OPPOSITE = { '>': '<', '<': '>', '>=': '<', '==': '!=' }

/**
 * The mutants of a rule, from the outside of its expression to the inside.
 * @param {{ expr: string, for?: string, alert?: string }} rule
 * @returns {Generator<Mutant>}
 */
export function * mutantsOf (rule) {
  const times = new Map()
  for (const { what, rule: mutant } of changesOf(rule)) {
    const time = (times.get(what) ?? 0) + 1
    times.set(what, time)
    yield { what: time === 1 ? what : `${what} (${time})`, rule: mutant }
  }
}

function * changesOf (rule) {
  const { expr } = rule
  const at = function * (pattern, replace, what) {
    for (const match of expr.matchAll(pattern)) {
      const text = replace(...match)
      if (text === undefined || text === match[0]) continue
      yield { what: `${what}: ${flat(match[0])} -> ${flat(text)}`, rule: { ...rule, expr: expr.slice(0, match.index) + text + expr.slice(match.index + match[0].length) } }
    }
  }
  for (const factor of FACTORS) yield * at(/(?<=[><=*/] )\d+(?:\.\d+)?(?=$|\s|\))/gm, (number) => String(Number((Number(number) * factor).toPrecision(6))), 'number')
  yield * at(/(?<= )(?:>=|==|>|<)(?= )/g, (operator) => OPPOSITE[operator], 'comparison')
  // A line that narrows what the line before gave.
  yield * at(/\n(?:and|unless|or) [^\n]+/g, () => '', 'clause left out')
  yield * at(/ and [^()]+\([^()]*\[[^\]]*\]\)+ > 0/g, () => '', 'clause left out')
  yield * at(/(\w+(?:\{[^}]*\})?)\[(\d+)([smhd])\]/g, (_, metric, number, unit) => `${metric}[${number * 3}${unit}]`, 'window')
  yield * at(/ offset \w+/g, () => '', 'offset left out')
  yield * at(/\b(status_code|type|le|state|__name__|route|method)(=~|!~|=|!=)"[^"]*"/g, (matcher) => `${/^\w+/.exec(matcher)[0]}=~".*"`, 'matcher left out')
  yield * at(/\b(sum|max|avg|count)(?= (?:by|without) )/g, (name) => name === 'max' ? 'min' : name === 'sum' ? 'max' : 'sum', 'aggregation')
  yield * at(/(by \(namespace, job), [^)]+\)/g, (_, kept) => `${kept})`, 'labels left out')
  yield * at(/\b(increase|rate|changes|avg_over_time)\((\w+)/g, (_, name, metric) => `${OTHER_FUNCTION[name]}(${metric}`, 'function')
  if (rule.for !== undefined) {
    const { for: time, ...hasty } = rule
    yield { what: `for left out: ${time}`, rule: hasty }
    yield { what: `for: ${time} -> ${time.replace(/\d+/, (number) => String(number * 4))}`, rule: { ...rule, for: time.replace(/\d+/, (number) => String(number * 4)) } }
  }
}

function flat (text) {
  return text.replace(/\s+/g, ' ').trim()
}
