// What the provider `serviceAccountToken` believes of an API server, in which order it asks, and when it calls a token dead.

import { describe, expect, test } from '@jest/globals'
import { asUid, toTaskKey } from '../../../src/core/names.ts'
import type { Order } from '../../../src/ports/provider.ts'
import type { ServiceAccountTokenParams } from '../../../src/providers/service-account-token/params.ts'
import { type Fake, issuer } from './fake.ts'
import { audience, makeWorld, params, timeLeft, tokenIn, type World } from './world.ts'

type Fields = Record<string, unknown>
const done = { ok: true, value: undefined }
const anchorsOf = ({ fake }: World): readonly string[] => [...fake.secrets.keys()]

test('the anchor is made first and noted before a token is asked for, which is looked at before it is given away', async () => {
  const world = makeWorld()
  const { provider, fake } = world
  const noted: string[] = []
  const order = world.order()
  const lease = world.lease()
  const record = async (reference: string) => {
    noted.push(reference)
    fake.calls.push('note')
    return { ok: true, value: undefined } as const
  }
  // past the world's own row
  expect(await world.bare.issue(params, order, { lease, record })).toMatchObject({ ok: true })
  const name = `taskbound-${lease.handle}.anchor`
  expect(fake.calls).toEqual([
    'POST /api/v1/namespaces/finance/secrets',
    'note',
    'POST /api/v1/namespaces/finance/serviceaccounts/payroll-clerk/token',
    'POST /apis/authentication.k8s.io/v1/tokenreviews',
  ])
  expect(noted.map((text) => JSON.parse(text))).toEqual([{ namespace: 'finance', name, uid: fake.secrets.get(`finance/${name}`)?.uid }])
  expect(provider.type).toBe('serviceAccountToken')
})

test('a row that is to die gets no token, and its anchor goes', async () => {
  const world = makeWorld()
  const lease = world.lease()
  world.dying.add(lease.handle)
  expect(await world.provider.issue(params, world.order(), { lease })).toMatchObject({ ok: false, failure: { reason: 'IssueFailed' } })
  expect(world.fake.calls.filter((call) => call.endsWith('/token'))).toEqual([])
  expect(anchorsOf(world)).toEqual([])
})

describe('a token that is not what was ordered is given to nobody, and its anchor goes', () => {
  const inside = (claims: Fields, change: Fields): Fields => ({
    ...claims,
    'kubernetes.io': { ...(claims['kubernetes.io'] as Fields), ...change },
  })
  const rows: readonly (readonly [string, (claims: Fields) => unknown, string])[] = [
    ['for another audience', (c) => ({ ...c, aud: ['https://other.corp.example'] }), 'for another audience'],
    ['for one audience more', (c) => ({ ...c, aud: [audience, issuer] }), 'for another audience'],
    ['of another subject', (c) => ({ ...c, sub: 'system:serviceaccount:kube-system:default' }), 'of another subject'],
    ['of another namespace', (c) => inside(c, { namespace: 'kube-system' }), 'of another ServiceAccount'],
    ['of another ServiceAccount', (c) => inside(c, { serviceaccount: { name: 'admin' } }), 'of another ServiceAccount'],
    ['of its successor', (c) => inside(c, { serviceaccount: { name: 'payroll-clerk', uid: 'x' } }), 'replaced the one of this task'],
    ['bound to nothing', (c) => inside(c, { secret: undefined }), 'not bound to its anchor'],
    ['bound to another anchor', (c) => inside(c, { secret: { name: 'x', uid: 'y' } }), 'not bound to its anchor'],
    [
      'bound to an anchor of another name',
      (c) => inside(c, { secret: { ...(c['kubernetes.io'] as { secret: Fields }).secret, name: 'x' } }),
      'not bound',
    ],
    [
      'bound to an anchor of another UID',
      (c) => inside(c, { secret: { ...(c['kubernetes.io'] as { secret: Fields }).secret, uid: 'y' } }),
      'not bound',
    ],
    ['longer alive', (c) => ({ ...c, exp: Number(c['exp']) + 1 }), 'longer alive than was asked for'],
    ['without an end', (c) => ({ ...c, exp: undefined }), 'without a known end'],
    ['dead on arrival', (c) => ({ ...c, exp: c['iat'] }), 'dead on arrival'],
    ['no JWT', () => 'canary', 'no JWT'],
    ['no JWT of three parts', () => 'a.canary.c', 'no JWT'],
  ]
  test.each(rows)('%s', async (_name, claims, says) => {
    const world = makeWorld()
    world.fake.claims = claims
    const { lease, ...result } = await world.issue()
    expect(result).toMatchObject({ ok: false, failure: { reason: 'IssueFailed', message: expect.stringContaining(says) } })
    expect(JSON.stringify(result)).not.toContain('canary')
    expect(anchorsOf(world)).toEqual([])
    // nobody was given it, so nobody has to be waited for
    expect(await world.provider.revoke(params, { lease })).toEqual(done)
  })
})

