import * as ast from 'dockerfile-ast'
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, posix, relative } from 'node:path'
import { promisify } from 'node:util'

/** A stage of a Dockerfile, carried out. */
export interface Image {
  /** What stands after FROM. */
  readonly base: string
  /** The folder that is its '/'. */
  readonly root: string
  workdir: string
  user: string
  readonly env: Record<string, string>
  entrypoint: string[]
  cmd: string[]
}

/**
 * Carries out a Dockerfile without Docker: each stage in an empty folder of its own, with the programs of this machine in the place of its base image's.
 * @param file the Dockerfile, beside which its .dockerignore stands as BuildKit reads it
 * @param context the folder that COPY copies from
 * @param folder where the stages are to be
 * @returns the stages, the last one last
 * @throws Error for an instruction or a flag that is not known here, and for what fails
 */
export async function build (file: string, context: string, folder: string): Promise<Image[]> {
  const ignored = ignores(await readFile(`${file}.dockerignore`, 'utf8'))
  const images: Image[] = []
  const names = new Map<string, Image>()
  for (const instruction of ast.DockerfileParser.parse(await readFile(file, 'utf8')).getInstructions()) {
    const keyword = instruction.getKeyword()
    const words = instruction.getArguments().map((argument) => argument.getValue())
    const image = images.at(-1)
    if (keyword === 'FROM') {
      const [base = '', as, name, ...more] = words
      if (more.length > 0 || (as !== undefined && as.toUpperCase() !== 'AS') || names.has(base)) throw unknown(instruction)
      const stage: Image = { base, root: await mkdtemp(join(folder, 'stage-')), workdir: '/', user: 'root', env: {}, entrypoint: [], cmd: [] }
      images.push(stage)
      if (name !== undefined) names.set(name, stage)
      continue
    }
    if (image === undefined) throw unknown(instruction)
    switch (keyword) {
      case 'WORKDIR':
        image.workdir = posix.resolve(image.workdir, words[0] as string)
        await mkdir(join(image.root, image.workdir), { recursive: true })
        break
      case 'ENV':
        for (const property of (instruction as ast.Env).getProperties()) image.env[property.getName()] = property.getValue() ?? ''
        break
      case 'USER':
        image.user = words[0] as string
        break
      case 'ENTRYPOINT':
        image.entrypoint = exec(instruction as ast.Entrypoint)
        break
      case 'CMD':
        image.cmd = exec(instruction as ast.Cmd)
        break
      case 'RUN': {
        if ((instruction as ast.Run).getFlags().length > 0) throw unknown(instruction)
        const { PATH = '', HOME = '' } = process.env
        // Of the lines of a command the \ at their ends is the Dockerfile's.
        const command = instruction.getRawArgumentsContent()?.replace(/\\\n/g, ' ') ?? ''
        await promisify(execFile)('env', [...bare({ PATH, HOME, ...image.env }), 'sh', '-c', command], { cwd: join(image.root, image.workdir), maxBuffer: Infinity })
        break
      }
      case 'COPY': {
        const flags = (instruction as ast.Copy).getFlags()
        const from = flags[0]?.getName() === 'from' ? names.get(flags[0].getValue() ?? '') : undefined
        if (flags.length > 1 || (flags.length === 1 && from === undefined)) throw unknown(instruction)
        const to = words.pop() as string
        for (const word of words) {
          const source = from === undefined ? join(context, word) : join(from.root, posix.resolve('/', word))
          await copy(source, join(image.root, posix.resolve(image.workdir, to)), to.endsWith('/'), (path) => from === undefined && ignored(relative(context, path)))
        }
        break
      }
      default: throw unknown(instruction)
    }
  }
  return images
}

/** The arguments of `env` for an environment of nothing else: tap adds its own to that of each process that a test starts. */
export function bare (variables: Record<string, string>): string[] {
  return ['-i', ...Object.entries(variables).map(([name, value]) => `${name}=${value}`)]
}

function unknown (instruction: ast.Instruction): Error {
  return new Error(`not known here: ${instruction.toString()}`)
}

/** @throws Error where it is in the form for a shell, which would keep signals from the program */
function exec (instruction: ast.Cmd | ast.Entrypoint): string[] {
  if (instruction.getOpeningBracket() === null) throw unknown(instruction)
  return instruction.getJSONStrings().map((text) => text.getJSONValue())
}

/** A file to a name or into a folder, or what is in a folder into another (https://docs.docker.com/reference/dockerfile/#copy). */
async function copy (source: string, to: string, intoFolder: boolean, ignored: (path: string) => boolean): Promise<void> {
  if (ignored(source) && !(await stat(source)).isDirectory()) throw new Error(`the .dockerignore leaves out ${source}`)
  if ((await stat(source)).isDirectory()) {
    await mkdir(to, { recursive: true })
    for (const name of await readdir(source)) {
      const path = join(source, name)
      if ((await stat(path)).isDirectory()) await copy(path, join(to, name), false, ignored)
      else if (!ignored(path)) await copy(path, join(to, name), false, ignored)
    }
  } else {
    const target = intoFolder ? join(to, basename(source)) : to
    await mkdir(dirname(target), { recursive: true })
    await cp(source, target)
  }
}

/** @returns whether a path is left out: the last line that speaks of it, or of a folder it is in, decides (https://docs.docker.com/build/concepts/context/#dockerignore-files) */
function ignores (text: string): (path: string) => boolean {
  const rules = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => {
    const glob = line.replace(/^!/, '')
    if (!/^[\w./*-]+$/.test(glob)) throw new Error(`not known here: the pattern ${line}`)
    const pattern = glob.split(/(\*\*\/|\*)/).map((part) => part === '**/' ? '(?:.*/)?' : part === '*' ? '[^/]*' : part.replace(/[.]/g, '\\.')).join('')
    return { out: !line.startsWith('!'), pattern: new RegExp(`^${pattern}(?:/.*)?$`) }
  })
  return (path) => rules.filter(({ pattern }) => pattern.test(path)).at(-1)?.out ?? false
}
