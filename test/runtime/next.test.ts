// How soon a task is looked at again: a source that refuses is asked ever more rarely, whatever the rows of what failed tell meanwhile.

import { afterEach, expect, test } from '@jest/globals'
import { createDeadlines } from '../../src/kube/deadlines.ts'
import { createQueue } from '../../src/kube/queue.ts'
import type { Instant } from '../../src/lib/instant.ts'
import { milliseconds, seconds } from '../../src/lib/instant.ts'
import { createNextLooks } from '../../src/runtime/next.ts'
import type { Next } from '../../src/runtime/reconcile.ts'
import { entropy, heldClock, keepingLog, settled } from '../kube/support.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(() => Promise.all(closing.splice(0).map((close) => close())))

function world(again: Next['again']) {
  const clock = heldClock()
  const log = keepingLog()
  const queue = createQueue({ clock, entropy, log, timers: clock, concurrency: 4 })
  const deadlines = createDeadlines<Instant>({ now: clock.now, fire: (key) => queue.add(key, 'end'), log, timers: clock })
  const looks = createNextLooks({ queue, deadlines, clock })
  const w = { clock, queue, looks, passes: 0, again, wakeAfter: undefined as Next['wakeAfter'] }
  void queue.run((key) =>
    looks.pass(async () => {
      w.passes += 1
      return { again: w.again, wakeAfter: w.wakeAfter }
    }, key),
  )
  closing.push(async () => {
    deadlines.stop()
    await queue.shutdown('drop')
  })
  return w
}

test('a source that refuses is not asked faster because the row of each try is closed at once', async () => {
  const w = world('refused')
  w.queue.add('team/task')
  await settled()
  for (let i = 0; i < 300; i += 1) {
    w.looks.row('team/task')
    await w.clock.advance(seconds(0.1))
  }
  // 0.5 s, 1 s, 2 s ... in half a minute
  expect(w.passes).toBeGreaterThan(4)
  expect(w.passes).toBeLessThan(9)
})

test('a change of anything else is a reason to ask again, and then rows count again', async () => {
  const w = world('refused')
  w.queue.add('team/task')
  await settled()
  w.looks.row('team/task')
  await settled()
  expect(w.passes).toBe(1)
  w.again = 'none'
  w.queue.add('team/task', 'resync')
  await settled()
  expect(w.passes).toBe(2)
  w.looks.row('team/task')
  await settled()
  expect(w.passes).toBe(3)
})

test.each(['backoff', 'none'] as const)('whoever waits for a row (%s) hears of it at once', async (again) => {
  const w = world(again)
  w.queue.add('team/task')
  await settled()
  w.looks.row('team/task')
  await settled()
  expect(w.passes).toBe(2)
})

test('a time that comes is heeded, however long the wait for another try has grown', async () => {
  const w = world('refused')
  w.wakeAfter = milliseconds(200)
  w.queue.add('team/task')
  await settled()
  await w.clock.advance(milliseconds(250))
  expect(w.passes).toBe(2)
})
