import { overlayMethod, type CacheRecorder } from '../../src/adapter.js'
import { answered, commandOf, executed, isReply, refused, type RedisCommand } from './redis-commands.js'

/** A Redis or a Cluster of ioredis, as this adapter sees it. */
export interface Ioredis {
  sendCommand (command: Command, stream?: object, node?: object): unknown
  readonly isCluster?: boolean
}

/** A command of ioredis on its way. The client calls `resolve` with the reply as it came, before it is decoded. */
interface Command {
  readonly name: string
  readonly args: readonly unknown[]
  /** Whether a pipeline has it between MULTI and EXEC. */
  readonly inTransaction?: boolean
  resolve (reply: unknown): unknown
  reject (reason: unknown): unknown
}

/** A command that was sent, once. */
interface Sent {
  readonly is: RedisCommand
  readonly began: number
  readonly exemplar: ReturnType<CacheRecorder['exemplar']>
  over: boolean
}

/** On what stands in a command for its `resolve`: the command as it was sent. A WeakMap costs more than all the rest. */
const SENT = Symbol('fastify-prometheus.sent')

type Resolve = Command['resolve'] & { [SENT]?: Sent }

/** The commands that one connection has queued since MULTI, as their replies tell. */
interface Transaction {
  queued: RedisCommand[] | undefined
}

/** The commands of one run of a cluster's pipeline that have no reply, and those that failed. */
interface Run extends Transaction {
  open: number
  readonly failed: Array<() => void>
}

export function isIoredis (value: object): value is Ioredis {
  const { sendCommand, pipeline, defineCommand } = value as { sendCommand?: unknown, pipeline?: unknown, defineCommand?: unknown }
  return typeof sendCommand === 'function' && typeof pipeline === 'function' && typeof defineCommand === 'function'
}

/**
 * Observes what goes through `sendCommand`: all that a client sends, pipelines and its own handshake included. A command
 * goes through it again when it is sent again, and is counted once.
 */
export function observeIoredis (redis: Ioredis, recorder: CacheRecorder): () => void {
  /** Commands of a cluster's pipelines, which are sent again with new promises. */
  const repeated = new WeakMap<Command, Sent>()
  const runs = new WeakMap<object, Run>()
  const connection: Transaction = { queued: undefined }

  function observe (command: Command, stream: object | undefined): void {
    if ((command.resolve as Resolve)[SENT] !== undefined) return
    const run = redis.isCluster === true && stream !== undefined ? runOf(stream) : undefined
    let sent = run === undefined ? undefined : repeated.get(command)
    if (sent === undefined) {
      const is = commandOf(command.name, command.args)
      if (is === undefined) return
      sent = { is, began: recorder.now(), exemplar: recorder.exemplar(), over: false }
      if (run !== undefined) repeated.set(command, sent)
    }
    listen(command, sent, run)
  }

  function runOf (stream: object): Run {
    const run = runs.get(stream) ?? { queued: undefined, open: 0, failed: [] }
    runs.set(stream, run)
    return run
  }

  function listen (command: Command, sent: Sent, run: Run | undefined): void {
    const { resolve, reject } = command
    const transaction = run ?? connection
    if (run !== undefined) run.open++
    let settled = false
    const observed: Resolve = (reply) => {
      // The client decodes the reply here, and calls `reject` if it cannot.
      const result = resolve(reply)
      if (settled) return result
      settled = true
      if (!sent.over) {
        sent.over = true
        replied(sent, reply, transaction)
      }
      if (run !== undefined) settle(run)
      return result
    }
    observed[SENT] = sent
    command.resolve = observed
    command.reject = (reason) => {
      if (!settled) {
        settled = true
        const fail = () => {
          // A cluster that sends a pipeline again has given its commands new promises; and so does one that then does not.
          if (sent.over || (command.resolve !== observed && isWorthAgain(reason))) return
          sent.over = true
          failed(command, sent, reason, transaction)
        }
        if (run === undefined) {
          fail()
        } else {
          run.failed.push(fail)
          settle(run)
        }
      }
      return reject(reason)
    }
  }

  /** The cluster decides about a pipeline in the microtasks that follow the last of its replies. */
  function settle (run: Run): void {
    if (--run.open > 0 || run.failed.length === 0) return
    const failed = run.failed.splice(0)
    setImmediate(() => { for (const fail of failed) fail() })
  }

  function replied ({ is, began, exemplar }: Sent, reply: unknown, transaction: Transaction): void {
    if (!recorder.active) return
    try {
      const { queued } = transaction
      if (is.control !== undefined) {
        transaction.queued = is.control === 'multi' ? [] : undefined
        if (is.control === 'exec') executed(recorder, queued ?? [], began, reply, exemplar)
      } else if (queued !== undefined && isQueued(reply)) {
        queued.push(is)
      } else {
        // A connection that was lost has forgotten its transaction.
        transaction.queued = undefined
        answered(recorder, is, began, reply, exemplar)
      }
    } catch (error) {
      recorder.report(error)
    }
  }

  function failed (command: Command, { is, began, exemplar }: Sent, reason: unknown, transaction: Transaction): void {
    if (!recorder.active) return
    recorder.record(() => {
      const { queued } = transaction
      if (is.control !== undefined || !isReply(reason)) transaction.queued = undefined
      if (is.control !== undefined && is.control !== 'exec') return
      // What Redis refuses to queue makes EXEC fail, and that is counted.
      if (is.control === undefined && (command.inTransaction === true || (queued !== undefined && isReply(reason)))) return
      // A script that Redis does not know is sent again, whole, as another command.
      if (is.operation === 'script' && isOfDefinedScript(command) && isReply(reason) && reason.message.startsWith('NOSCRIPT')) return
      refused(recorder, is, began, reason, exemplar)
    })
  }

  return overlayMethod(redis, 'sendCommand', (under) => function (...args) {
    if (recorder.active) {
      try {
        observe(args[0] as Command, args[1] as object | undefined)
      } catch (error) {
        recorder.report(error)
      }
    }
    return Reflect.apply(under.sendCommand, this, args)
  })
}

/** Whether a cluster sends a command again that failed so (ioredis/built/cluster/index.js, handleError). */
function isWorthAgain (reason: unknown): boolean {
  return reason instanceof Error && /^(?:MOVED|ASK|TRYAGAIN|CLUSTERDOWN) |^Connection is closed[.]$/.test(reason.message)
}

function isQueued (reply: unknown): boolean {
  return (typeof reply === 'string' || Buffer.isBuffer(reply)) && reply.length === 6 && String(reply) === 'QUEUED'
}

/** Scripts of defineCommand have a class of their own, which extends that of commands. */
function isOfDefinedScript (command: Command): boolean {
  return Object.getPrototypeOf(Object.getPrototypeOf(command)) !== Object.prototype
}
