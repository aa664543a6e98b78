// Writes src/live/assets.ts: what the live page needs in the browser, as strings. Run this before tsc. The file is
// written only when it changes, so that tsc does not build again for nothing.
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

/** The most that the page may weigh, gzipped. */
const LIMIT = 120 * 1024

const root = new URL('../', import.meta.url)
const read = (path) => readFile(new URL(path, root), 'utf8')

const asset = (text) => ({
  text,
  gzip: gzipSync(text, { level: 9 }).toString('base64'),
  hash: createHash('sha256').update(text).digest('hex').slice(0, 12)
})

const licence = (await read('node_modules/uplot/LICENSE')).trim()
const options = { absWorkingDir: new URL('.', root).pathname, bundle: true, write: false, minify: true, target: 'es2022', charset: 'utf8', legalComments: 'inline', logLevel: 'error' }

const script = await build({ ...options, entryPoints: ['src/live/browser/main.ts'], format: 'esm', banner: { js: `/*! uPlot, https://github.com/leeoniya/uPlot\n\n${licence}\n*/` } })
const style = await build({
  ...options,
  stdin: { contents: "@import 'uplot/dist/uPlot.min.css';\n@import './src/live/browser/page.css';\n", loader: 'css', resolveDir: new URL('.', root).pathname },
  target: undefined,
  banner: { css: '/*! With the style of uPlot, MIT licence: page.js has its text. */' }
})

const js = asset(script.outputFiles[0].text)
const css = asset(style.outputFiles[0].text)
const html = (await read('src/live/browser/page.html')).replaceAll('__JS__', js.hash).replaceAll('__CSS__', css.hash).replace(/\n\s*/g, '\n')

const size = [html, js.text, css.text].reduce((sum, text) => sum + gzipSync(text, { level: 9 }).length, 0)
if (size > LIMIT) throw new Error(`The live page must be at most ${LIMIT} bytes gzipped, got ${size}`)

const code = `// Written by build/live.js.

/** A file that the page loads. */
export interface Asset {
  readonly text: string
  /** The text with gzip, in base64. */
  readonly gzip: string
  /** Another one for each other text. */
  readonly hash: string
}

export const assets: { readonly html: string, readonly js: Asset, readonly css: Asset } = ${JSON.stringify({ html, js, css }, null, 2)}
`

const file = new URL('src/live/assets.ts', root)
if (await readFile(file, 'utf8').catch(() => '') !== code) await writeFile(file, code)
