import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Answer, RequestOptions } from '../../src/kube/client.ts'
import { createElector, type Elector } from '../../src/kube/elector.ts'
import { type ApiError, httpError, transportError } from '../../src/kube/errors.ts'
import type { KubeObject } from '../../src/kube/objects.ts'
import { type Duration, milliseconds, seconds } from '../../src/lib/instant.ts'
import { fail, ok, type Result } from '../../src/lib/result.ts'
import { type HeldClock, heldClock, keepingLog, settled } from './support.ts'

/** The one KubeLease, with the compare-and-set of the API server. */
function leaseServer() {
  let held: KubeObject | undefined
  let version = 0
  const store = (body: KubeObject): KubeObject => {
    held = { ...body, metadata: { ...body.metadata, uid: 'u', resourceVersion: String(++version) } }
    return held
  }
  return {
    spec: () => held?.['spec'] as Record<string, unknown> | undefined,
    metadata: () => held?.metadata,
    drop: () => {
      held = undefined
    },
    touch: () => held !== undefined && store(held),
    handle(request: Pick<RequestOptions, 'method' | 'body'>): Result<Answer<KubeObject>, ApiError> {
      const body = request.body as KubeObject
      const answer = (object: KubeObject) => ok({ status: 200, headers: {}, body: object })
      if (request.method === 'POST') return held === undefined ? answer(store(body)) : fail(httpError(409, { reason: 'AlreadyExists' }))
      if (held === undefined) return fail(httpError(404, {}))
      if (request.method === 'GET') return answer(held)
      return body.metadata.resourceVersion === held.metadata.resourceVersion
        ? answer(store(body))
        : fail(httpError(409, { reason: 'Conflict' }))
    },
  }
}

type Server = ReturnType<typeof leaseServer>

interface Candidate {
  readonly clock: HeldClock
  readonly elector: Elector
  readonly calls: string[]
  /** how requests fare: answered, refused before, lost after they were acted on */
  fate: 'answered' | 'refused' | 'lost'
  delay: Duration
}

function candidate(server: Server, identity: string, clock = heldClock(), unit = () => 0.5): Candidate {
  const calls: string[] = []
  const one: Candidate = {
    clock,
    calls,
    fate: 'answered',
    delay: milliseconds(0),
    elector: createElector({
      client: {
        async request<T>(request: RequestOptions): Promise<Result<Answer<T>, ApiError>> {
          const { fate, delay } = one
          if (fate === 'refused') return fail(transportError('connection', 'refused', false))
          const answer = server.handle(request)
          if (delay > 0) await new Promise<void>((resolve) => clock.after(delay, resolve))
          return fate === 'lost' ? fail(transportError('timeout', 'lost', true)) : (answer as unknown as Result<Answer<T>, ApiError>)
        },
      },
      namespace: 'ns',
      name: 'lease',
      identity,
      annotations: { address: `${identity}.example` },
      clock,
      timers: clock,
      entropy: { unit },
      log: keepingLog(),
      onGained: () => void calls.push('gained'),
      onLost: () => void calls.push('lost'),
    }),
  }
  return one
}

async function leading(server = leaseServer()): Promise<{ readonly server: Server; readonly a: Candidate }> {
  const a = candidate(server, 'a')
  a.elector.start()
  await settled()
  expect(a.elector.isLeader()).toBe(true)
  return { server, a }
}

