import { TableSortByFieldStateBuilder } from '@grafana/grafana-foundation-sdk/common'
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table'
import { PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { target } from './panels.js'
import { datasource } from './variables.js'

/** A number of each row. */
export interface Column {
  readonly title: string
  readonly expr: string
  readonly unit: string
}

export interface TableSubject {
  readonly title: string
  readonly description: string
  /** The labels that tell rows apart, and what they are called. Each query has them and no others. */
  readonly keys: Readonly<Record<string, string>>
  readonly columns: readonly Column[]
  /** The title of the column that is highest in the first row. */
  readonly sortBy: string
  /** Where a key leads to, by its title. */
  readonly links?: Readonly<Record<string, { title: string, url: string }>>
  readonly width?: number
  readonly height?: number
}

/** One row for each label set, sortable by any column. */
export function table ({ title, description, keys, columns, sortBy, links = {}, width = 24, height = 10 }: TableSubject): TableBuilder {
  const fields = [...Object.keys(keys), ...columns.map((_, index) => `Value #${refId(index)}`)]
  const names = [...Object.values(keys), ...columns.map((column) => column.title)]
  const panel = new TableBuilder()
    .title(title).description(description).datasource(datasource).span(width).height(height)
    .targets(columns.map(({ expr }, index) => target(expr, undefined, index).instant().format(PromQueryFormat.Table)))
    .withTransformation({ id: 'merge', options: {} })
    .withTransformation({
      id: 'organize',
      options: {
        excludeByName: { Time: true },
        indexByName: Object.fromEntries(fields.map((field, index) => [field, index])),
        renameByName: Object.fromEntries(fields.map((field, index) => [field, names[index]]))
      }
    })
    .sortBy([new TableSortByFieldStateBuilder().displayName(sortBy).desc(true)])
    .filterable(true)
  for (const { title, unit } of columns) panel.overrideByName(title, [{ id: 'unit', value: unit }])
  for (const [name, link] of Object.entries(links)) panel.overrideByName(name, [{ id: 'links', value: [link] }])
  return panel
}

function refId (index: number): string {
  return String.fromCharCode(65 + index)
}
