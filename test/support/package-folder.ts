import { execFile } from 'node:child_process'
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort } from './postgres.js'
import { startProgram, type Test } from './program.js'
import { temporaryFolder } from './temporary-folder.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const modules = join(root, 'node_modules')
const env: NodeJS.ProcessEnv = { ...process.env, NODE_OPTIONS: '' }
delete env['NODE_TEST_CONTEXT']
/** The least that a project is. */
const PROJECT = `mkdir node_modules\necho '${JSON.stringify({ name: 'consumer', type: 'module', private: true })}' > package.json`

/**
 * Makes an empty project with the tarball of what was built last in it, and what else it needs as links, so that
 * nothing is fetched; removed at teardown.
 * @param begin a script of sh that makes the project's package.json and node_modules
 */
export async function unpackPackage (t: Pick<Test, 'teardown'>, begin = PROJECT): Promise<PackageFolder> {
  const parent = await temporaryFolder(t, 'package')
  const path = join(parent, 'walks')
  await mkdir(path)
  const [packed] = JSON.parse(await output(root, 'npm', ['pack', '--json', '--ignore-scripts', '--loglevel=error', '--pack-destination', parent])) as [{ filename: string, files: Array<{ path: string }> }]
  const folder = new PackageFolder(path, packed.files.map(({ path }) => path))
  await folder.shell(begin)
  await folder.output('tar', ['-xzf', join(parent, packed.filename)])
  for (const name of await readdir(modules)) if (!name.startsWith('.')) await symlink(join(modules, name), folder.join('node_modules', name))
  await symlink(folder.join('package'), folder.join('node_modules/fastify-prometheus'))
  return folder
}

/** A project that has the package as npm would install it. */
export class PackageFolder {
  readonly path: string
  /** The files that the tarball has. */
  readonly files: readonly string[]

  constructor (path: string, files: readonly string[]) {
    this.path = path
    this.files = files
  }

  join (...parts: string[]): string {
    return join(this.path, ...parts)
  }

  /** What a program printed. @throws Error with `stdout` and `stderr` where it failed */
  output (program: string, args: readonly string[], more: Record<string, string> = {}): Promise<string> {
    return output(this.path, program, args, more)
  }

  shell (script: string): Promise<string> {
    return this.output('sh', ['-ec', script])
  }

  /** Writes files, by their paths in the project, and makes the folders that they are in. */
  async write (files: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(this.join(path)), { recursive: true })
      await writeFile(this.join(path), text)
    }
  }

  /** Writes a file, runs it, and gives what it printed. @param flags of Node */
  async node (file: string, code: string, ...flags: string[]): Promise<string> {
    await this.write({ [file]: code })
    return this.output(process.execPath, [...flags, file])
  }

  /**
   * Writes a file that is a Fastify with a logger, starts it, and says where it listens; stopped at teardown.
   * @param more of its environment
   */
  async start (t: Test, file: string, code: string, more: Record<string, string> = {}): Promise<string> {
    await this.write({ [file]: code })
    return await this.run(t, [file], more)
  }

  /**
   * Runs a program of Node's that is a Fastify with a logger, and says where it listens; stopped at teardown.
   * @param args its file, and what it is given
   */
  async run (t: Test, args: readonly string[], more: Record<string, string> = {}): Promise<string> {
    const port = await freePort()
    const child = await startProgram(t, process.execPath, args, 'Node', { cwd: this.path, env: { ...env, ...more, PORT: String(port) }, stdio: ['ignore', 'pipe', 'pipe'] })
    const said: string[] = []
    child?.stderr?.on('data', (text) => said.push(String(text)))
    for await (const line of createInterface(child?.stdout as NodeJS.ReadableStream)) {
      said.push(line)
      if (line.includes('Server listening at')) {
        child?.stdout?.resume()
        return `http://127.0.0.1:${port}`
      }
    }
    throw new Error(`${args.join(' ')} did not listen:\n${said.join('\n')}`)
  }
}

async function output (cwd: string, program: string, args: readonly string[], more: Record<string, string> = {}): Promise<string> {
  return (await promisify(execFile)(program, args, { cwd, env: { ...env, ...more } })).stdout
}