describe('what a namespace has to give, in words', () => {
  const rows: readonly (readonly [string, (fake: Fake) => void, Partial<Order>, string])[] = [
    [
      'no Role',
      (fake) => void Object.assign(fake.namespaces['finance'] ?? {}, { role: false }),
      {},
      'give it a Role in namespace `finance`',
    ],
    ['no label', (fake) => void Object.assign(fake.namespaces['finance'] ?? {}, { optedIn: false }), {}, 'has not opted in'],
    ['no namespace any more', (fake) => void Object.assign(fake.namespaces['finance'] ?? {}, { terminating: true }), {}, 'being deleted'],
    ['kube-system', () => undefined, { task: toTaskKey('kube-system', 'x') }, 'no tokens are given in namespace `kube-system`'],
    ['the operator\u2019s own', () => undefined, { task: toTaskKey('taskbound-system', 'x') }, 'no tokens are given'],
    ['a name that is none', () => undefined, { task: toTaskKey('..', 'x') }, 'no name that Kubernetes knows'],
    ['no ServiceAccount', () => undefined, { serviceAccount: '' }, 'ServiceAccount of its Agent is not known'],
    ['a path for a ServiceAccount', () => undefined, { serviceAccount: '../secrets' }, 'ServiceAccount of its Agent is not known'],
  ]
  test.each(rows)('%s', async (_name, change, order, says) => {
    const world = makeWorld()
    change(world.fake)
    const { lease: _, ...result } = await world.issue(order)
    expect(result).toMatchObject({ ok: false, failure: { reason: 'IssueFailed', message: expect.stringContaining(says) } })
    expect(anchorsOf(world)).toEqual([])
  })
  test('nothing is even asked for in a namespace that is nobody\u2019s', async () => {
    const world = makeWorld()
    await world.issue({ task: toTaskKey('kube-system', 'x') })
    expect(world.fake.calls).toEqual([])
  })
})

describe('the API server\u2019s own audience', () => {
  const open = { ...params, audiences: [...params.audiences, 'https://inside.example'] }
  test('is refused when a token for it is let in, and the provider is not ready from then on', async () => {
    const world = makeWorld()
    world.fake.own = [issuer, 'https://inside.example']
    expect(await world.provider.ready(open)).toEqual(done)
    const { lease: _, ...result } = await world.issue({ audience: 'https://inside.example' }, open)
    expect(result).toMatchObject({ ok: false, failure: { message: expect.stringContaining('an audience of the API server itself') } })
    expect(anchorsOf(world)).toEqual([])
    expect(await world.provider.ready(open)).toMatchObject({ ok: false, failure: { reason: 'ProviderConfigInvalid' } })
  })
  test('is refused before, where the API server tells its issuer', async () => {
    const world = makeWorld()
    const ready = await world.provider.ready({ ...params, audiences: [issuer] })
    expect(ready).toMatchObject({ ok: false, failure: { reason: 'ProviderConfigInvalid', message: expect.stringContaining(issuer) } })
  })
  test('is given where the provider allows it', async () => {
    const world = makeWorld()
    const allowed: ServiceAccountTokenParams = { ...params, audiences: [issuer], allowApiServerAudience: true }
    expect(await world.provider.ready(allowed)).toEqual(done)
    const issued = await world.issue({ audience: issuer }, allowed)
    expect(issued.ok && world.fake.admits(tokenIn(issued.value))).toBe(true)
  })
  test('is taken for possible while nobody says: no token is given', async () => {
    const world = makeWorld()
    world.fake.before = (call) => (call.endsWith('/tokenreviews') ? { status: 500, body: {} } : undefined)
    expect((await world.issue()).ok).toBe(false)
    expect(anchorsOf(world)).toEqual([])
  })
})

