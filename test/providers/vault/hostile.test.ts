// A Vault that lies, is something else, or is set up so that what it gives could outlive a task: each is refused in words of ours, and what
// it did give is given back.

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { plus, seconds } from '../../../src/lib/instant.ts'
import type { VaultParams } from '../../../src/providers/vault/params.ts'
import type { Answer } from '../../support/stand-in.ts'
import { type Fake, type Json, paths, type Request, roleData, startFake } from './fake.ts'
import { fakeParams, makeWorld, now, type World } from './world.ts'

let fake: Fake
let world: World
beforeEach(async () => {
  fake = await startFake()
  world = makeWorld(fakeParams(fake))
})
afterEach(async () => {
  world.http.close()
  await fake.close()
})

const done = { ok: true, value: undefined }
const is = (request: Request, call: string): boolean => `${request.method} ${request.path}` === call
const inAuth = (answer: Answer, change: Json): Answer => {
  const body = answer.body as Json
  return { ...answer, body: { ...body, auth: { ...(body['auth'] as Json), ...change } } }
}
const inBody = (answer: Answer, change: Json): Answer => ({ ...answer, body: { ...(answer.body as Json), ...change } })
const login = 'POST auth/jwt/login'
const read = `GET ${paths.lease}`
const renewal = 'PUT auth/token/renew-self'
const page = { status: 200, body: '<html>canary-71</html>', headers: { 'content-type': 'text/html' } }

describe('an answer that is not what was asked for', () => {
  const cases: readonly (readonly [string, string, (answer: Answer) => Answer, RegExp])[] = [
    ['a login with a longer first life', login, (a) => inAuth(a, { lease_duration: 3600 }), /token_ttl=60s/],
    ['a login without end', login, (a) => inAuth(a, { lease_duration: 0 }), /does not expire/],
    ['a batch token', login, (a) => inAuth(a, { token_type: 'batch', accessor: '' }), /cannot be ended/],
    ['a token that cannot be renewed', login, (a) => inAuth(a, { renewable: false }), /cannot be renewed/],
    ['a token of somebody else', login, (a) => inAuth(a, { metadata: { taskbound_handle: 'tbother' } }), /does not say whose it is/],
    ['a token that breaks a header', login, (a) => inAuth(a, { client_token: 'a\r\nx: y' }), /without a token/],
    ['a login without anything', login, () => ({ status: 200, body: {} }), /without a token/],
    ['a page', login, () => page, /no JSON/],
    ['a redirect', login, () => ({ status: 307, headers: { location: 'https://169.254.169.254/' } }), /sends elsewhere/],
    ['a lease of another path', read, (a) => inBody(a, { lease_id: 'database/creds/admin/x' }), /lease of something else/],
    ['a lease that climbs', read, (a) => inBody(a, { lease_id: `${paths.lease}/../../x` }), /lease of something else/],
    ['no lease', read, (a) => inBody(a, { lease_id: '' }), /has no lease/],
    ['a lease without end', read, (a) => inBody(a, { lease_duration: 0 }), /does not expire/],
    ['no fields', read, (a) => inBody(a, { data: {} }), /has no fields/],
    ['a field that is no key', read, (a) => inBody(a, { data: { '../x': 'canary-71' } }), /cannot be a key/],
    [
      'fields without end',
      read,
      (a) => inBody(a, { data: Object.fromEntries([...Array(99).keys()].map((i) => [`f${i}`, 'x'])) }),
      /more than 64/,
    ],
    ['a page for a lease', read, () => page, /no JSON/],
    ['a gigabyte', read, () => ({ status: 200, body: 'x'.repeat(1 << 21) }), /longer than a megabyte/],
    ['an error with a secret in it', read, () => ({ status: 500, body: { errors: ['canary-71'] } }), /status 500/],
    ['a longer life than was asked for', renewal, (a) => inAuth(a, { lease_duration: 90_000 }), /longer life/],
    ['a shorter life than is of use', renewal, (a) => inAuth(a, { lease_duration: 30 }), /lives 30 seconds only/],
  ]
  test.each(cases)('%s', async (_what, call, change, message) => {
    fake.after = (request, answer) => (is(request, call) && request.body['role'] !== 'operator' ? change(answer) : undefined)
    const lease = world.lease()
    const refused = await world.provider.issue(world.params, world.order(), { lease })
    expect(refused).toMatchObject({ ok: false, failure: { reason: 'IssueFailed', message: expect.stringMatching(message) } })
    expect(JSON.stringify(refused)).not.toContain('canary-71')
    fake.after = undefined
    // what had no answer may still be being made
    world.passed += 10_000
    expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
    expect([fake.alive(), [...fake.leases.keys()]]).toEqual([[], []])
    // all but those that were never told of
    const mine = [...fake.tokens.values()].filter(({ role }) => role === 'tasks')
    expect(mine.length).toBeLessThanOrEqual(message.source.match(/without a token|JSON|elsewhere/) && call === login ? 1 : 0)
  })

  test('a 200 to a revocation that did nothing is not believed', async () => {
    const task = await world.issue()
    fake.before = (request) => (/^(sys\/leases\/revoke|auth\/token\/revoke-accessor)$/.test(request.path) ? { status: 204 } : undefined)
    expect(await task.revoke()).toMatchObject({ ok: false, failure: { message: expect.stringContaining('still there') } })
    fake.before = undefined
    expect(await task.revoke()).toEqual(done)
  })

  test.each<readonly [string, Answer]>([
    ['a proxy that knows no such page', { status: 404, body: '<html>not found</html>' }],
    ['an empty 404', { status: 404, body: { errors: [] } }],
    ['a page with the words in it', { status: 404, body: 'invalid accessor' }],
    ['a refusal', { status: 403, body: { errors: ['permission denied'] } }],
    ['a refusal of the operator\u2019s token', { status: 403, body: { errors: ['bad token'] } }],
    ['a success of another kind', { status: 302, body: { errors: ['invalid accessor'] } }],
    ['a redirect', { status: 307, headers: { location: 'https://elsewhere.example' } }],
    ['a failure that has the words', { status: 500, body: { errors: ['invalid accessor'] } }],
  ])('%s is not taken for death', async (_what, answer) => {
    const task = await world.issue()
    fake.before = (request) => (request.path.includes('lookup') ? answer : undefined)
    expect(await task.revoke()).toMatchObject({ ok: false, failure: { reason: 'RevocationUnconfirmed' } })
    fake.before = undefined
    expect(await task.revoke()).toEqual(done)
    expect(fake.leases.size).toBe(0)
  })
})

