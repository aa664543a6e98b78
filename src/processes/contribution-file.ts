import { open, type FileHandle } from 'node:fs/promises'
import { PREAMBLE, NoContribution, readBody, readHead, readPreamble, type Contributed, type Head } from './contribution.js'

interface Body {
  readonly at: number
  readonly length: number
  readonly crc: number
}

/** A contribution that was opened. It can be read even if somebody removes or replaces its file meanwhile. */
export class ContributionFile {
  readonly head: Head
  readonly #handle: FileHandle | undefined
  readonly #bytes: Buffer | undefined
  readonly #body: Body

  private constructor (source: FileHandle | Buffer, head: Head, body: Body) {
    this.#handle = Buffer.isBuffer(source) ? undefined : source
    this.#bytes = Buffer.isBuffer(source) ? source : undefined
    this.head = head
    this.#body = body
  }

  /** @returns undefined if there is no such file @throws NoContribution for a file of other content */
  static async open (path: string): Promise<ContributionFile | undefined> {
    let handle: FileHandle
    try {
      handle = await open(path, 'r')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
    try {
      const { size } = await handle.stat()
      const { header, body, crcOfBody } = readPreamble(await read(handle, 0, Math.min(PREAMBLE, size)))
      const at = PREAMBLE + ((header + 7) & ~7)
      if (size !== at + body) throw new NoContribution(`it has ${size} bytes, and says that it has ${at + body}`)
      return new ContributionFile(handle, readHead(await read(handle, 0, PREAMBLE + header)), { at, length: body, crc: crcOfBody })
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** One that is in memory. @param bytes which begin at a multiple of 8 */
  static of (bytes: Buffer): ContributionFile {
    const { header, body, crcOfBody } = readPreamble(bytes)
    return new ContributionFile(bytes, readHead(bytes), { at: PREAMBLE + ((header + 7) & ~7), length: body, crc: crcOfBody })
  }

  /** The families, one by one. @throws NoContribution */
  async families (): Promise<Iterable<Contributed>> {
    const { at, length, crc } = this.#body
    return readBody(this.#handle === undefined ? (this.#bytes as Buffer).subarray(at, at + length) : await read(this.#handle, at, length), crc, this.head)
  }

  async close (): Promise<void> {
    await this.#handle?.close()
  }
}

/** Bytes of a file, that begin at a multiple of 8 in memory. */
async function read (handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.from(new ArrayBuffer(length))
  let done = 0
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, at + done)
    if (bytesRead === 0) throw new NoContribution('it is cut off')
    done += bytesRead
  }
  return bytes
}
