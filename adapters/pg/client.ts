import type { Client as PgClient, ClientClass } from './driver.js'
import { observeQuery } from './query.js'
import type { Recorder } from './recorder.js'
import { disguised, shadow } from '../../src/shadow.js'

/**
 * A client class whose connections and queries are recorded. It finds its base's methods anew each time, so what another
 * instrumentation patches there later is still met.
 * @param opened called when a client has connected
 */
export function recordedClass (Base: ClientClass, recorder: Recorder, opened: (client: PgClient) => void): ClientClass {
  // Its name here is what stack traces show of it.
  class Client extends Base {}
  const methods = {
    connect (this: PgClient, ...args: unknown[]) {
      if (recorder.active) observeConnect(recorder, this, args, opened)
      return Reflect.apply(Base.prototype.connect, this, args)
    },
    query (this: PgClient, ...args: unknown[]) {
      return recorder.active ? observeQuery(recorder, this, Base.prototype.query, args) : Reflect.apply(Base.prototype.query, this, args)
    }
  }
  shadow(Client.prototype, 'connect', disguised(Base.prototype.connect, methods.connect))
  shadow(Client.prototype, 'query', disguised(Base.prototype.query, methods.query))
  return disguised(Base, Client)
}

/** Records the queries of a client that was made before; the function it gives back stops that. */
export function recordClient (client: PgClient, recorder: Recorder): () => void {
  const { query } = client
  return shadow(client, 'query', disguised(query, function (this: PgClient, ...args: unknown[]) {
    return recorder.active && this === client ? observeQuery(recorder, this, query, args) : Reflect.apply(query, this, args)
  }))
}

/** A pool always connects with a callback (pg-pool/index.js:268); what else calls connect is refused by pg. */
function observeConnect (recorder: Recorder, client: PgClient, args: unknown[], opened: (client: PgClient) => void): void {
  const callback = args[0]
  if (typeof callback !== 'function') return
  const start = recorder.now()
  const connected = function (this: unknown, ...results: unknown[]) {
    if (results[0]) {
      recorder.connectionFailed(results[0])
    } else {
      recorder.connectionOpened(start)
      opened(client)
    }
    return Reflect.apply(callback, this, results)
  }
  args[0] = connected
}
