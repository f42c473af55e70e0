import { expect, test } from '@jest/globals'
import { milliseconds } from '../../../src/lib/instant.ts'
import { createLanes } from '../../../src/runtime/ledger/lanes.ts'
import { entropy, heldClock, keepingLog, settled } from '../../kube/support.ts'

function world() {
  const clock = heldClock()
  const lanes = createLanes({ clock, timers: clock, entropy, log: keepingLog() }, 8)
  const started: string[] = []
  const open = new Map<string, () => void>()
  lanes.start((key) => {
    started.push(key)
    return new Promise((resolve) => open.set(key, resolve))
  })
  return { clock, lanes, started, open }
}

test('a namespace whose credentials do not die has half of the workers, and none that was kept for what has just ended', async () => {
  const { lanes, started, open } = world()
  const lane = lanes.of('provider-1')
  for (let i = 0; i < 100; i += 1) lane.add(`hostile/${i}`, i % 2 === 0 ? 'end' : 'new')
  await settled()
  expect(started).toHaveLength(4)
  // what others end begins at once, and so do as many of what they try again as there are places for that
  for (const key of ['a/1', 'b/1', 'c/1']) lane.add(key, 'end')
  await settled()
  expect(started.slice(4)).toEqual(['a/1', 'b/1', 'c/1'])
  lane.add('d/1', 'resync')
  await settled()
  expect(started.at(-1)).toBe('d/1')
  // another provider's are its own
  lanes.of('provider-2').add('other/0', 'end')
  await settled()
  expect(started.at(-1)).toBe('other/0')
  const stopped = lanes.stop()
  for (const finish of open.values()) finish()
  await stopped
})

test('what failed comes after what has just ended', async () => {
  const { clock, lanes, started, open } = world()
  const lane = lanes.of('provider-1')
  const first = ['a/1', 'b/1', 'c/1', 'd/1', 'e/1', 'f/1', 'g/1', 'h/1']
  for (const key of first) lane.add(key, 'end')
  await settled()
  for (let i = 0; i < 6; i += 1) lane.retry(`hostile/${i}`, 'resync')
  await clock.advance(milliseconds(600_000))
  lane.add('z/1', 'end')
  await settled()
  expect(started).toEqual(first)
  open.get('a/1')?.()
  await settled()
  expect(started.at(-1)).toBe('z/1')
  for (let round = 0; round < 20; round += 1) {
    for (const finish of open.values()) finish()
    await settled()
  }
  expect(started).toHaveLength(15)
  await lanes.stop()
})
