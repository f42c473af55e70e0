import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createQueue, type Queue, type QueueDeps } from '../../src/kube/queue.ts'
import { priorities, type WorkPriority } from '../../src/kube/waiting.ts'
import { milliseconds, seconds } from '../../src/lib/instant.ts'
import { entropy, heldClock, keepingLog, settled } from './support.ts'

function world(more: Partial<QueueDeps> = {}) {
  const clock = heldClock()
  const log = keepingLog()
  const queue = createQueue({ clock, timers: clock, entropy, log, concurrency: 1, reserved: 0, ...more })
  return { clock, log, queue }
}

/** Workers whose end the test decides. */
function heldWork() {
  const open = new Map<string, () => void>()
  const started: string[] = []
  const work = (key: string): Promise<void> => {
    started.push(key)
    return new Promise((resolve) => open.set(key, resolve))
  }
  const finish = async (key: string): Promise<void> => {
    open.get(key)?.()
    open.delete(key)
    await settled()
  }
  return { work, started, finish, open }
}

async function orderOf(queue: Queue): Promise<string[]> {
  const order: string[] = []
  void queue.run(async (key) => void order.push(key))
  await settled()
  return order
}

describe('order', () => {
  test('what ends credentials goes before what makes them, and both before looking again', async () => {
    const { queue } = world()
    queue.add('a/1', 'resync')
    queue.add('a/2', 'new')
    queue.add('a/3', 'end')
    expect(await orderOf(queue)).toEqual(['a/3', 'a/2', 'a/1'])
  })

  test('a waiting key can be raised and is worked on once', async () => {
    const { queue } = world()
    queue.add('a/1', 'new')
    queue.add('a/2', 'resync')
    queue.add('a/2', 'end')
    queue.add('a/2', 'resync')
    expect(queue.depth()).toMatchObject({ end: 1, new: 1, resync: 0 })
    expect(await orderOf(queue)).toEqual(['a/2', 'a/1'])
  })

  test('of the workers no namespace gets more than its share, and what it may not have yet is kept for it', async () => {
    const { queue } = world({ concurrency: 6, reserved: 3, share: { end: 3, ordinary: 2 } })
    const { work, started, finish } = heldWork()
    for (const key of ['a/1', 'a/2', 'a/3', 'a/4', 'b/1', 'b/2']) queue.add(key, 'resync')
    void queue.run(work)
    await settled()
    // three that are no ends at a time, two of them of one namespace
    expect(started).toEqual(['a/1', 'b/1', 'a/2'])
    for (const key of ['a/5', 'a/6', 'c/1']) queue.add(key, 'end')
    await settled()
    expect(started).toEqual(['a/1', 'b/1', 'a/2', 'a/5', 'c/1'])
    queue.add('b/3', 'end')
    await settled()
    expect(started.at(-1)).toBe('b/3')
    await finish('a/1')
    expect(started.at(-1)).toBe('a/6')
    for (let more = 0; more < 12; more += 1) for (const key of [...started]) await finish(key)
    expect(new Set(started).size).toBe(10)
    expect(queue.depth()).toMatchObject({ end: 0, new: 0, resync: 0, working: 0 })
  })

  test('keys that wait for somebody else take no place, of what ends or of what does not', async () => {
    const { queue } = world({ concurrency: 2, reserved: 1 })
    const { work, started, finish } = heldWork()
    for (const key of ['a/1', 'b/1', 'c/1']) queue.add(key)
    void queue.run(work)
    await settled()
    expect(started).toEqual(['a/1'])
    queue.lend(1)
    await settled()
    expect(started).toEqual(['a/1', 'b/1'])
    await finish('a/1')
    expect(started).toEqual(['a/1', 'b/1', 'c/1'])
    queue.lend(0)
    await finish('b/1')
    queue.add('d/1')
    await settled()
    expect(started).toEqual(['a/1', 'b/1', 'c/1'])
    await finish('c/1')
    expect(started.at(-1)).toBe('d/1')
  })

  test('namespaces take turns', async () => {
    const { queue } = world()
    for (const key of ['a/1', 'a/2', 'a/3', 'b/1', 'b/2', 'c/1']) queue.add(key)
    expect(await orderOf(queue)).toEqual(['a/1', 'b/1', 'c/1', 'a/2', 'b/2', 'a/3'])
  })
})

describe('one key', () => {
  test('added while in work is worked on once more, afterwards', async () => {
    const { queue } = world({ concurrency: 3 })
    const held = heldWork()
    void queue.run(held.work)
    queue.add('a/1')
    queue.add('a/1', 'resync')
    queue.add('a/1', 'end')
    await settled()
    expect(held.started).toEqual(['a/1'])
    await held.finish('a/1')
    expect(held.started).toEqual(['a/1', 'a/1'])
    await held.finish('a/1')
    expect(held.started).toHaveLength(2)
  })

  test('is retried later and later, until it is forgotten', async () => {
    const { queue, clock } = world({ backoff: { first: milliseconds(1000), cap: seconds(10) } })
    let fails = true
    const times: number[] = []
    const start = clock.monotonic()
    void queue.run(async (key) => {
      times.push(clock.monotonic() - start)
      if (fails) queue.retry(key)
      else queue.forget(key)
    })
    queue.add('a/1')
    await clock.advance(seconds(30))
    // half the ceiling plus half of the other half, as the random number is one half
    expect(times).toEqual([0, 750, 2250, 5250, 11_250, 18_750, 26_250])
    fails = false
    await clock.advance(seconds(10))
    fails = true
    times.length = 0
    queue.add('a/1')
    await clock.advance(milliseconds(750))
    expect(times).toHaveLength(2)
  })

  test('asked for at several times comes at the earliest', async () => {
    const { queue, clock } = world()
    queue.addAfter('a/1', seconds(5))
    queue.addAfter('a/1', seconds(2), 'end')
    queue.addAfter('a/1', seconds(9), 'resync')
    expect(queue.depth()).toMatchObject({ delayed: 1 })
    await clock.advance(seconds(2))
    expect(queue.depth()).toMatchObject({ delayed: 0, end: 1 })
    await clock.advance(seconds(3))
    expect(queue.oldest()).toBe(seconds(3))
  })

  test('whose worker throws is logged and retried, and the others go on', async () => {
    const { queue, clock, log } = world()
    let runs = 0
    const others: string[] = []
    void queue.run(async (key) => {
      if (key !== 'a/bad') return void others.push(key)
      runs += 1
      throw new Error('broken')
    })
    queue.add('a/bad')
    queue.add('a/good')
    await settled()
    expect(others).toEqual(['a/good'])
    await clock.advance(seconds(1))
    expect(runs).toBe(2)
    expect(log.lines[0]).toContain('a worker threw')
  })
})

