import fc from 'fast-check'
import t from 'tap'
import { OpenList, type Open } from '../../src/instrumentation/open-list.js'

interface Walk extends Open<Walk> { dog?: string }

t.test('a list of what is open has what was added and not deleted, oldest first, whatever the order', async (t) => {
  fc.assert(fc.property(fc.array(fc.nat(12), { maxLength: 60 }), (steps) => {
    const list = new OpenList<Walk>()
    const all = Array.from({ length: 13 }, () => ({}) as Walk)
    const model = new Set<Walk>()
    for (const step of steps) {
      const walk = all[step] as Walk
      if (model.delete(walk)) list.delete(walk)
      else {
        model.add(walk)
        list.add(walk)
      }
      const here = [...list]
      if (here.length !== model.size || here.some((each, i) => each !== [...model][i]) || list.size !== model.size || list.oldest !== here[0]) return false
      if (all.some((each) => each.list !== (model.has(each) ? list : undefined))) return false
      if (!model.has(walk) && (walk.older !== undefined || walk.newer !== undefined)) return false
    }
    return true
  }))
  t.pass('of 13 that come and go')
})
