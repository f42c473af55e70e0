import { describe, expect, test } from '@jest/globals'
import { asUid } from '../../../src/core/names.ts'
import { verifyStatusList } from '../../../src/issuer/profiles/status-list.ts'
import type { FetchFromLeader, Published } from '../../../src/issuer/statuslist/handed-on.ts'
import { createStatusLists, defaultStatusListSettings, type StatusLists } from '../../../src/issuer/statuslist/statuslist.ts'
import { seconds } from '../../../src/lib/instant.ts'
import type { StatusRef } from '../../../src/ports/signer.ts'
import { createClock, createListStore, entropy, identity, type MovableClock, makeKeyring } from '../world.ts'

const keyring = await makeKeyring()
const [taskA, taskB] = [asUid('a'), asUid('b')]

interface Replica {
  readonly lists: StatusLists
  readonly signatures: () => number
  term: number | undefined
  gate: Promise<void> | undefined
}

function createReplica(
  clock: MovableClock,
  store = createListStore(),
  size = 64,
  fetchFromLeader: FetchFromLeader = async () => 'unavailable',
): Replica {
  let signatures = 0
  const replica: Replica = {
    term: undefined,
    gate: undefined,
    signatures: () => signatures,
    lists: createStatusLists({
      clock,
      entropy,
      identity,
      store,
      keys: () => keyring.jwks(),
      signer: {
        sign: async (profile, claims) => {
          signatures += 1
          await replica.gate
          return await keyring.sign(profile, claims)
        },
      },
      term: () => replica.term,
      fetchFromLeader,
      settings: { ...defaultStatusListSettings, size },
    }),
  }
  return replica
}

async function lead(replica: Replica, term = 1): Promise<Replica> {
  replica.term = term
  expect(await replica.lists.beginTerm()).toEqual({ ok: true, value: undefined })
  replica.lists.tasksSynced()
  return replica
}

async function reads(clock: MovableClock, lists: StatusLists, ref: StatusRef): Promise<boolean | Published | undefined> {
  const published = await lists.publish(ref.uri)
  if (typeof published === 'string') return published
  const verified = await verifyStatusList(published.token, { keys: keyring.jwks(), uri: ref.uri, now: clock.now() })
  if (!verified.ok) throw new Error(verified.failure)
  return verified.value.valid(ref.index)
}

/** A replica whose signatures wait until they are let through, so that anything can happen while one is made. */
async function createHeld(clock: MovableClock, store = createListStore()) {
  const replica = createReplica(clock, store)
  let open = () => {}
  const gate = new Promise<void>((done) => {
    open = done
  })
  replica.gate = gate
  return {
    replica: await lead(replica),
    open: () => {
      replica.gate = undefined
      open()
    },
  }
}

function reserve(lists: StatusLists): StatusRef {
  const ref = lists.reserve()
  if (ref === undefined) throw new Error('no place')
  return ref
}

describe('a place in the list of the present term', () => {
  test('reads valid before it is given, while it waits for its task and while the task shows it', async () => {
    const clock = createClock()
    const { lists } = await lead(createReplica(clock))
    const ref = reserve(lists)
    const never = { uri: ref.uri, index: (ref.index + 1) % 64 }
    expect(await reads(clock, lists, never)).toBe(true)
    expect(await reads(clock, lists, ref)).toBe(true)
    lists.observe(taskA, [ref])
    clock.advance(seconds(3600))
    expect(await reads(clock, lists, ref)).toBe(true)
  })

  type End = (lists: StatusLists, ref: StatusRef, clock: MovableClock) => void
  test.each<[string, End]>([
    ['it is ended', (lists, ref) => lists.end(ref)],
    ['its task takes another place', (lists) => lists.observe(taskA, [reserve(lists)])],
    ['its task shows no place any more', (lists) => lists.observe(taskA, [])],
    ['its task is gone', (lists) => lists.forget(taskA)],
  ])('reads invalid once %s, and stays so whatever the stores show later', async (_name, end) => {
    const clock = createClock()
    const { lists } = await lead(createReplica(clock))
    const ref = reserve(lists)
    lists.observe(taskA, [ref])
    expect(await reads(clock, lists, ref)).toBe(true)
    end(lists, ref, clock)
    expect(await reads(clock, lists, ref)).toBe(false)
    expect(lists.usable(ref)).toBe(false)
    lists.observe(taskA, [ref])
    expect(await reads(clock, lists, ref)).toBe(false)
    expect(lists.usable(ref)).toBe(false)
  })

  test('that its task does not show within a minute reads invalid and can never be used', async () => {
    const clock = createClock()
    const { lists } = await lead(createReplica(clock))
    const ref = reserve(lists)
    clock.advance(seconds(59))
    expect(await reads(clock, lists, ref)).toBe(true)
    clock.advance(seconds(1))
    expect(await reads(clock, lists, ref)).toBe(false)
    lists.observe(taskA, [ref])
    expect(lists.usable(ref)).toBe(false)
  })

  test('can be used for a first token only while its task shows it', async () => {
    const { lists } = await lead(createReplica(createClock()))
    const ref = reserve(lists)
    expect(lists.usable(ref)).toBe(false)
    lists.observe(taskA, [ref])
    expect(lists.usable(ref)).toBe(true)
  })

  test('that another task claims too dies with the last that claimed it', async () => {
    const clock = createClock()
    const { lists } = await lead(createReplica(clock))
    const ref = reserve(lists)
    lists.observe(taskA, [ref])
    lists.observe(taskB, [ref])
    lists.forget(taskA)
    expect(await reads(clock, lists, ref)).toBe(true)
    lists.forget(taskB)
    expect(await reads(clock, lists, ref)).toBe(false)
  })
})

