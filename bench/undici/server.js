// What the outgoing requests of the bench ask.
import { createServer } from 'node:http'
import process from 'node:process'

const server = createServer((_request, response) => { response.end('{"ok":true}') }).listen(0, '127.0.0.1', () => { process.send(server.address().port) })
server.keepAliveTimeout = 0
process.on('disconnect', () => process.exit())
