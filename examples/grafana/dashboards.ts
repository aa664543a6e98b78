import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { business } from './business.js'
import { database } from './database.js'
import { dependencies } from './dependencies.js'
import { overview } from './overview.js'
import { routes } from './routes.js'
import { runtime } from './runtime.js'

/** Every dashboard, and its file in the folder dashboards. */
export const dashboards: ReadonlyArray<{ readonly file: string, readonly dashboard: Dashboard }> = [
  { file: 'overview.json', dashboard: overview() },
  { file: 'routes.json', dashboard: routes() },
  { file: 'database.json', dashboard: database() },
  { file: 'dependencies.json', dashboard: dependencies() },
  { file: 'business.json', dashboard: business() },
  { file: 'runtime.json', dashboard: runtime() }
]

/** A dashboard as its file has it. */
export function jsonOf (dashboard: Dashboard): string {
  return JSON.stringify(dashboard, null, 2) + '\n'
}
