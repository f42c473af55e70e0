import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createDeadlines } from '../../src/kube/deadlines.ts'
import { createHeap } from '../../src/kube/heap.ts'
import { type Instant, plus, seconds } from '../../src/lib/instant.ts'
import { heldClock, keepingLog, settled } from './support.ts'

function world() {
  const clock = heldClock()
  const fired: string[] = []
  const log = keepingLog()
  const deadlines = createDeadlines<Instant>({ now: clock.now, fire: (key) => void fired.push(key), log, timers: clock })
  const inSeconds = (n: number): Instant => plus(clock.now(), seconds(n))
  return { clock, fired, log, deadlines, inSeconds }
}

describe('deadlines', () => {
  test('fire in order, each once, when their time has come', async () => {
    const { clock, fired, deadlines, inSeconds } = world()
    deadlines.set('b', inSeconds(2))
    deadlines.set('a', inSeconds(1))
    deadlines.set('c', inSeconds(3))
    await clock.advance(seconds(2))
    expect(fired).toEqual(['a', 'b'])
    await clock.advance(seconds(100))
    expect(fired).toEqual(['a', 'b', 'c'])
  })

  test('can be moved both ways and cleared', async () => {
    const { clock, fired, deadlines, inSeconds } = world()
    deadlines.set('a', inSeconds(10))
    deadlines.set('a', inSeconds(1))
    deadlines.set('b', inSeconds(1))
    deadlines.set('b', inSeconds(10))
    deadlines.set('c', inSeconds(1))
    deadlines.clear('c')
    await clock.advance(seconds(5))
    expect(fired).toEqual(['a'])
    await clock.advance(seconds(5))
    expect(fired).toEqual(['a', 'b'])
  })

  test('need one timer, however many there are', () => {
    const { clock, deadlines, inSeconds } = world()
    for (let n = 1000; n > 0; n--) deadlines.set(`${n}`, inSeconds(n))
    expect(clock.armed()).toBe(1)
  })

  test('that are past fire soon, and not within the call that set them', async () => {
    const { fired, clock, deadlines, inSeconds } = world()
    deadlines.set('a', inSeconds(-5))
    expect(fired).toEqual([])
    await clock.advance(seconds(0))
    expect(fired).toEqual(['a'])
  })

  test('are noticed within half a minute after the wall clock was set forward', async () => {
    const { clock, fired, deadlines, inSeconds } = world()
    deadlines.set('a', inSeconds(3600))
    clock.setWall(inSeconds(3601))
    await clock.advance(seconds(30))
    expect(fired).toEqual(['a'])
  })

  test('do not fire early after the wall clock was set back', async () => {
    const { clock, fired, deadlines, inSeconds } = world()
    deadlines.set('a', inSeconds(10))
    clock.setWall(inSeconds(-100))
    await clock.advance(seconds(100))
    expect(fired).toEqual([])
    await clock.advance(seconds(31))
    expect(fired).toEqual(['a'])
  })

  test('may lie further ahead than a timer can count', async () => {
    const { clock, fired, deadlines, inSeconds } = world()
    deadlines.set('a', inSeconds(60 * 24 * 3600))
    await clock.advance(seconds(3600))
    expect(fired).toEqual([])
  })

  test('can be set again by their handler, and a handler that throws stops nothing', async () => {
    const clock = heldClock()
    const log = keepingLog()
    let count = 0
    const deadlines = createDeadlines<Instant>({
      now: clock.now,
      log,
      timers: clock,
      fire(key) {
        count += 1
        deadlines.set(key, plus(clock.now(), seconds(1)))
        throw new Error('mine')
      },
    })
    deadlines.set('a', plus(clock.now(), seconds(1)))
    await clock.advance(seconds(3))
    expect(count).toBe(3)
    expect(log.lines).toHaveLength(3)
    deadlines.stop()
    await clock.advance(seconds(3))
    await settled()
    expect(count).toBe(3)
    expect(clock.armed()).toBe(0)
  })
})

test('a heap gives the smallest first, whatever was set, moved and deleted', () => {
  const step = fc.record({ key: fc.nat(20), order: fc.option(fc.nat(100), { nil: undefined }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = createHeap<number>()
      const model = new Map<number, number>()
      for (const { key, order } of steps) {
        if (order === undefined) expect(heap.delete(key)).toBe(model.delete(key))
        else {
          heap.set(key, order)
          model.set(key, order)
        }
        expect(heap.size).toBe(model.size)
        expect(heap.get(key)).toBe(model.get(key))
        expect(heap.first()?.order).toBe(model.size === 0 ? undefined : Math.min(...model.values()))
      }
      const drained: number[] = []
      for (let first = heap.first(); first !== undefined; first = heap.first()) {
        drained.push(first.order)
        heap.delete(first.key)
      }
      expect(drained).toEqual([...model.values()].sort((a, b) => a - b))
    }),
  )
})
