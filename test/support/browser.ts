import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium, type Browser } from 'playwright-core'
import { unavailable, type Test } from './program.js'

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

/** The Chromium of the PATH, closed at teardown; undefined where there is none, which is said. */
export async function openBrowser (t: Test): Promise<Browser | undefined> {
  const executablePath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'chromium')).find((path) => existsSync(path))
  if (executablePath === undefined) {
    unavailable(t, 'chromium is not on the PATH: apt-get install chromium')
    return undefined
  }
  const browser = await chromium.launch({ executablePath, args: FLAGS })
  t.teardown(() => browser.close())
  return browser
}