describe('revoked means refused', () => {
  async function live() {
    const world = makeWorld()
    const issued = await world.issue()
    if (!issued.ok) throw new Error(issued.failure.message)
    const token = tokenIn(issued.value)
    return { ...world, world, token, lease: issued.lease, admitted: () => world.fake.admits(token, audience) }
  }
  test('not while the API server remembers the token, and then', async () => {
    const { provider, fake, lease, admitted } = await live()
    expect(admitted()).toBe(true)
    const first = await provider.revoke(params, { lease })
    expect(first).toMatchObject({ ok: false, failure: { reason: 'RevocationUnconfirmed', message: expect.stringContaining('remember') } })
    expect(admitted()).toBe(true)
    const left = timeLeft(fake, first) ?? 0
    expect(left).toBeGreaterThan(10_000)
    fake.passed += left - 500
    expect((await provider.revoke(params, { lease })).ok).toBe(false)
    fake.passed += 501
    expect(await provider.revoke(params, { lease })).toEqual(done)
    expect(admitted()).toBe(false)
    // a row that could not be written asks again, and is not put off again
    expect(await provider.revoke(params, { lease })).toEqual(done)
    expect(fake.calls.filter((call) => call.startsWith('DELETE'))).toHaveLength(1)
  })
  test('a leader that remembers nothing waits anew', async () => {
    const { provider, fake, lease, world } = await live()
    await provider.revoke(params, { lease })
    fake.passed += 10_500
    const next = world.successor()
    const asked = await next.revoke(params, { lease })
    expect(timeLeft(fake, asked)).toBeGreaterThan(10_000)
    fake.passed += 11_001
    expect(await next.revoke(params, { lease })).toEqual(done)
  })
  const heldFor: readonly (readonly [number | undefined, readonly (readonly [number, boolean])[]])[] = [
    [
      undefined,
      [
        [59_000, false],
        [70_900, false],
        [71_100, true],
      ],
    ],
    [
      20_000,
      [
        [20_000, false],
        [30_900, false],
        [31_100, true],
      ],
    ],
    [
      65_000,
      [
        [65_000, false],
        [70_900, false],
        [71_100, true],
      ],
    ],
  ]
  test.each(heldFor)(
    'an anchor that a finalizer holds: 70 seconds after its deletion, or ten after it goes (at %s ms)',
    async (goes, looks) => {
      const { provider, fake, lease, admitted } = await live()
      for (const secret of fake.secrets.values()) secret.finalizer = true
      expect(admitted()).toBe(true)
      const held = await provider.revoke(params, { lease })
      expect(held).toMatchObject({ ok: false, failure: { message: expect.stringContaining('finalizer') } })
      let passed = 0
      for (const [when, dead] of looks) {
        fake.passed += when - passed
        passed = when
        if (when === goes) fake.secrets.clear()
        expect([when, (await provider.revoke(params, { lease })).ok]).toEqual([when, dead])
        if (dead) expect(admitted()).toBe(false)
      }
    },
  )
  test.each([false, true])('another Secret of the same name is left alone, and counts as gone (noticed late: %s)', async (late) => {
    const { provider, fake, lease } = await live()
    fake.late = late
    const [key = ''] = fake.secrets.keys()
    const other = { uid: 'another', ours: false, finalizer: false, deletedAt: undefined }
    fake.secrets.set(key, other)
    expect(await provider.revoke(params, { lease })).toMatchObject({ ok: false, failure: { until: expect.any(Number) } })
    expect(fake.secrets.get(key)).toBe(other)
  })
  test.each([
    ['is refused', { status: 403, body: { message: 'canary' } }],
    ['fails', { status: 500, body: { message: 'canary' } }],
    ['is a conflict of another kind', { status: 409, body: { reason: 'Conflict', message: 'canary' } }],
    ['is lost', 'lost'],
  ] as const)('not where the deletion %s', async (_name, answer) => {
    const { provider, fake, lease } = await live()
    fake.before = () => answer
    const asked = await provider.revoke(params, { lease })
    expect(asked).toMatchObject({ ok: false, failure: { reason: 'RevocationUnconfirmed' } })
    expect(timeLeft(fake, asked)).toBeUndefined()
    expect(JSON.stringify(asked)).not.toContain('canary')
  })
  test.each(['', '{}', 'null', '[]', '{"namespace":"finance","name":"other","uid":"u"}', '{"namespace":"finance","name":"NAME","uid":""}'])(
    'not where the row says %s',
    async (text) => {
      const { provider, lease, notes, fake } = await live()
      notes.set(lease.handle, [text.replace('NAME', `taskbound-${lease.handle}.anchor`)])
      expect((await provider.revoke(params, { lease })).ok).toBe(false)
      expect(fake.calls.filter((call) => call.startsWith('DELETE'))).toEqual([])
    },
  )
})

