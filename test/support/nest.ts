import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import typescript from 'typescript'
import type { PackageFolder } from './package-folder.js'

/** JavaScript of TypeScript with decorators. */
export function compiled (code: string): string {
  const { ModuleKind, ScriptTarget } = typescript
  return typescript.transpileModule(code, { compilerOptions: { module: ModuleKind.ESNext, target: ScriptTarget.ES2022, experimentalDecorators: true, emitDecoratorMetadata: true } }).outputText
}

/** Puts the module `app.module.js` into a project that has the package. */
export async function writeAppModule (folder: PackageFolder): Promise<void> {
  await writeFile(folder.join('app.module.js'), compiled(readFileSync(new URL('app.module.ts', import.meta.url), 'utf8')))
}
