import {
  applyFieldOverrides, FieldColorModeId, FieldConfigOptionsRegistry, identityOverrideProcessor, standardTransformers, standardTransformersRegistry, transformDataFrame,
  type DataFrame, type FieldConfigPropertyItem, type GrafanaTheme2
} from '@grafana/data'
import { lastValueFrom } from 'rxjs'
import type { Panel } from './dashboard.js'

/** What a panel may say of its fields; Grafana knows these by the same names. */
const STANDARD = ['unit', 'decimals', 'min', 'max', 'noValue', 'mappings', 'thresholds', 'color', 'links', 'displayName']
const CUSTOM = ['lineWidth', 'fillOpacity', 'lineStyle', 'showPoints', 'spanNulls', 'stacking', 'axisSoftMax', 'axisPlacement', 'cellOptions', 'width']
const registry = new FieldConfigOptionsRegistry(() => [
  ...STANDARD.map((path) => item(path, path, false)),
  ...CUSTOM.map((path) => item(`custom.${path}`, path, true))
])
standardTransformersRegistry.setInit(() => [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer]
  .map((transformation) => ({ id: transformation.id, name: transformation.name, transformation, editor: () => null })) as never)

/** The frames as a panel shows them: transformed, and each field with its unit, colour and name. */
export async function prepared (frames: DataFrame[], { transformations = [], fieldConfig }: Panel, theme: GrafanaTheme2): Promise<DataFrame[]> {
  const data = await lastValueFrom(transformDataFrame(transformations, frames))
  const { defaults } = fieldConfig
  // What Grafana's panels have where the dashboard says nothing.
  const colored = { ...fieldConfig, defaults: { ...defaults, color: defaults.color ?? { mode: FieldColorModeId.PaletteClassic } } }
  return applyFieldOverrides({ data, fieldConfig: colored, replaceVariables: (value: string) => value, theme, timeZone: 'utc', fieldConfigRegistry: registry })
}

function item (id: string, path: string, isCustom: boolean): FieldConfigPropertyItem {
  return { id, path, isCustom, name: id, process: identityOverrideProcessor, shouldApply: () => true, override: () => null, editor: () => null } as unknown as FieldConfigPropertyItem
}