test.each([
  [0, read],
  [1, renewal],
])('where note %i is not taken, %s is not asked for, and the login is given back', async (refuse, call) => {
  world.refuses = (_, nth) => nth === refuse
  expect((await world.provider.issue(world.params, world.order(), { lease: world.lease() })).ok).toBe(false)
  expect(fake.requests.filter((request) => is(request, call))).toEqual([])
  expect([fake.tokens.size, fake.leases.size]).toEqual([0, 0])
})

test('a token of another handle is not ended, whatever a row says', async () => {
  const [mine, theirs] = [await world.issue(), await world.issue()]
  world.notes.set(mine.lease.handle, world.notes.get(theirs.lease.handle) ?? [])
  expect(await mine.revoke()).toMatchObject({ ok: false, failure: { message: expect.stringContaining('somebody else') } })
  expect(fake.alive()).toHaveLength(2)
})

test('a redirect takes no token and no login anywhere', async () => {
  const other = await startFake()
  fake.before = ({ path }) => ({ status: 307, headers: { location: `https://localhost:${other.port}/v1/${path}` } })
  expect((await world.provider.issue(world.params, world.order(), { lease: world.lease() })).ok).toBe(false)
  expect((await world.provider.ready(world.params)).ok).toBe(false)
  expect(other.requests).toEqual([])
  await other.close()
})

test('the operator logs in once for many, and again where its token is refused', async () => {
  const tasks = [await world.issue(), await world.issue(), await world.issue()]
  expect(await Promise.all(tasks.map((task) => task.revoke()))).toEqual([done, done, done])
  const logins = () => fake.requests.filter(({ path, body }) => path === 'auth/jwt/login' && body['role'] === 'operator').length
  expect(logins()).toBe(1)
  const more = await world.issue()
  for (const [token, { role }] of fake.tokens) if (role === 'operator') fake.tokens.delete(token)
  expect(await more.revoke()).toEqual(done)
  expect(logins()).toBe(2)
})