describe('a look at what should be alive', () => {
  const rows: readonly (readonly [string, (world: World) => void, string])[] = [
    ['its anchor is there', () => undefined, 'Alive'],
    ['its anchor is gone', ({ fake }) => fake.secrets.clear(), 'Dead'],
    [
      'another Secret has the name',
      ({ fake }) => {
        for (const key of fake.secrets.keys()) fake.secrets.set(key, { uid: 'x', ours: true, finalizer: false, deletedAt: undefined })
      },
      'Dead',
    ],
    ['the API server fails', ({ fake }) => void Object.assign(fake, { before: () => ({ status: 500, body: {} }) }), 'Unknown'],
    ['it refuses', ({ fake }) => void Object.assign(fake, { before: () => ({ status: 403, body: {} }) }), 'Unknown'],
    ['it does not answer', ({ fake }) => void Object.assign(fake, { before: () => 'lost' }), 'Unknown'],
    ['nothing was noted', ({ notes }) => notes.clear(), 'Unknown'],
    ['what was noted is none of its anchor', ({ notes }) => notes.forEach((_, handle) => void notes.set(handle, ['{}'])), 'Unknown'],
  ]
  test.each(rows)('%s', async (_name, change, sight) => {
    const world = makeWorld()
    const { lease } = await world.issue()
    change(world)
    const before = anchorsOf(world)
    expect(await world.provider.outside?.inspection?.look(params, [world.noted(lease)])).toEqual([sight])
    expect(anchorsOf(world)).toEqual(before)
  })
})

describe('lost answers and crashes', () => {
  test('an anchor that nobody noted has no token: its row closes at once, and it is deleted by its name', async () => {
    const world = makeWorld()
    world.fake.after = (call, own) => (call.endsWith('/secrets') ? 'lost' : own)
    const { lease, ok } = await world.issue()
    expect(ok).toBe(false)
    expect(anchorsOf(world)).toHaveLength(1)
    expect(await world.successor().revoke(params, { lease })).toEqual(done)
    expect(anchorsOf(world)).toEqual([])
  })
  test('and again later, should it have come late', async () => {
    const world = makeWorld()
    const lease = world.lease()
    await world.provider.revoke(params, { lease })
    world.dying.delete(lease.handle)
    await world.provider.issue(params, world.order(), { lease })
    expect(anchorsOf(world)).toHaveLength(1)
    expect(await world.provider.outside?.clean(params, lease)).toEqual(done)
    expect(anchorsOf(world)).toEqual([])
  })
  test('a Secret of its name that somebody else made is nothing of ours to clean', async () => {
    const world = makeWorld()
    const lease = world.lease()
    world.fake.secrets.set(`finance/taskbound-${lease.handle}.anchor`, { uid: 'x', ours: false, finalizer: false, deletedAt: undefined })
    expect(await world.provider.outside?.clean(params, lease)).toEqual(done)
    expect(anchorsOf(world)).toHaveLength(1)
  })
  test('a token whose answer was lost dies with the anchor', async () => {
    const world = makeWorld()
    let token = ''
    world.fake.after = (call, own) => {
      if (!call.endsWith('/token')) return own
      token = (own.body['status'] as { token: string }).token
      return 'lost'
    }
    expect((await world.issue()).ok).toBe(false)
    expect(token).not.toBe('')
    expect(world.fake.admits(token, audience)).toBe(false)
  })
  test('a renewal whose anchor is gone fails, and says so; it makes no other', async () => {
    const world = makeWorld()
    const { lease } = await world.issue()
    world.fake.secrets.clear()
    const renewed = await world.provider.renew(params, world.order(), { lease })
    expect(renewed).toMatchObject({ ok: false, failure: { message: expect.stringContaining('is gone or was replaced') } })
    expect(anchorsOf(world)).toEqual([])
  })
  test('a renewal that fails leaves what it should follow alive', async () => {
    const world = makeWorld()
    const issued = await world.issue()
    world.fake.before = (call) => (call.endsWith('/token') ? { status: 500, body: {} } : undefined)
    expect((await world.provider.renew(params, world.order(), { lease: issued.lease })).ok).toBe(false)
    expect(issued.ok && world.fake.admits(tokenIn(issued.value), audience)).toBe(true)
  })
})

