import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { takesGzip } from '../exposition/index.js'
import { RANGES, Viewers, assets, type Asset, type Live, type Range, type View } from '../live/index.js'
import { addVary, routeOf } from './route.js'
import type { RouteSettings } from './settings.js'

const compress = promisify(gzip)

/** Everything comes from this origin and from files: no script or style of a label can run, and nobody may frame the page. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
const COMMON = { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' }
/** Milliseconds for which somebody who asked for the JSON is taken for somebody who looks. */
const LOOKING = 30_000
/** Answers that are kept until the next sample. */
const MOST_ANSWERS = 50
const names = RANGES.map(({ range }) => range)

interface Answer {
  readonly text: string
  compressed: Promise<Buffer> | undefined
}

/** Serves the live page of a history: the page, its script and style, its numbers as JSON and as a stream of events. */
export function serveLive (fastify: FastifyInstance, settings: RouteSettings, live: Live): void {
  const { path } = settings
  const viewers = new Viewers(live)
  const answers = new Map<string, Answer>()
  let unwatch: (() => void) | undefined
  let looking: NodeJS.Timeout | undefined
  fastify.addHook('preClose', async () => {
    clearTimeout(looking)
    unwatch?.()
    viewers.end()
  })
  const serve = (url: string, handler: (request: FastifyRequest, reply: FastifyReply) => unknown) => {
    // The schema of a response is for that of the endpoint.
    const { schema: { response: _, ...schema } = {}, ...route } = routeOf(fastify, settings)
    fastify.route({ ...route, schema, exposeHeadRoute: false, method: 'GET', url, handler })
  }
  serve(path, async (request, reply) => {
    const [place = '', query] = (request.raw.url ?? '').split('?')
    // Where Fastify ignores a slash at the end, what the page refers to would be elsewhere.
    if (place.endsWith('/')) return await reply.redirect(`../${path.split('/').at(-1) ?? ''}${query === undefined ? '' : `?${query}`}`)
    reply.headers({ ...COMMON, 'content-security-policy': POLICY, 'cache-control': 'no-store' })
    return await reply.type('text/html; charset=utf-8').send(assets.html.replaceAll('__LIVE__', escaped(place.split('/').at(-1) ?? '')))
  })
  serve(`${path}/page.js`, (request, reply) => sendAsset(request, reply, assets.js, 'text/javascript; charset=utf-8'))
  serve(`${path}/page.css`, (request, reply) => sendAsset(request, reply, assets.css, 'text/css; charset=utf-8'))
  serve(`${path}.json`, async (request, reply) => {
    const view = viewOf(request)
    if (typeof view === 'string') return await refuse(reply, 400, view)
    unwatch ??= live.watch(() => answers.clear())
    clearTimeout(looking)
    looking = setTimeout(() => {
      unwatch?.()
      unwatch = undefined
      answers.clear()
    }, LOOKING).unref()
    await live.freshen()
    const key = JSON.stringify(view)
    const answer = answers.get(key) ?? { text: JSON.stringify(live.whole(view)), compressed: undefined }
    if (answers.size < MOST_ANSWERS) answers.set(key, answer)
    reply.headers({ ...COMMON, 'cache-control': 'no-store' }).type('application/json; charset=utf-8')
    return await sendText(request, reply, answer.text, async () => await (answer.compressed ??= compress(answer.text)))
  })
  serve(`${path}/events`, async (request, reply) => {
    const view = viewOf(request)
    if (typeof view === 'string') return await refuse(reply, 400, view)
    if (viewers.isFull) return await refuse(reply.header('retry-after', '30'), 503, 'as many look as there is room for; ask for the JSON, or try again')
    const stream = viewers.add(view)
    reply.raw.once('close', () => stream.destroy())
    // nginx would hold the events back.
    reply.headers({ ...COMMON, 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
    return await reply.type('text/event-stream; charset=utf-8').send(stream)
  })
}

async function sendAsset (request: FastifyRequest, reply: FastifyReply, { text, gzip, hash }: Asset, type: string): Promise<FastifyReply> {
  // The page asks for it by its hash, so another version has another address.
  reply.headers({ ...COMMON, 'cache-control': 'private, max-age=31536000, immutable', etag: `"${hash}"` }).type(type)
  return await sendText(request, reply, text, async () => Buffer.from(gzip, 'base64'))
}

/** Sends a text, or what it is compressed where the client takes that. */
async function sendText ({ raw: { headers } }: FastifyRequest, reply: FastifyReply, text: string, compressed: () => Promise<Buffer>): Promise<FastifyReply> {
  addVary(reply, 'accept-encoding')
  if (!takesGzip(headers['accept-encoding'] as string | undefined)) return await reply.send(text)
  return await reply.header('content-encoding', 'gzip').send(await compressed())
}

async function refuse (reply: FastifyReply, statusCode: number, message: string): Promise<FastifyReply> {
  return await reply.code(statusCode).headers(COMMON).type('text/plain; charset=utf-8').send(`${message}\n`)
}

/** What a request asks for, or what is wrong with it. The query is read here: a schema of the endpoint may leave none of it. */
function viewOf ({ raw: { url = '' } }: FastifyRequest): View | string {
  const query = new URLSearchParams(url.split('?')[1] ?? '')
  const range = query.get('range') ?? names[0] as Range
  if (!isRange(range)) return `range must be one of ${names.join(', ')}, got ${JSON.stringify(range.slice(0, 50))}`
  const [method, route] = [query.get('method'), query.get('route')]
  if ((method === null) !== (route === null)) return 'method and route must be given together, or neither of them'
  return { range, route: method === null || route === null ? undefined : { method, route } }
}

function isRange (range: string): range is Range {
  return (names as readonly string[]).includes(range)
}

function escaped (text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