test('nothing that was issued before is tried again with a token of the task, nor anything sent to another namespace', async () => {
  const params = { ...world.params, vaultNamespace: 'teams/payroll' }
  const task = await world.issue({}, params)
  await task.revoke(params)
  for (const { headers } of fake.requests) expect(headers['x-vault-namespace']).toBe('teams/payroll')
})

test('a login is not ended while something may be being made by it, and is then', async () => {
  fake.after = (request) => (is(request, read) ? 'cut' : undefined)
  const lease = world.lease()
  expect((await world.provider.issue(world.params, world.order(), { lease })).ok).toBe(false)
  fake.after = undefined
  for (const passes of [0, 5_000]) {
    world.passed += passes
    expect(await world.provider.revoke(world.params, { lease })).toMatchObject({
      ok: false,
      failure: { message: expect.stringContaining('may still be under way') },
    })
  }
  expect(fake.requests.filter(({ path }) => path.includes('revoke'))).toEqual([])
  world.passed += 5_000
  expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
  expect(fake.leases.size).toBe(0)
})

test('renewals that fail one after the other are not piled up without end', async () => {
  const task = await world.issue()
  fake.before = (request) => (is(request, renewal) ? { status: 500, body: {} } : undefined)
  for (let i = 0; i < 20; i += 1) expect((await task.renew({ expiresAt: plus(now(), seconds(900)) })).ok).toBe(false)
  expect(JSON.parse(world.notes.get(task.lease.handle)?.at(-1) ?? '').length).toBeLessThanOrEqual(16)
  fake.before = undefined
  expect(await task.revoke()).toEqual(done)
  expect(fake.alive()).toEqual([])
})

test('a row whose note cannot be read is not taken for dead', async () => {
  const task = await world.issue()
  for (const note of [
    '',
    '{}',
    'null',
    '[1]',
    '[{"accessor":"","until":1}]',
    '[{"accessor":"a","lease":3,"until":1}]',
    '[{"accessor":"a"}]',
  ]) {
    const { lease } = task
    world.notes.set(lease.handle, [note])
    expect([note, (await task.revoke()).ok]).toEqual([note, false])
  }
})

