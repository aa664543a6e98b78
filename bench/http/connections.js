import { once } from 'node:events'
import { connect } from 'node:net'

const COUNT = 16
const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')

/** A few connections that stay, with one request at a time on each. */
export class Connections {
  #sockets = []
  #onData = () => {}

  /** Opens connections to a server of this machine. */
  static async open (port) {
    const connections = new Connections()
    for (let i = 0; i < COUNT; i++) {
      const socket = connect(port, '127.0.0.1').on('data', () => connections.#onData(socket))
      await once(socket, 'connect')
      connections.#sockets.push(socket)
    }
    return connections
  }

  /**
   * Sends requests and resolves when all are answered. It never sleeps: waking a sleeping client is paid for by the
   * server, in the system call that sends the response, and a slower server would pay it more often.
   */
  load (requests) {
    let left = requests
    let answered = 0
    return new Promise((resolve) => {
      const spin = () => { if (answered < requests) setImmediate(spin) }
      this.#onData = (socket) => {
        if (left-- > 0) socket.write(REQUEST)
        if (++answered === requests) resolve()
      }
      for (const socket of this.#sockets) if (left-- > 0) socket.write(REQUEST)
      spin()
    })
  }

  close () {
    for (const socket of this.#sockets) socket.destroy()
  }
}
