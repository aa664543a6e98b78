import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'

const COMPARISONS = ['Eql', 'Neq', 'Gtr', 'Lss', 'Gte', 'Lte']
const SETS = ['And', 'Or', 'Unless']

/** What a query reads: a metric, and the labels that its series must match. */
export interface Selector {
  readonly metric: string
  readonly matchers: ReadonlyArray<{ readonly label: string, readonly text: string }>
}

/** Labels that an expression keeps, leaves out or pairs by, and the metrics that they are of. */
export interface Grouping {
  readonly labels: readonly string[]
  readonly metrics: readonly string[]
}

/** A variable of a dashboard, as far as a query can tell. */
export interface Variable {
  readonly name: string
  readonly current?: { readonly value: string | string[] } | undefined
}

/** Whether the whole expression is PromQL. */
export function isParsed (expr: string): boolean {
  return expr.trim() !== '' && nodes(expr).every(({ type }) => !type.isError)
}

/** The names of the metrics that an expression selects, each once. */
export function metricsIn (expr: string): string[] {
  return [...new Set(selectorsIn(expr).map(({ metric }) => metric))]
}

/** What an expression selects, in its order. */
export function selectorsIn (expr: string): Selector[] {
  return nodes(expr).filter(({ name }) => name === 'VectorSelector').map((selector) => ({
    metric: nameIn(selector, expr),
    matchers: (selector.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [])
      .map((matcher) => ({ label: textOf(matcher.getChild('LabelName'), expr), text: textOf(matcher, expr) }))
  }))
}

/** By which labels an expression aggregates (`by`) and pairs (`on`, `ignoring`), and of which metrics. */
export function groupingsIn (expr: string): Grouping[] {
  return nodes(expr).filter(({ name }) => name === 'GroupingLabels').map((labels) => {
    const whole = labels.parent?.parent ?? labels
    return {
      labels: labels.getChildren('LabelName').map((label) => textOf(label, expr)),
      metrics: metricsIn(expr.slice(whole.from, whole.to))
    }
  })
}

/**
 * What an alert looks at, without what it compares that with: `a > 1 and b == 0` looks at a and b. An alert that does not fire gives nothing;
 * each of these gives something all the same, if it looks at what is there.
 */
export function operandsOf (expr: string): string[] {
  const top = parser.parse(expr).topNode.firstChild
  return top === null ? [] : operands(top).map(({ from, to }) => expr.slice(from, to))
}

/** A query of Grafana as Prometheus gets it: a variable is what is chosen in its dashboard, or everything. @param range of the dashboard */
export function interpolated (query: string, variables: readonly Variable[], range = '1h', rateInterval = '1m'): string {
  const built: Record<string, string> = { __rate_interval: rateInterval, __interval: rateInterval, __range: range }
  return query.replace(/\$(\w+)|\$\{(\w+)[^}]*\}/g, (_, plain?: string, braced?: string) => {
    const name = plain ?? braced ?? ''
    const { value = '$__all' } = variables.find((variable) => variable.name === name)?.current ?? {}
    return built[name] ?? (value === '$__all' ? '.*' : String(value))
  })
}

function operands (node: SyntaxNode): SyntaxNode[] {
  const { firstChild: left, lastChild: right } = node
  if (left === null || right === null) return [node]
  if (node.name === 'ParenExpr') return left.nextSibling === null ? [node] : operands(left.nextSibling)
  if (node.name !== 'BinaryExpr') return [node]
  if (SETS.some((name) => node.getChild(name) !== null)) return [...operands(left), ...operands(right)]
  return COMPARISONS.some((name) => node.getChild(name) !== null) ? operands(left) : [node]
}

function nodes (expr: string): SyntaxNode[] {
  const found: SyntaxNode[] = []
  parser.parse(expr).iterate({ enter: ({ node }) => { found.push(node) } })
  return found
}

function nameIn (selector: SyntaxNode, expr: string): string {
  return textOf(selector.getChild('Identifier'), expr)
}

function textOf (node: SyntaxNode | null, expr: string): string {
  return node === null ? '' : expr.slice(node.from, node.to)
}