describe('is not ready, and says why,', () => {
  const role: readonly (readonly [string, Json, RegExp])[] = [
    ['when its role is of another kind', { role_type: 'oidc' }, /role_type/],
    ['when its role is for another audience', { bound_audiences: ['https://other.example'] }, /bound_audiences/],
    ['when its role lets every namespace in', { bound_claims: { '/taskbound/agent': 'a' } }, /bound_claims/],
    ['when its tokens do not say whose they are', { claim_mappings: null }, /claim_mappings/],
    ['when its tokens are of the kind batch', { token_type: 'batch' }, /token_type/],
    ['when an unused login lives long', { token_ttl: 3600 }, /token_ttl/],
    ['when an unused login lives as long as the server likes', { token_ttl: 0 }, /token_ttl/],
    ['when its tokens have no last day', { token_period: 60 }, /token_period/],
    ['when its tokens are used up', { token_num_uses: 1 }, /token_num_uses/],
    ['when its tokens end before what it promises', { token_max_ttl: 600 }, /token_max_ttl/],
    ['when they do so in other words', { token_explicit_max_ttl: 600 }, /token_explicit_max_ttl/],
  ]
  test.each(role)('%s', async (_what, change, message) => {
    fake.role = { ...roleData, ...change }
    expect(await world.provider.ready(world.params)).toMatchObject({
      ok: false,
      failure: { reason: 'ProviderConfigInvalid', message: expect.stringMatching(message) },
    })
  })

  const able: readonly (readonly [string, Record<string, string[]>, RegExp])[] = [
    ['when the operator cannot end tokens', { 'auth/token/revoke-accessor': ['deny'] }, /do not allow `update` at `auth\/token\/revoke/],
    ['when the operator cannot look leases up', { 'sys/leases/lookup': ['read'] }, /do not allow `update` at `sys\/leases\/lookup/],
    ['when the operator cannot see the role', { 'auth/jwt/role/tasks': ['deny'] }, /do not allow `read`/],
    ['when the operator is root', { 'auth/jwt/role/tasks': ['root'] }, /those of root/],
    ['when the operator can read what tasks read', { [paths.lease]: ['read'] }, /which only tasks may read/],
  ]
  test.each(able)('%s', async (_what, change, message) => {
    fake.able = change
    expect(await world.provider.ready(world.params)).toMatchObject({
      ok: false,
      failure: { reason: 'ProviderConfigInvalid', message: expect.stringMatching(message) },
    })
  })

  const answers: readonly (readonly [string, Answer, RegExp])[] = [
    ['while it is sealed', { status: 503, body: { errors: ['Vault is sealed'] } }, /it is sealed/],
    ['while it is a standby', { status: 473, body: {} }, /a standby/],
    ['while it is a standby that redirects', { status: 307, headers: { location: 'https://a.example' } }, /active server/],
    ['before it is initialised', { status: 501, body: {} }, /never initialised/],
    ['when it has had too much', { status: 429, body: {} }, /a quota/],
    ['when its role refuses the operator', { status: 400, body: { errors: ['claim "sub" canary'] } }, /operatorRole/],
  ]
  test.each(answers)('%s', async (_what, answer, message) => {
    fake.before = () => answer
    const judged = await world.provider.ready(world.params)
    expect(judged).toMatchObject({ ok: false, failure: { reason: 'ProviderUnreachable', message: expect.stringMatching(message) } })
    expect(JSON.stringify(judged)).not.toContain('canary')
  })

  const params: readonly (readonly [string, Partial<VaultParams>])[] = [
    ['address', { address: 'http://vault.example' }],
    ['address', { address: 'https://me:pw@vault.example' }],
    ['address', { address: 'https://vault.example/v1' }],
    ['authMount', { authMount: '../sys' }],
    ['vaultNamespace', { vaultNamespace: 'a/../b' }],
    ['role', { role: 'a/b' }],
    ['must differ', { role: 'operator' }],
    ['audience', { audience: '' }],
    ['paths', { paths: [] }],
    ['paths', { paths: [{ path: 'sys/raw/core', kind: 'Lease' }] }],
    ['paths', { paths: [{ path: 'secret/data/../../sys', kind: 'Lease' }] }],
    ['paths', { paths: [{ path: 'secret/data/a?b', kind: 'Lease' }] }],
    [
      'one `kind`',
      {
        paths: [
          { path: 'secret/data/a', kind: 'Static' },
          { path: 'database/creds/a', kind: 'Lease' },
        ],
      },
    ],
    ['caBundle', { caBundle: 'none' }],
    ['allowedAddresses', { allowedAddresses: ['everything'] }],
    ['maxTTLSeconds', { maxTTLSeconds: 60 }],
  ]
  test.each(params)('when its block cannot be meant: %s, %j', async (word, change) => {
    const broken = { ...world.params, ...change }
    expect(await world.provider.ready(broken)).toMatchObject({
      ok: false,
      failure: { reason: 'ProviderConfigInvalid', message: expect.stringContaining(word) },
    })
    expect((await world.provider.issue(broken, world.order(), { lease: world.lease() })).ok).toBe(false)
    expect(fake.requests).toEqual([])
  })
})