test('some workers are kept for `end`', async () => {
  const { queue } = world({ concurrency: 4, reserved: 1 })
  const held = heldWork()
  void queue.run(held.work)
  for (let n = 0; n < 10; n++) queue.add(`a/${n}`)
  await settled()
  expect(held.started).toHaveLength(3)
  queue.add('a/end', 'end')
  await settled()
  expect(held.started.at(-1)).toBe('a/end')
})

describe('shutdown', () => {
  test.each([
    ['drain', ['a/1', 'a/2']],
    ['drop', ['a/1']],
  ] as const)('%s works off what it should, takes nothing more and resolves at the end', async (mode, expected) => {
    const { queue, clock } = world()
    const held = heldWork()
    const ran = queue.run(held.work)
    queue.add('a/1')
    queue.add('a/2')
    queue.addAfter('a/3', seconds(1))
    const ended = queue.shutdown(mode)
    queue.add('a/4')
    let over = false
    void ended.then(() => {
      over = true
    })
    await clock.advance(seconds(5))
    expect(over).toBe(false)
    await held.finish('a/1')
    await held.finish('a/2')
    await Promise.all([ended, ran])
    expect(held.started).toEqual(expected)
  })

  test('of a queue that never ran resolves', async () => {
    const { queue } = world()
    queue.add('a/1')
    await queue.shutdown('drain')
  })
})

type Step =
  | { readonly kind: 'add'; readonly key: string; readonly priority: WorkPriority }
  | { readonly kind: 'finish'; readonly which: number }

test('no key is in work twice, `end` waits only for its workers, nothing added is lost, and no namespace waits for two turns of another', async () => {
  const key = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(4)).map(([namespace, name]) => `${namespace}/${name}`)
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), key, priority: fc.constantFrom(...priorities) }),
    fc.record({ kind: fc.constant('finish' as const), which: fc.nat(5) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 50 }), fc.integer({ min: 2, max: 4 }), async (steps, concurrency) => {
      const { queue } = world({ concurrency, reserved: 1 })
      const working = new Map<string, () => void>()
      // what was added and not yet begun after that
      const owed = new Map<string, WorkPriority>()
      void queue.run((one, priority) => {
        expect(working.has(one)).toBe(false)
        const ends = [...owed].filter(([other, what]) => what === 'end' && !working.has(other))
        if (ends.length > 0) expect(priority).toBe('end')
        owed.delete(one)
        return new Promise((resolve) => working.set(one, resolve))
      })
      const finish = async (one: string | undefined): Promise<void> => {
        if (one === undefined) return
        const resolve = working.get(one)
        working.delete(one)
        resolve?.()
        await settled()
      }
      for (const one of steps) {
        if (one.kind === 'add') {
          const before = owed.get(one.key)
          if (before === undefined || priorities.indexOf(one.priority) < priorities.indexOf(before)) owed.set(one.key, one.priority)
          queue.add(one.key, one.priority)
        } else await finish([...working.keys()][one.which % Math.max(1, working.size)])
        expect(working.size).toBeLessThanOrEqual(concurrency)
      }
      while (working.size > 0) await finish([...working.keys()][0])
      expect([...owed]).toEqual([])
      expect(queue.depth()).toMatchObject({ end: 0, new: 0, resync: 0, working: 0 })
    }),
    { numRuns: 300 },
  )
})

test('among keys that wait, each namespace gets its turn', async () => {
  const counts = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(counts, async (sizes) => {
      const { queue } = world()
      for (const [namespace, size] of sizes.entries()) for (let n = 0; n < size; n++) queue.add(`${namespace}/${n}`)
      const order = (await orderOf(queue)).map((key) => Number(key.split('/')[0]))
      const left = [...sizes]
      const total = sizes.reduce((a, b) => a + b, 0)
      expect(order).toHaveLength(total)
      for (let place = 0; place < total; ) {
        // one round: everybody who still has keys, once
        const round = order.slice(place, place + left.filter((size) => size > 0).length)
        expect(new Set(round).size).toBe(round.length)
        for (const namespace of round) left[namespace] = (left[namespace] ?? 0) - 1
        place += round.length
      }
    }),
    { numRuns: 200 },
  )
})

test('100,000 keys are added and worked off in linear time', async () => {
  const { queue } = world({ concurrency: 8 })
  const began = performance.now()
  for (let n = 0; n < 100_000; n++) queue.add(`a/${n}`)
  let done = 0
  void queue.run(async () => void done++)
  while (done < 100_000) await settled()
  // quadratic work takes minutes
  expect(performance.now() - began).toBeLessThan(10_000)
})
