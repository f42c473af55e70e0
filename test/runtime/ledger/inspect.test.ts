import { expect, test } from '@jest/globals'
import type { Lease } from '../../../src/core/lease.ts'
import { milliseconds } from '../../../src/lib/instant.ts'
import { fail, ok } from '../../../src/lib/result.ts'
import type { Provider, Sight } from '../../../src/ports/provider.ts'
import { createInspector } from '../../../src/runtime/ledger/inspect.ts'
import { live, makeLease, makeTask, outsideRecord, time } from '../../support/make.ts'

const handles = (n: number): readonly string[] => [...Array(n).keys()].map((i) => `h${i}`)
const rowOf = (handle: string): Lease => makeLease({ handle, state: 'Issued', provider: { ...makeLease().provider, type: 'fake' } })

function world(names = handles(1), batch = 10) {
  const task = makeTask({ record: live({ credentials: names.map((handle) => outsideRecord({ handle })) }) })
  const rows = new Map(names.map((handle) => [`ns/${handle}`, rowOf(handle)]))
  const w = {
    now: 100_000,
    leads: true,
    calm: true,
    doomed: false,
    writable: true,
    settings: true,
    sights: (_handle: string): Sight => 'Dead',
    /** while the source is asked */
    meanwhile: () => undefined as unknown,
    asked: [] as (readonly string[])[],
    written: [] as string[],
    told: [] as string[],
    rows,
    touch(handle: string, over: Partial<Lease> = {}) {
      rows.set(`ns/${handle}`, { ...rowOf(handle), resourceVersion: `${w.now}`, ...over })
    },
    async look(seconds = 10) {
      w.now += seconds * 1000
      await inspector.round()
    },
  }
  const provider = {
    outside: {
      inspection: {
        batch,
        async look(_params: unknown, leases: readonly { handle: string }[]) {
          w.asked.push(leases.map(({ handle }) => handle))
          const answers = leases.map(({ handle }) => w.sights(handle))
          w.meanwhile()
          return answers
        },
      },
    },
  } as unknown as Provider<unknown>
  const inspector = createInspector({
    leases: { get: (key) => rows.get(key), values: () => rows.values() },
    tasks: { get: () => task },
    findProvider: (type) => (type === 'fake' ? provider : undefined),
    settings: { of: () => [async () => (w.settings ? ok({}) : fail({ reason: 'RevocationUnconfirmed', message: 'not kept' }))] },
    clock: { now: () => time(60), monotonic: () => milliseconds(w.now) },
    entropy: { unit: () => 0.5 },
    leads: () => w.leads,
    doomed: () => w.doomed,
    calm: () => w.calm,
    namespace: 'ns',
    writes: {
      async patchStatus(place: { name: string }, version: string, status: unknown) {
        if (!w.writable) return fail({ kind: 'http', status: 409, reason: 'Conflict', message: '' })
        w.written.push(`${place.name} ${version} ${JSON.stringify(status)}`)
        w.touch(place.name, { state: 'Revoking' })
        return ok({})
      },
    } as never,
    absorb: () => undefined,
    log: { warn: () => undefined },
    tell: { foundDead: ({ handle }) => void w.told.push(handle) },
  })
  return w
}

test('a second look that says so too has the row die, with what was found', async () => {
  const w = world()
  await w.look()
  expect(w.written).toEqual([])
  await w.look()
  expect(w.written).toEqual([expect.stringMatching(/^h0 1 .*"state":"Revoking".*"foundDeadTime":"2026.*"reason":"RevokedExternally"/)])
  expect(w.told).toEqual(['h0'])
  await w.look()
  expect(w.asked).toHaveLength(2)
})

type World = ReturnType<typeof world>
test.each<readonly [string, (w: World) => Promise<void>]>([
  ['one look', (w) => w.look()],
  [
    'two looks that are close',
    async (w) => {
      await w.look()
      await w.look(6)
    },
  ],
  [
    'a source that shows it alive in between',
    async (w) => {
      await w.look()
      w.sights = () => 'Alive'
      await w.look()
      w.sights = () => 'Dead'
      await w.look()
    },
  ],
  [
    'a source that does not answer in between',
    async (w) => {
      await w.look()
      w.sights = () => 'Unknown'
      await w.look()
      w.sights = () => 'Dead'
      await w.look()
    },
  ],
  [
    'a row that was written in between, as a renewal does',
    async (w) => {
      await w.look()
      w.touch('h0')
      await w.look()
    },
  ],
  [
    'a row that is written while the source is asked',
    async (w) => {
      await w.look()
      w.meanwhile = () => w.touch('h0')
      await w.look()
    },
  ],
  [
    'a pass that decides meanwhile that it dies',
    async (w) => {
      await w.look()
      w.meanwhile = () => {
        w.doomed = true
      }
      await w.look()
    },
  ],
  [
    'a replica that leads no longer when it hears the answer',
    async (w) => {
      await w.look()
      w.meanwhile = () => {
        w.leads = false
      }
      await w.look()
    },
  ],
  [
    'what was seen in a former term',
    async (w) => {
      await w.look()
      w.leads = false
      await w.look()
      w.leads = true
      await w.look()
    },
  ],
  [
    'a source while tasks wait to be looked at, as after a takeover',
    async (w) => {
      await w.look()
      w.calm = false
      await w.look()
      await w.look()
    },
  ],
  [
    'settings that nobody knows',
    async (w) => {
      w.settings = false
      await w.look()
      await w.look()
    },
  ],
])('nothing is concluded from %s', async (_name, happens) => {
  const w = world()
  await happens(w)
  expect([w.written, w.told]).toEqual([[], []])
})

test('what somebody else wrote first is looked at anew, and nothing is told', async () => {
  const w = world()
  await w.look()
  w.writable = false
  await w.look()
  expect(w.told).toEqual([])
  w.writable = true
  await w.look()
  expect(w.told).toEqual([])
  await w.look()
  expect(w.told).toEqual(['h0'])
})

test('each row has its turn, and no look is at more than the source takes', async () => {
  const w = world(handles(7), 3)
  w.sights = () => 'Alive'
  for (let i = 0; i < 3; i += 1) await w.look(30)
  expect(w.asked.map((asked) => asked.length)).toEqual([3, 3, 1])
  expect(new Set(w.asked.flat())).toEqual(new Set(handles(7)))
  await w.look(30)
  expect(w.asked.at(-1)).toEqual(w.asked[0])
})

test('a provider whose source cannot tell is asked nothing', async () => {
  const w = world()
  w.rows.set('ns/h0', { ...rowOf('h0'), provider: makeLease().provider })
  await w.look()
  await w.look()
  expect(w.asked).toEqual([])
})