describe('whether somebody ended what a task has', () => {
  const sight = async (renewed = false) => {
    const task = await world.issue()
    if (renewed) {
      fake.after = (request) => (is(request, renewal) ? { status: 500, body: { errors: [] } } : undefined)
      expect((await task.renew()).ok).toBe(false)
      fake.after = undefined
    }
    return () => world.provider.outside?.inspection?.look(world.params, [world.noted(task.lease)])
  }

  test.each<readonly [string, Answer]>([
    ['a page of a proxy', page],
    ['a 404 of a proxy', { status: 404, body: '<html>not found</html>' }],
    ['a 404 without a word', { status: 404, body: { errors: [] } }],
    ['a refusal', { status: 403, body: { errors: ['permission denied'] } }],
    ['a sealed server', { status: 503, body: { errors: ['Vault is sealed'] } }],
    ['a redirect', { status: 307, headers: { location: 'https://other.example/' } }],
  ])('is not concluded from %s', async (_name, answer) => {
    const look = await sight()
    fake.before = ({ path }) => (path.endsWith('lookup-accessor') ? answer : undefined)
    expect(await look()).toEqual(['Unknown'])
    fake.before = ({ path }) => (path === 'sys/leases/lookup' ? answer : undefined)
    expect(await look()).toEqual(['Unknown'])
    fake.before = undefined
    expect(await look()).toEqual(['Alive'])
  })

  test('is not concluded from a renewal that came to nothing and was given back', async () => {
    const look = await sight(true)
    expect(fake.alive()).toHaveLength(1)
    expect(await look()).toEqual(['Alive'])
    fake.leases.clear()
    expect(await look()).toEqual(['Dead'])
  })

  test('is asked of no value that existed before', async () => {
    const task = await world.issue({ scopes: [paths.value] }, { ...world.params, paths: [{ path: paths.value, kind: 'Static' }] })
    fake.requests.length = 0
    const params: VaultParams = { ...world.params, paths: [{ path: paths.value, kind: 'Static' }] }
    expect(await world.provider.outside?.inspection?.look(params, [world.noted(task.lease)])).toEqual(['Unknown'])
    expect(fake.requests).toEqual([])
  })
})

describe('what a renewal has replaced', () => {
  const usernames = () => fake.alive().map((id) => fake.leases.get(id)?.username)
  const retire = async (task: Awaited<ReturnType<World['issue']>>, attempt: number) => {
    const retired = await world.provider.outside?.retirement?.retire(world.params, world.noted(task.lease), attempt)
    if (retired?.ok === true && retired.value !== undefined) world.notes.get(task.lease.handle)?.push(retired.value)
    return retired?.ok === true ? (retired.value ?? 'nothing') : retired?.failure
  }

  test('is ended, and what was made by the same renewal or later is not; the row then names what is left', async () => {
    const task = await world.issue({ attempt: 4 })
    for (const attempt of [5, 6]) expect((await task.renew({ attempt })).ok).toBe(true)
    const [, second, third] = usernames()
    expect(await retire(task, 4)).toBe('nothing')
    expect(await retire(task, 5)).not.toContain('"attempt":4')
    expect(usernames()).toEqual([second, third])
    expect(await retire(task, 5)).toBe('nothing')
    expect(await retire(task, 7)).toBe('nothing')
    expect(await task.revoke()).toEqual(done)
    expect(usernames()).toEqual([])
  })

  test('of two renewals of one number the last is the one that pods hold', async () => {
    const task = await world.issue({ attempt: 1 })
    for (let i = 0; i < 2; i += 1) expect((await task.renew({ attempt: 2 })).ok).toBe(true)
    const [, , last] = usernames()
    await retire(task, 2)
    expect(usernames()).toEqual([last])
  })

  test('stays in the row while its end is not confirmed', async () => {
    const task = await world.issue({ attempt: 1 })
    expect((await task.renew({ attempt: 2 })).ok).toBe(true)
    fake.engineDown = true
    expect(await retire(task, 2)).toMatchObject({ reason: 'RevocationUnconfirmed' })
    expect(world.noted(task.lease).reference).toContain('"attempt":1')
    fake.engineDown = false
    fake.before = ({ path }) => (path === 'auth/token/lookup-accessor' ? page : undefined)
    expect(await retire(task, 2)).toMatchObject({ reason: 'RevocationUnconfirmed' })
    fake.before = undefined
    expect(await retire(task, 2)).not.toContain('"attempt":1')
  })

  test('a row of before this was known has none', async () => {
    const task = await world.issue()
    expect((await task.renew()).ok).toBe(true)
    const plain = (JSON.parse(world.noted(task.lease).reference ?? '') as { attempt?: number }[]).map(({ attempt: _, ...rest }) => rest)
    world.notes.get(task.lease.handle)?.push(JSON.stringify(plain))
    expect(await retire(task, 1)).toBe('nothing')
    expect(usernames()).toHaveLength(2)
  })
})