describe('giving places', () => {
  test('passes over a place that a task shows although nobody gave it', async () => {
    const { lists } = await lead(createReplica(createClock(), createListStore(), 8))
    const { uri, index } = reserve(lists)
    const taken = { uri, index: (index + 3) % 8 }
    lists.observe(taskA, [taken])
    const given = Array.from({ length: 6 }, () => reserve(lists))
    expect(given.filter((ref) => ref.uri === uri).map((ref) => ref.index)).not.toContain(taken.index)
  })

  test('does not begin before the list is recorded', async () => {
    const store = createListStore()
    const replica = createReplica(createClock(), store)
    replica.term = 1
    expect(replica.lists.reserve()).toBeUndefined()
    await replica.lists.beginTerm()
    expect(store.records().map(({ uri }) => uri)).toEqual([reserve(replica.lists).uri])
  })

  test('stops with the term, and the next term has another list', async () => {
    const replica = await lead(createReplica(createClock()))
    const first = reserve(replica.lists)
    replica.term = undefined
    expect(replica.lists.reserve()).toBeUndefined()
    replica.term = 2
    expect(replica.lists.reserve()).toBeUndefined()
    await lead(replica, 2)
    expect(reserve(replica.lists).uri).not.toBe(first.uri)
    expect(first.uri).toMatch(/^https:\/\/issuer\.example\/status-lists\/[0-9a-f]{32}$/)
  })

  test('goes on in a new list of the same term when one is full', async () => {
    const clock = createClock()
    const replica = await lead(createReplica(clock, createListStore(), 8))
    const given: StatusRef[] = []
    while (given.length < 30) {
      const ref = replica.lists.reserve()
      if (ref === undefined) await new Promise(setImmediate)
      else given.push(ref)
    }
    expect(new Set(given.map(({ uri, index }) => `${uri} ${index}`)).size).toBe(30)
    expect(new Set(given.map(({ uri }) => uri)).size).toBe(4)
    for (const ref of given) expect(await reads(clock, replica.lists, ref)).toBe(true)
  })
})

describe('the beginning of a term', () => {
  test('records nothing when the term ends while the records are read', async () => {
    const inner = createListStore()
    const replica = createReplica(createClock(), {
      ...inner,
      read: async () => {
        replica.term = undefined
        return await inner.read()
      },
    })
    replica.term = 1
    expect((await replica.lists.beginTerm()).ok).toBe(false)
    expect(inner.records()).toEqual([])
  })

  test('forgets a list that somebody else retired in between', async () => {
    const clock = createClock()
    const store = createListStore()
    const replica = await lead(createReplica(clock, store))
    const ref = reserve(replica.lists)
    await store.write([], '1')
    await lead(replica, 2)
    expect(await reads(clock, replica.lists, ref)).toBe('unknown')
  })
})