describe('a single candidate', () => {
  test('leads at once, carries its annotations, and goes on leading', async () => {
    const { server, a } = await leading()
    expect(server.spec()).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 })
    expect(server.metadata()?.annotations).toEqual({ address: 'a.example' })
    await a.clock.advance(seconds(100))
    expect(a.elector.isLeader()).toBe(true)
    expect(a.calls).toEqual(['gained'])
    await a.elector.stop()
  })

  test('that was stopped for longer than the deadline knows at its very next question', async () => {
    const { a } = await leading()
    a.clock.jump(seconds(10))
    expect(a.elector.isLeader()).toBe(false)
  })

  test('that regains what nobody took is told of both, and leads a new term', async () => {
    const { a } = await leading()
    a.clock.jump(seconds(60))
    await a.clock.advance(seconds(5))
    expect(a.calls).toEqual(['gained', 'lost', 'gained'])
    expect(a.elector.term()).toBe(1)
    await a.elector.stop()
  })

  test('without answers stops leading by itself, before others may take over', async () => {
    const { a } = await leading()
    a.fate = 'refused'
    await a.clock.advance(seconds(9))
    expect(a.elector.isLeader()).toBe(true)
    await a.clock.advance(seconds(3))
    expect(a.calls).toEqual(['gained', 'lost'])
  })

  test('counts a renewal from when it was sent, not from when the answer came', async () => {
    const { a } = await leading()
    a.delay = milliseconds(6000)
    await a.clock.advance(milliseconds(2000 + 6000))
    a.fate = 'refused'
    a.delay = milliseconds(0)
    a.clock.jump(milliseconds(3999))
    expect(a.elector.isLeader()).toBe(true)
    a.clock.jump(milliseconds(1))
    expect(a.elector.isLeader()).toBe(false)
  })

  test('does not trust an answer that comes after the deadline', async () => {
    const a = candidate(leaseServer(), 'a')
    a.delay = milliseconds(10_000)
    a.elector.start()
    await a.clock.advance(seconds(21))
    expect(a.calls).toEqual([])
  })

  test('does not lead on by a renewal whose answer came after the one before had lapsed', async () => {
    const { a } = await leading()
    a.fate = 'refused'
    await a.clock.advance(seconds(7))
    a.fate = 'answered'
    a.delay = seconds(1)
    await a.clock.advance(milliseconds(1100))
    // the renewal is under way; the process stands still until the last one it knows of has lapsed, then hears the answer first
    a.clock.jump(milliseconds(2400))
    a.delay = milliseconds(0)
    await a.clock.advance(seconds(3))
    expect(a.calls).toEqual(['gained', 'lost', 'gained'])
    expect(a.elector.term()).toBe(1)
    await a.elector.stop()
  })

  test('goes on when only the answers were lost', async () => {
    const { a } = await leading()
    a.fate = 'lost'
    await a.clock.advance(seconds(4))
    a.fate = 'answered'
    await a.clock.advance(seconds(20))
    expect(a.calls).toEqual(['gained'])
    await a.elector.stop()
  })

  test('gives the KubeLease back when it stops, after it stopped leading', async () => {
    const { server, a } = await leading()
    const stopping = a.elector.stop()
    expect(a.elector.isLeader()).toBe(false)
    expect(server.spec()).toMatchObject({ holderIdentity: 'a' })
    await stopping
    expect(server.spec()).toMatchObject({ holderIdentity: '' })
    expect(a.calls).toEqual(['gained', 'lost'])
  })

  test('loses and regains a KubeLease that somebody deleted, in a later term', async () => {
    const { server, a } = await leading()
    server.drop()
    await a.clock.advance(seconds(6))
    expect(a.calls).toEqual(['gained', 'lost', 'gained'])
    expect(a.elector.term()).toBe(1)
    await a.elector.stop()
  })
})

describe('a second candidate', () => {
  test('waits until it has seen no renewal for the whole lease duration', async () => {
    const { server, a } = await leading()
    const b = candidate(server, 'b', a.clock)
    b.elector.start()
    await a.clock.advance(seconds(60))
    expect(b.calls).toEqual([])
    expect(b.elector.holder()).toEqual({ identity: 'a', annotations: { address: 'a.example' } })
    a.fate = 'refused'
    await a.clock.advance(seconds(14))
    expect(b.elector.isLeader()).toBe(false)
    await a.clock.advance(seconds(5))
    expect(b.elector.isLeader()).toBe(true)
    expect(b.elector.term()).toBe(1)
    a.fate = 'answered'
    await a.clock.advance(seconds(30))
    expect(a.calls).toEqual(['gained', 'lost'])
    expect(a.elector.holder()?.identity).toBe('b')
  })

  test('takes at once what was given back', async () => {
    const { server, a } = await leading()
    const b = candidate(server, 'b', a.clock)
    b.elector.start()
    await settled()
    await a.elector.stop()
    await a.clock.advance(seconds(3))
    expect(b.elector.isLeader()).toBe(true)
    await b.elector.stop()
  })
})

test('of two candidates with paused processes, lost and late answers, never do both lead', async () => {
  const move = fc.record({
    who: fc.nat(1),
    what: fc.constantFrom('pause' as const, 'fate' as const, 'delay' as const, 'nothing' as const),
    amount: fc.integer({ min: 0, max: 40 }),
  })
  let changes = 0
  await fc.assert(
    fc.asyncProperty(fc.array(move, { minLength: 5, maxLength: 40 }), async (moves) => {
      const server = leaseServer()
      const both = [candidate(server, 'a', heldClock(), () => 0.1), candidate(server, 'b', heldClock(7_000_000), () => 0.9)]
      for (const one of both) one.elector.start()
      const pausedUntil = [0, 0]
      let time = 0
      const check = (): void => expect(both.filter((one) => one.elector.isLeader()).length).toBeLessThan(2)
      for (const { who, what, amount } of moves) {
        const one = both[who]
        if (one === undefined) continue
        if (what === 'pause') pausedUntil[who] = time + amount * 1000
        if (what === 'fate') one.fate = amount < 20 ? 'answered' : amount < 30 ? 'lost' : 'refused'
        if (what === 'delay') one.delay = milliseconds(amount * 100)
        for (let step = 0; step < 8; step++) {
          time += 250
          for (const [place, other] of both.entries()) {
            // a paused process sees time pass and does nothing; asked, it still answers rightly
            if (time < (pausedUntil[place] ?? 0)) other.clock.jump(milliseconds(250))
            else await other.clock.advance(milliseconds(250))
            check()
          }
        }
      }
      changes += both.reduce((sum, one) => sum + one.calls.length, 0)
      for (const { calls } of both) {
        for (const [place, call] of calls.entries()) expect(call).toBe(place % 2 === 0 ? 'gained' : 'lost')
      }
    }),
    { numRuns: 40 },
  )
  expect(changes).toBeGreaterThan(10)
}, 60_000)