describe('a life', () => {
  test('is never below what the API server gives, and what is ordered less is reported as ordered', async () => {
    const world = makeWorld()
    const order = world.order()
    const issued = await world.issue({ expiresAt: (order.issuedAt + 300_000) as Order['expiresAt'] })
    expect(issued).toMatchObject({ ok: true, value: { expiresAt: order.issuedAt + 300_000 } })
  })
  test('that the API server cuts short is reported as it is', async () => {
    const world = makeWorld()
    world.fake.claims = (claims) => ({ ...claims, exp: Number(claims['iat']) + 700 })
    const order = world.order()
    const issued = await world.issue()
    const life = issued.ok ? issued.value.expiresAt - order.issuedAt : 0
    expect(life).toBeGreaterThan(690_000)
    expect(life).toBeLessThan(710_000)
  })
  test('of a token that was made by a clock far ahead is counted by ours', async () => {
    const world = makeWorld()
    const hour = 3600
    world.fake.claims = (claims) => ({ ...claims, iat: Number(claims['iat']) + hour, exp: Number(claims['exp']) + hour })
    const issued = await world.issue()
    expect(issued.ok && issued.value.expiresAt <= world.order().expiresAt).toBe(true)
  })
})

describe('ready', () => {
  const rows: readonly (readonly [string, (fake: Fake) => void, string, string])[] = [
    ['the fence is gone', (f) => void Object.assign(f.fence, { policy: undefined }), 'ProviderConfigInvalid', 'is not in force'],
    ['its binding is gone', (f) => void Object.assign(f.fence, { binding: undefined }), 'ProviderConfigInvalid', 'is not in force'],
    [
      'the fence fails open',
      (f) => void Object.assign(f.fence, { policy: { failurePolicy: 'Ignore' } }),
      'ProviderConfigInvalid',
      'is not in force',
    ],
    [
      'its binding only warns',
      (f) => void Object.assign(f.fence, { binding: { validationActions: ['Warn'] } }),
      'ProviderConfigInvalid',
      'is not in force',
    ],
    [
      'the operator may everywhere',
      (f) => void Object.assign(f, { mayAnywhere: true }),
      'ProviderConfigInvalid',
      'take `serviceaccounts/token` out',
    ],
    [
      'the operator may not ask',
      (f) => void Object.assign(f, { mayReview: false }),
      'ProviderConfigInvalid',
      'may not create `tokenreviews`',
    ],
    ['nobody answers', (f) => void Object.assign(f, { before: () => 'lost' }), 'ProviderUnreachable', 'did not answer in time'],
  ]
  test.each(rows)('not while %s', async (_name, change, reason, says) => {
    const { fake, provider } = makeWorld()
    change(fake)
    expect(await provider.ready(params)).toMatchObject({ ok: false, failure: { reason, message: expect.stringContaining(says) } })
  })
  test.each([
    ['lists nothing', { audiences: [] }],
    ['lists what only looks the same', { audiences: ['https://registry.c\u043erp.example'] }],
    ['gives less than can be had', { maxTTLSeconds: 599 }],
  ] as const)('not where the block %s, and nothing is issued', async (_name, change) => {
    const world = makeWorld()
    const wrong = { ...params, ...change } as ServiceAccountTokenParams
    expect(await world.provider.ready(wrong)).toMatchObject({ ok: false, failure: { reason: 'ProviderConfigInvalid' } })
    expect((await world.issue({}, wrong)).ok).toBe(false)
  })
  test('a discovery that is forbidden is no failure', async () => {
    const { fake, provider } = makeWorld()
    fake.before = (call) => (call.includes('openid') ? { status: 403, body: {} } : undefined)
    expect(await provider.ready(params)).toEqual(done)
  })
})

test('the class is as strong as the weakest of those who are shown the tokens', () => {
  const { provider } = makeWorld()
  expect(provider.promises(params)).toMatchObject({ revocation: 'Immediate', bound: 70_000 })
  expect(provider.promises({ ...params, verification: 'Keys' })).toMatchObject({ revocation: 'Checked', bound: 70_000 })
})

test('two tasks of one name have anchors of their own', async () => {
  const world = makeWorld()
  const [one, two] = [await world.issue(), await world.issue({ taskUid: asUid('22222222-2222-4333-8444-555555555555') })]
  expect(anchorsOf(world)).toHaveLength(2)
  await world.provider.revoke(params, { lease: one.lease })
  expect(two.ok && world.fake.admits(tokenIn(two.value), audience)).toBe(true)
})
