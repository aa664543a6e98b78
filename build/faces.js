// Writes the ES module that `import` loads for each entry in package.json. It exports the names that the CommonJS code
// beside it has. `require` loads that code itself, so there is one copy of all state, however the package is loaded.
// Run this after tsc: it also writes dist/package.json, because tsc does not mark its output as CommonJS.
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

const root = new URL('../', import.meta.url)
const require = createRequire(root)
const { exports } = JSON.parse(await readFile(new URL('package.json', root), 'utf8'))

await writeFile(new URL('dist/package.json', root), '{ "type": "commonjs" }\n')
for (const entry of Object.values(exports).filter((entry) => typeof entry === 'object')) {
  const code = require(entry.default.default)
  const file = `./${entry.default.default.split('/').at(-1)}`
  const { default: main, ...named } = code
  const names = Object.keys(named)
  const types = [`export * from '${file}'`]
  if ('default' in code) {
    // For CommonJS code, `export { default }` gives all of its exports, so the default is exported by its other name.
    const alias = `${names.find((name) => named[name] === main)} as default`
    names.push(alias)
    types.push(`export { ${alias} } from '${file}'`)
  }
  await writeFile(new URL(entry.import.default, root), `export { ${names.join(', ')} } from '${file}'\n`)
  await writeFile(new URL(entry.import.types, root), `${types.join('\n')}\n`)
}
