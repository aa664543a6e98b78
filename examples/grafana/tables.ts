import { TableSortByFieldStateBuilder } from '@grafana/grafana-foundation-sdk/common'
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table'
import { PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { MappingType } from '@grafana/grafana-foundation-sdk/dashboard'
import { missing, target } from './panels.js'
import { datasource } from './variables.js'

/** A cell whose query gave nothing for the row. */
const NO_CELL = '–'
/** Narrow enough for all columns of numbers beside the keys. */
const COLUMN_PIXELS = 110

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
  readonly ascending?: boolean
  /** The word for what is missing where no query gives a row. */
  readonly noValue: string
  /** Where a key leads to, by its title. */
  readonly links?: Readonly<Record<string, { title: string, url: string, targetBlank?: boolean }>>
  /** The colours of a key's values, by its title. */
  readonly colors?: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Pixels of a key's column, by its title, where its values are long. */
  readonly widths?: Readonly<Record<string, number>>
  readonly width?: number
  readonly height?: number
}

/** One row for each label set, sortable by any column. */
export function table ({ title, description, keys, columns, sortBy, ascending = false, noValue, links = {}, colors = {}, widths = {}, width = 24, height = 10 }: TableSubject): TableBuilder {
  // Grafana calls the value of a query by its letter where there are several.
  const fields = [...Object.keys(keys), ...columns.map((_, index) => columns.length === 1 ? 'Value' : `Value #${refId(index)}`)]
  const names = [...Object.values(keys), ...columns.map((column) => column.title)]
  const panel = new TableBuilder()
    .title(title).description(description).datasource(datasource).span(width).height(height).noValue(noValue)
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
    .sortBy([new TableSortByFieldStateBuilder().displayName(sortBy).desc(!ascending)])
    .filterable(true)
  for (const { title, unit } of columns) panel.overrideByName(title, [{ id: 'unit', value: unit }, { id: 'mappings', value: [missing(NO_CELL)] }, { id: 'custom.width', value: COLUMN_PIXELS }])
  // A label that a row has not got is no word for a missing query.
  for (const name of Object.values(keys)) panel.overrideByName(name, [{ id: 'noValue', value: NO_CELL }])
  for (const [name, pixels] of Object.entries(widths)) panel.overrideByName(name, [{ id: 'custom.width', value: pixels }])
  for (const [name, link] of Object.entries(links)) panel.overrideByName(name, [{ id: 'links', value: [link] }])
  for (const [name, values] of Object.entries(colors)) {
    const options = Object.fromEntries(Object.entries(values).map(([value, color], index) => [value, { color, index }]))
    panel.overrideByName(name, [{ id: 'mappings', value: [{ type: MappingType.ValueToText, options }] }, { id: 'custom.cellOptions', value: { type: 'color-text' } }])
  }
  return panel
}

function refId (index: number): string {
  return String.fromCharCode(65 + index)
}