describe('the list of an earlier term', () => {
  test('is not made before the tasks were listed, then shows only what is live on a task', async () => {
    const clock = createClock()
    const store = createListStore()
    const before = await lead(createReplica(clock, store))
    const [live, dead] = [reserve(before.lists), reserve(before.lists)]
    const after = createReplica(clock, store)
    after.term = 2
    await after.lists.beginTerm()
    after.lists.observe(taskA, [live])
    expect(await reads(clock, after.lists, live)).toBe('unavailable')
    after.lists.tasksSynced()
    expect(await reads(clock, after.lists, live)).toBe(true)
    expect(await reads(clock, after.lists, dead)).toBe(false)
    expect(after.lists.usable(live)).toBe(false)
  })

  test('knows what was ended before the term began', async () => {
    const clock = createClock()
    const store = createListStore()
    const ref = reserve((await lead(createReplica(clock, store))).lists)
    const after = createReplica(clock, store)
    after.lists.observe(taskA, [ref])
    after.lists.end(ref)
    await lead(after, 2)
    expect(await reads(clock, after.lists, ref)).toBe(false)
  })

  test('reads by the rules of an earlier one although this replica made it', async () => {
    const clock = createClock()
    const replica = await lead(createReplica(clock))
    const [shown, waiting] = [reserve(replica.lists), reserve(replica.lists)]
    replica.lists.observe(taskA, [shown])
    expect(await reads(clock, replica.lists, waiting)).toBe(true)
    await lead(replica, 2)
    expect(await reads(clock, replica.lists, shown)).toBe(true)
    expect(await reads(clock, replica.lists, waiting)).toBe(false)
  })

  test('shows at once what a late write of the former leader put on a task', async () => {
    const clock = createClock()
    const store = createListStore()
    const ref = reserve((await lead(createReplica(clock, store))).lists)
    const after = await lead(createReplica(clock, store), 2)
    expect(await reads(clock, after.lists, ref)).toBe(false)
    after.lists.observe(taskA, [ref])
    expect(await reads(clock, after.lists, ref)).toBe(true)
  })

  test('goes when no task has held a place of it for the longest life of a token, and is unknown then', async () => {
    const clock = createClock()
    const store = createListStore()
    const ref = reserve((await lead(createReplica(clock, store))).lists)
    const after = createReplica(clock, store)
    after.lists.observe(taskA, [ref])
    await lead(after, 2)
    clock.advance(seconds(7 * 24 * 3600))
    expect(await after.lists.retire()).toEqual({ ok: true, value: 0 })
    after.lists.forget(taskA)
    await after.lists.retire()
    clock.advance(seconds(24 * 3600))
    expect(await after.lists.retire()).toEqual({ ok: true, value: 1 })
    expect(store.records()).toHaveLength(1)
    expect(await reads(clock, after.lists, ref)).toBe('unknown')
  })
})

