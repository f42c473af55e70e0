import { expect, test } from '@jest/globals'
import type { Failure } from '../../../src/core/observed.ts'
import { milliseconds, seconds } from '../../../src/lib/instant.ts'
import { fail, ok, type Result } from '../../../src/lib/result.ts'
import type { Provider } from '../../../src/ports/provider.ts'
import { createRetire } from '../../../src/runtime/ledger/retire.ts'
import { live, makeLease, makeTask, outsideRecord, time } from '../../support/make.ts'

const handle = makeLease().handle

function world() {
  const w = {
    now: 1_000_000,
    leads: true,
    doomed: false,
    writable: true,
    attempt: 2,
    row: makeLease({ state: 'Issued', reference: 'old, new', provider: { ...makeLease().provider, type: 'fake' } }),
    answer: ok('new') as Result<string | undefined, Failure>,
    meanwhile: () => undefined as unknown,
    ended: [] as string[],
    written: [] as string[],
    record: () =>
      live({
        attempt: w.attempt,
        secret: { name: 's', uid: makeTask().uid, attempt: w.attempt },
        credentials: [outsideRecord({ attempt: w.attempt })],
      }),
    after: (passed: number) => {
      w.now += passed * 1000
      return retire(handle)
    },
  }
  const retire = createRetire({
    leases: { get: () => w.row },
    tasks: { get: () => makeTask({ record: w.record() }) },
    findProvider: () =>
      ({
        outside: {
          retirement: {
            grace: seconds(120),
            async retire(_params: unknown, { reference }: { reference: string }, attempt: number) {
              w.ended.push(`${reference} before ${attempt}`)
              w.meanwhile()
              return w.answer
            },
          },
        },
      }) as unknown as Provider<unknown>,
    settings: { of: () => [async () => ok({})] },
    writes: {
      async patchStatus(_place: unknown, version: string, status: { reference: string }) {
        if (!w.writable) return fail({ kind: 'http', status: 409, reason: 'Conflict', message: '' })
        w.written.push(`${version} ${status.reference}`)
        return ok({})
      },
    } as never,
    absorb: () => undefined,
    leads: () => w.leads,
    clock: { now: () => time(60), monotonic: () => milliseconds(w.now) },
    log: { info: () => undefined },
    namespace: 'ns',
    doomed: () => w.doomed,
  })
  return Object.assign(w, { retire })
}
type World = ReturnType<typeof world>

test('what was replaced is ended once the grace has passed since its successor was seen delivered, and not a moment before', async () => {
  const w = world()
  expect(await w.after(0)).toEqual({ tag: 'later', delay: 120_000 })
  expect(await w.after(119)).toEqual({ tag: 'later', delay: 1000 })
  expect(w.ended).toEqual([])
  expect(await w.after(1)).toEqual({ tag: 'done' })
  expect(w.ended).toEqual(['old, new before 2'])
  expect(w.written).toEqual(['1 new'])
})

test('a further renewal begins the grace anew: pods may still hold the one in between', async () => {
  const w = world()
  await w.after(0)
  w.attempt = 3
  expect(await w.after(100)).toEqual({ tag: 'later', delay: 120_000 })
  expect(await w.after(20)).toEqual({ tag: 'later', delay: 100_000 })
  expect(w.ended).toEqual([])
  await w.after(100)
  expect(w.ended).toEqual(['old, new before 3'])
})

test.each<readonly [string, (w: World) => void]>([
  ['the row is to die', (w) => Object.assign(w, { doomed: true })],
  ['the row is dying', (w) => Object.assign(w, { row: { ...w.row, state: 'Revoking' } })],
  ['this replica leads no longer', (w) => Object.assign(w, { leads: false })],
  [
    'the Secret of the renewal was never confirmed',
    (w) => Object.assign(w, { record: () => live({ ...live(), attempt: 3, credentials: [outsideRecord()] }) }),
  ],
  [
    'the record knows another handle',
    (w) => Object.assign(w, { record: () => live({ credentials: [outsideRecord({ handle: 'another' })] }) }),
  ],
])('nothing is ended where %s', async (_name, change) => {
  const w = world()
  await w.after(0)
  change(w)
  expect(await w.after(500)).toEqual({ tag: 'done' })
  expect(w.ended).toEqual([])
})

test('a row that somebody wrote meanwhile keeps what it notes, and it is tried again', async () => {
  const w = world()
  await w.after(0)
  w.writable = false
  expect(await w.after(120)).toEqual({ tag: 'retry' })
  w.answer = fail({ reason: 'RevocationUnconfirmed', message: 'sealed' })
  expect(await w.after(5)).toEqual({ tag: 'retry' })
  expect(w.written).toEqual([])
})

test('the version that is written over is the one that was decided on, also where the row has changed since', async () => {
  const w = world()
  await w.after(0)
  w.meanwhile = () => Object.assign(w, { row: { ...w.row, resourceVersion: '2' } })
  await w.after(120)
  expect(w.written).toEqual(['1 new'])
})

test('where nothing is left to end, nothing is written', async () => {
  const w = world()
  w.answer = ok(undefined)
  await w.after(0)
  expect(await w.after(120)).toEqual({ tag: 'done' })
  expect(w.written).toEqual([])
})
