import multipart from '@fastify/multipart'
import t from 'tap'
import { exchange, service } from '../support/http.js'
import { checkBooks, scrape } from '../support/neighbours.js'

/*
 * Node runs the microtasks between the last bytes of a body and the end of its message, so a handler that has read a file to its end may have its answer
 * sent, and closed, before `request.complete`.
 */
t.test('@fastify/multipart: an upload that came whole has a size, however fast it is answered', async (t) => {
  const { port, url } = await service(t, {
    routes: (app) => {
      app.register(multipart, { limits: { fileSize: 1000 } })
      app.register(async (app) => {
        app.post('/file', async (request) => (await (await request.file())?.toBuffer())?.length)
        app.post('/refused', async (_request, reply) => reply.code(403).send('refused'))
      })
    }
  })
  let sent = 0
  for (const [path, bytes, status] of [['/file', 10, 200], ['/file', 500, 200], ['/file', 5000, 413], ['/refused', 10, 403]] as const) {
    const body = `--dog\r\nContent-Disposition: form-data; name="file"; filename="dog.txt"\r\n\r\n${'x'.repeat(bytes)}\r\n--dog--\r\n`
    sent += body.length
    const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=dog\r\nContent-Length: ${body.length}\r\n\r\n`
    t.match(await exchange(port, head + body), new RegExp(`^HTTP/1.1 ${status}`))
  }
  const page = await scrape(url)
  t.equal(page.sum('http_request_size_bytes_count'), 4)
  t.equal(page.sum('http_request_size_bytes_sum'), sent)
  checkBooks(t, page, 4)
})