describe('publishing', () => {
  test('signs once for many readers, again after a change and again when half of the ttl is over', async () => {
    const clock = createClock()
    const replica = await lead(createReplica(clock))
    const ref = reserve(replica.lists)
    replica.lists.observe(taskA, [ref])
    await Promise.all(Array.from({ length: 20 }, () => replica.lists.publish(ref.uri)))
    expect(replica.signatures()).toBe(1)
    replica.lists.end(ref)
    await Promise.all(Array.from({ length: 20 }, () => replica.lists.publish(ref.uri)))
    expect(replica.signatures()).toBe(2)
    clock.advance(seconds(8))
    await replica.lists.publish(ref.uri)
    expect(replica.signatures()).toBe(3)
  })

  test('asks for its term as the last step before each signature', async () => {
    const replica = await lead(createReplica(createClock()))
    const ref = reserve(replica.lists)
    const answers = [1, undefined]
    Object.defineProperty(replica, 'term', { get: () => answers.shift() })
    expect(await replica.lists.publish(ref.uri)).toBe('unavailable')
    expect(replica.signatures()).toBe(0)
  })

  test('hands out nothing that was still being signed when the term ended', async () => {
    const { replica, open } = await createHeld(createClock())
    const published = replica.lists.publish(reserve(replica.lists).uri)
    replica.term = undefined
    open()
    expect(await published).toBe('unavailable')
  })

  test('hands out nothing in one term that was made by the rules of another', async () => {
    const clock = createClock()
    const { replica, open } = await createHeld(clock)
    const ref = reserve(replica.lists)
    const published = replica.lists.publish(ref.uri)
    await lead(replica, 2)
    open()
    expect(await published).toBe('unavailable')
    expect(await reads(clock, replica.lists, ref)).toBe(false)
  })

  test('gives who asks after a change a list made after it, also while an older one is being signed', async () => {
    const clock = createClock()
    const { replica, open } = await createHeld(clock)
    const ref = reserve(replica.lists)
    const before = replica.lists.publish(ref.uri)
    replica.lists.end(ref)
    const after = reads(clock, replica.lists, ref)
    open()
    await before
    expect(await after).toBe(false)
  })

  test('never signs without leading: the last list is handed on until it expires', async () => {
    const clock = createClock()
    const replica = await lead(createReplica(clock))
    const ref = reserve(replica.lists)
    await replica.lists.publish(ref.uri)
    replica.term = undefined
    replica.lists.end(ref)
    clock.advance(seconds(59))
    expect(await reads(clock, replica.lists, ref)).toBe(true)
    clock.advance(seconds(1))
    expect(await replica.lists.publish(ref.uri)).toBe('unavailable')
    expect(replica.signatures()).toBe(1)
  })

  test('does not know a list that is not recorded', async () => {
    const { lists } = await lead(createReplica(createClock()))
    expect(await lists.publish(`${identity.url}/status-lists/${'0'.repeat(32)}`)).toBe('unknown')
  })

  describe('by a replica that does not lead', () => {
    async function createPair(tamper: (token: Published) => Published = (token) => token) {
      const clock = createClock()
      const leader = await lead(createReplica(clock))
      const link = { up: true, fetched: 0 }
      const follower = createReplica(clock, createListStore(), 64, async (uri) => {
        link.fetched += 1
        return link.up ? tamper(await leader.lists.publish(uri)) : 'unavailable'
      })
      return { clock, leader, follower, link, ref: reserve(leader.lists) }
    }

    test('hands on what the leader made, asking it at most once a second', async () => {
      const { clock, leader, follower, link, ref } = await createPair()
      await Promise.all(Array.from({ length: 20 }, () => follower.lists.publish(ref.uri)))
      expect(await reads(clock, follower.lists, ref)).toBe(true)
      expect(link.fetched).toBe(1)
      leader.lists.end(ref)
      clock.advance(seconds(1))
      expect(await reads(clock, follower.lists, ref)).toBe(false)
      expect(follower.signatures()).toBe(0)
    })

    test('asks nobody when another replica asks', async () => {
      const { follower, link, ref } = await createPair()
      expect(await follower.lists.publishHere(ref.uri)).toBe('unavailable')
      expect(link.fetched).toBe(0)
    })

    test('goes on with the newest it has while the leader is away, and stops when that expires', async () => {
      const { clock, follower, link, ref } = await createPair()
      await follower.lists.publish(ref.uri)
      link.up = false
      clock.advance(seconds(59))
      expect(await reads(clock, follower.lists, ref)).toBe(true)
      clock.advance(seconds(1))
      expect(await follower.lists.publish(ref.uri)).toBe('unavailable')
    })

    test('takes nothing that the list key did not sign for that list', async () => {
      const foreign = await makeKeyring()
      const { leader, follower, ref } = await createPair()
      const published = await leader.lists.publish(ref.uri)
      const token = typeof published === 'string' ? '' : published.token
      const swapped = await createPair(() => ({ token }))
      expect(await swapped.follower.lists.publish(swapped.ref.uri)).toBe('unavailable')
      const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
      const forged = new TextDecoder().decode((await foreign.sign('StatusList', claims)).reveal())
      const lied = await createPair(() => ({ token: forged }))
      expect(await lied.follower.lists.publish(ref.uri)).toBe('unavailable')
      expect(await follower.lists.publish(ref.uri)).toEqual(published)
    })

    test('takes nothing older than what it has', async () => {
      let answer: Published | undefined
      const { clock, leader, follower, ref } = await createPair((token) => answer ?? token)
      const old = await leader.lists.publish(ref.uri)
      leader.lists.observe(taskA, [ref])
      leader.lists.end(ref)
      clock.advance(seconds(2))
      expect(await reads(clock, follower.lists, ref)).toBe(false)
      answer = old
      clock.advance(seconds(2))
      expect(await reads(clock, follower.lists, ref)).toBe(false)
    })
  })
})
