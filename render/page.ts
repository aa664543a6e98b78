import { createTheme, ThemeContext } from '@grafana/data'
import { GlobalStyles, PanelChrome, PortalContainer } from '@grafana/ui'
import { createElement as h, type ReactElement } from 'react'
import { createRoot, type Root } from 'react-dom/client'
import type { Dashboard, Panel, Scene } from './dashboard.js'
import { prepared } from './fields.js'
import { framesOf, interpolate, stepOf } from './frames.js'
import { visualization, type Mark } from './visualizations.js'

/* The grid of a dashboard: 24 columns, lines of 30 pixels, and 8 between. */
const GAP = 8
const LINE = 30
const theme = createTheme({ colors: { mode: 'dark' } })
let root: Root | undefined

/**
 * Draws a dashboard, closed rows opened.
 * @returns what is wrong with the picture: titles that are cut, words that are wider than their panel
 */
async function draw (dashboard: Dashboard, scene: Scene): Promise<string[]> {
  const panels = opened(dashboard.panels)
  const marks = await marksOf(dashboard, scene)
  const drawn = await Promise.all(panels.map((panel) => drawPanel(panel, dashboard, scene, marks)))
  const height = Math.max(...panels.map(({ gridPos: { y, h } }) => y + h)) * (LINE + GAP)
  const container = document.getElementById('dashboard') as HTMLElement
  root?.unmount()
  container.style.height = `${height}px`
  root = createRoot(container)
  root.render(h(ThemeContext.Provider, { value: theme }, h(GlobalStyles, null), h(PortalContainer, null), ...drawn))
  await document.fonts.ready
  await new Promise((resolve) => setTimeout(resolve, 1500))
  return [...container.querySelectorAll<HTMLElement>('[data-panel] *')].filter(isCut)
    .map((element) => `${element.closest<HTMLElement>('[data-panel]')?.dataset['panel']}: '${element.textContent}' is cut`)
}

/** Whether an element has text that is wider than itself, and hides what is too much. */
function isCut (element: HTMLElement): boolean {
  const hasText = [...element.childNodes].some(({ nodeType, textContent }) => nodeType === Node.TEXT_NODE && textContent?.trim() !== '')
  return hasText && element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX !== 'visible'
}

async function drawPanel (panel: Panel, dashboard: Dashboard, scene: Scene, marks: readonly Mark[]): Promise<ReactElement> {
  const { x, y, w, h: tall } = panel.gridPos
  const column = (document.documentElement.clientWidth - 2 * GAP - 23 * GAP) / 24
  const size = { width: w * column + (w - 1) * GAP, height: tall * LINE + (tall - 1) * GAP }
  const style = { position: 'absolute', left: GAP + x * (column + GAP), top: y * (LINE + GAP), ...size } as const
  if (panel.type === 'row') return h('div', { key: panel.id, className: 'heading', style }, panel.title)
  const frames = await prepared(await framesOf(panel.targets ?? [], scene, dashboard), panel, theme)
  return h('div', { key: panel.id, style, 'data-panel': panel.title }, h(PanelChrome, {
    ...size,
    title: panel.title,
    description: panel.description,
    children: (width: number, height: number) => visualization({ panel, frames, scene, marks, theme, width, height })
  } as never))
}

/** The panels of closed rows stand below their row, and what is below moves down. */
function opened (panels: readonly Panel[]): Panel[] {
  let moved = 0
  return panels.flatMap((panel) => {
    const { panels: inner = [], gridPos } = panel
    const own = { ...panel, gridPos: { ...gridPos, y: gridPos.y + moved } }
    if (inner.length === 0) return [own]
    const before = moved
    const bottom = Math.max(...inner.map(({ gridPos: { y, h } }) => y + h))
    moved += bottom - (gridPos.y + gridPos.h)
    return [own, ...inner.map((panel) => ({ ...panel, gridPos: { ...panel.gridPos, y: panel.gridPos.y + before } }))]
  })
}

/** Annotations that are in the time shown. Their query gives the time itself, in milliseconds. */
async function marksOf (dashboard: Dashboard, scene: Scene): Promise<Mark[]> {
  const found = await Promise.all(dashboard.annotations.list.filter(({ expr }) => expr).map(async ({ expr, iconColor }) => {
    const search = new URLSearchParams({ query: interpolate(expr, scene, dashboard), start: String(scene.from), end: String(scene.to), step: String(stepOf(scene)) })
    const { data } = await (await fetch(`${scene.prometheus}/api/v1/query_range?${search.toString()}`)).json() as { data: { result: Array<{ values: Array<[number, string]> }> } }
    const times = new Set(data.result.flatMap(({ values }) => values.map(([, value]) => Number(value))))
    return [...times].map((time) => ({ time, color: theme.visualization.getColorByName(iconColor) }))
  }))
  return found.flat()
}

Object.assign(window, { draw })
