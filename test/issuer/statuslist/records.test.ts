import { describe, expect, test } from '@jest/globals'
import { changeRecords, parseRecords } from '../../../src/issuer/statuslist/records.ts'
import { createListStore } from '../world.ts'

const record = (digit: string) => ({
  id: digit.repeat(32),
  uri: `https://issuer.example/${digit}`,
  size: 64,
  createdTime: '2027-01-01T00:00:00Z',
})

describe('the records of the lists', () => {
  test('are changed again on top of what somebody else wrote in between', async () => {
    let once = true
    const store = createListStore(() => {
      if (!once) return
      once = false
      void store.write([record('a')], undefined)
    })
    const changed = await changeRecords(
      store,
      (records) => [...records, record('b')],
      () => true,
    )
    expect(changed.ok).toBe(true)
    expect(store.records().map(({ id }) => id[0])).toEqual(['a', 'b'])
  })

  test('are not written by a replica that stopped leading during the read', async () => {
    const store = createListStore()
    const answers = [true, false]
    const changed = await changeRecords(
      store,
      (records) => [...records, record('b')],
      () => answers.shift() ?? false,
    )
    expect(changed.ok).toBe(false)
    expect(store.records()).toEqual([])
  })

  test('are read strictly: what is not one of ours is left out', () => {
    const good = record('a')
    const bad = [null, 1, {}, { ...good, id: 'A'.repeat(32) }, { ...good, size: 7 }, { ...good, size: 2 ** 30 }, { ...good, uri: 1 }]
    expect(parseRecords([...bad, good])).toEqual([good])
    expect(parseRecords('no')).toEqual([])
  })
})
