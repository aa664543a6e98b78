import fc from 'fast-check'
import t from 'tap'
import { ExchangeList, type Exchange } from '../../src/http/exchange.js'

t.test('a list of exchanges has what was added and not deleted, oldest first, whatever the order', async (t) => {
  fc.assert(fc.property(fc.array(fc.nat(12), { maxLength: 60 }), (steps) => {
    const list = new ExchangeList()
    const all = Array.from({ length: 13 }, () => ({}) as Exchange)
    const model = new Set<Exchange>()
    for (const step of steps) {
      const exchange = all[step] as Exchange
      if (model.delete(exchange)) list.delete(exchange)
      else {
        model.add(exchange)
        list.add(exchange)
      }
      const here = [...list]
      if (here.length !== model.size || here.some((each, i) => each !== [...model][i]) || list.size !== model.size || list.oldest !== here[0]) return false
      if (all.some((each) => each.list !== (model.has(each) ? list : undefined))) return false
      if (!model.has(exchange) && (exchange.older !== undefined || exchange.newer !== undefined)) return false
    }
    return true
  }))
  t.pass('of 13 exchanges that come and go')
})
