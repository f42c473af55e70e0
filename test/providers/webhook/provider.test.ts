import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { afterEach, describe, expect, test } from '@jest/globals'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { plus, seconds } from '../../../src/lib/instant.ts'
import { Material } from '../../../src/lib/material.ts'
import type { WebhookParams } from '../../../src/providers/webhook/params.ts'
import type { ReadKey } from '../../../src/providers/webhook/proofs.ts'
import { type Asked, audience, fakeWorld, loginKeys, now, type Reply, referenceWorld, tls, type World } from './world.ts'

const worlds: World[] = []
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.close()))
})
async function fake(answer: (asked: Asked) => Reply, change: Partial<WebhookParams> = {}) {
  const world = await fakeWorld(answer, change)
  worlds.push(world)
  return world
}
async function reference(change: Partial<WebhookParams> = {}) {
  const world = await referenceWorld(change)
  worlds.push(world)
  return world
}

const later = (order: { expiresAt: number }, ms = 0): string => new Date(order.expiresAt + ms).toISOString()
const done = { ok: true, value: undefined }
const otherKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

describe('a login', () => {
  test('is for one call: of the task where it is asked for, of the operator where it is ended, a minute long, for this service alone', async () => {
    const world = await fake(({ call, body }) =>
      call.endsWith('/inspect') ? { body: { state: 'Revoked' } } : { body: { fields: { key: 'k' }, expiresAt: body['expiresAt'] } },
    )
    const [order, lease] = [world.order(), world.lease()]
    expect(await world.provider.issue(world.params, order, { lease })).toMatchObject({ ok: true })
    expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
    expect(world.asked.map(({ call }) => call)).toEqual(['POST /v1/issue', 'POST /v1/revoke', 'POST /v1/inspect'])
    const claims = await Promise.all(
      world.asked.map(async ({ authorization }) => {
        const token = authorization.replace(/^Bearer /, '')
        const rules = { issuer: 'https://issuer.example/login', audience, typ: 'JWT' }
        return (await jwtVerify(token, createLocalJWKSet(loginKeys), rules)).payload
      }),
    )
    const [of, by] = claims
    expect(of).toMatchObject({
      sub: `spiffe://corp.example/ns/finance/agent/payroll-clerk/task/${order.taskUid}`,
      aud: audience,
      taskbound: {
        task: { uid: order.taskUid, namespace: 'finance', name: 'close-books' },
        agent: 'payroll-clerk',
        action: 'payroll.reconcile',
      },
    })
    expect(by?.['taskbound']).toBeUndefined()
    expect(by?.sub).toBe('spiffe://corp.example/taskbound')
    for (const { iat = 0, exp = 0 } of claims) expect(exp - iat).toBe(60)
    expect(new Set(claims.map(({ jti }) => jti)).size).toBe(3)
    expect(world.asked[0]?.body).toEqual({
      handle: lease.handle,
      effectBy: new Date(lease.effectBy).toISOString(),
      expiresAt: new Date(order.expiresAt).toISOString().replace('.000Z', 'Z'),
      credential: 'orders',
      scopes: ['orders:read'],
      agent: 'payroll-clerk',
      action: 'payroll.reconcile',
      task: { namespace: 'finance', name: 'close-books', uid: order.taskUid, attempt: 1 },
    })
  })

  test('of another task, or of a task for what is the operator\u2019s, gets nothing from the reference server', async () => {
    const world = await reference()
    const [order, lease] = [world.order(), world.lease()]
    expect(await world.provider.issue(world.params, order, { lease })).toMatchObject({ ok: true })
    const stolen = await fake(() => ({ body: {} }))
    await stolen.provider.issue(stolen.params, order, { lease: stolen.lease() })
    const authorization = stolen.asked[0]?.authorization ?? ''
    const { createHttp } = await import('../../../src/outbound/http.ts')
    const http = createHttp()
    const call = async (path: string, body: object) => {
      const { caBundle, allowedAddresses } = world.params
      const answer = await http.call({
        method: 'POST',
        url: `${world.params.url}/v1/${path}`,
        caBundle,
        allowedAddresses,
        headers: { authorization },
        body: JSON.stringify(body),
        limit: 2_000,
      })
      return answer.ok ? answer.value.status : answer.failure.sentence
    }
    expect(await call('revoke', { handle: lease.handle })).toBe(403)
    const other = { uid: 'other', namespace: 'finance', name: 'close-books' }
    expect(await call('issue', { handle: 'x', effectBy: later(order), expiresAt: later(order), task: other })).toBe(403)
    expect(world.server.alive()).toEqual([lease.handle])
    http.close()
  })
})

describe('an answer that is not what was asked for', () => {
  const rows: readonly (readonly [string, (asked: Asked) => Reply, RegExp])[] = [
    [
      'lives longer',
      ({ body }) => ({ body: { fields: { key: 'k' }, expiresAt: later({ expiresAt: Date.parse(String(body['expiresAt'])) }, 1000) } }),
      /lives longer than was asked for/,
    ],
    ['is dead already', () => ({ body: { fields: { key: 'k' }, expiresAt: '2001-01-01T00:00:00Z' } }), /dead on arrival/],
    ['has no time', () => ({ body: { fields: { key: 'k' } } }), /no time in `expiresAt`/],
    ['has a time that is none', () => ({ body: { fields: { key: 'k' }, expiresAt: 'tomorrow' } }), /no time in `expiresAt`/],
    ['has no fields', () => ({ body: { expiresAt: '2099-01-01T00:00:00Z' } }), /no `fields`/],
    ['has empty fields', () => ({ body: { fields: {}, expiresAt: '2099-01-01T00:00:00Z' } }), /no fields/],
    ['has an empty field', () => ({ body: { fields: { key: '' }, expiresAt: '2099-01-01T00:00:00Z' } }), /no text, or empty/],
    [
      'has a field that is no text',
      () => ({ body: { fields: { key: { a: 1 } }, expiresAt: '2099-01-01T00:00:00Z' } }),
      /no text, or empty/,
    ],
    ['has a field of a hostile name', () => ({ body: { fields: { '../x': 'k' }, expiresAt: '2099-01-01T00:00:00Z' } }), /key of a Secret/],
    [
      'has many fields',
      () => ({ body: { fields: Object.fromEntries([...Array(17).keys()].map((i) => [`k${i}`, 'v'])), expiresAt: '2099-01-01T00:00:00Z' } }),
      /more than 16/,
    ],
    [
      'has a field too long',
      () => ({ body: { fields: { key: 'x'.repeat(70_000) }, expiresAt: '2099-01-01T00:00:00Z' } }),
      /more than 65536 characters/,
    ],
    ['is a list', () => ({ body: [] }), /no JSON object/],
    ['is HTML', () => ({ headers: { 'content-type': 'text/html' }, body: '<html>canary-77</html>' }), /no JSON object/],
    ['is two megabytes', () => ({ body: 'x'.repeat(1 << 21) }), /longer than a megabyte/],
    [
      'redirects to the metadata service',
      () => ({ status: 307, headers: { location: 'https://169.254.169.254/' }, body: '' }),
      /redirect, which is not followed/,
    ],
    ['refuses the login', () => ({ status: 401, body: 'canary-77' }), /does not accept the login/],
    ['refuses the task', () => ({ status: 403, body: 'canary-77' }), /refuses this task/],
    ['knows the handle', () => ({ status: 409, body: 'canary-77' }), /has the handle already/],
    ['is an error', () => ({ status: 500, body: 'canary-77' }), /status 500/],
  ]
  test.each(rows)('%s: it is refused in our words, and nothing of it is shown', async (_name, answer, message) => {
    const world = await fake(answer)
    for (const call of ['issue', 'renew'] as const) {
      const made = await world.provider[call](world.params, world.order(), { lease: world.lease() })
      expect(made).toMatchObject({ ok: false, failure: { reason: 'IssueFailed', message: expect.stringMatching(message) } })
      expect(JSON.stringify(made)).not.toContain('canary-77')
    }
  })
})

describe('a revocation', () => {
  test.each([
    ['that is answered and did nothing', { state: 'Live' }, /then that it is Live/],
    ['of what is then not known', { state: 'Unknown' }, /then that it is Unknown/],
    ['whose state is a word of its own', { state: 'Dead' }, /no state that the contract knows/],
    ['that is answered with nothing', {}, /no state/],
  ])('%s is not believed', async (_name, inspected, message) => {
    const world = await fake(({ call }) => ({ body: call.endsWith('inspect') ? inspected : {} }))
    expect(await world.provider.revoke(world.params, { lease: world.lease() })).toMatchObject({
      ok: false,
      failure: { reason: 'RevocationUnconfirmed', message: expect.stringMatching(message) },
    })
  })

  test('of what was never made occupies the handle: an issue that comes late finds it used', async () => {
    const world = await reference()
    const lease = world.lease()
    expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
    expect(await world.provider.issue(world.params, world.order(), { lease })).toMatchObject({
      failure: { message: expect.stringContaining('has the handle already, or has ended it') },
    })
    expect(world.server.alive()).toEqual([])
  })

  test('an issue that comes after its time by the clock of the service makes nothing', async () => {
    const world = await reference()
    const lease = world.lease({ effectBy: plus(now(), seconds(-1)) })
    expect(await world.provider.issue(world.params, world.order(), { lease })).toMatchObject({
      failure: { message: expect.stringContaining('too late by its clock') },
    })
    expect(world.server.alive()).toEqual([])
  })

  test('is not forgotten before nothing can come late any more', async () => {
    const world = await reference()
    const lease = world.lease()
    await world.provider.revoke(world.params, { lease })
    expect(await world.provider.outside?.clean(world.params, lease)).toMatchObject({ ok: false })
    expect(await world.provider.outside?.list(world.params, world.prefix)).toEqual({ ok: true, value: [lease.handle] })
  })
})

test('a list shows nothing but handles of this installation, whatever the service says', async () => {
  const world = await fake(() => ({ body: { handles: ['x', '', `tb${'a'.repeat(36)}`, '../../etc'] } }))
  expect(await world.provider.outside?.list(world.params, world.prefix)).toEqual({ ok: true, value: [] })
  const odd = await fake(() => ({ body: { handles: [1] } }))
  expect(await odd.provider.outside?.list(odd.params, odd.prefix)).toMatchObject({ failure: { reason: 'ProviderUnreachable' } })
})

describe('Ready says what is wrong:', () => {
  const rows: readonly (readonly [string, string, RegExp, Partial<WebhookParams>, Reply?])[] = [
    ['a URL without TLS', 'ProviderConfigInvalid', /must begin with `https:\/\/`/, { url: 'http://localhost' }],
    ['a URL with a query', 'ProviderConfigInvalid', /no query/, { url: 'https://localhost/?a=b' }],
    ['a URL that is none', 'ProviderConfigInvalid', /`url`/, { url: 'https://' }],
    ['an audience with a space', 'ProviderConfigInvalid', /`audience`/, { audience: 'a b' }],
    ['no scopes', 'ProviderConfigInvalid', /`scopes` lists nothing/, { scopes: [] }],
    ['a scope that only looks like another', 'ProviderConfigInvalid', /visible ASCII/, { scopes: ['orders:r\u0435ad'] }],
    ['a life too short to be renewed', 'ProviderConfigInvalid', /`maxTTLSeconds` is below 300/, { maxTTLSeconds: 60 }],
    ['a network that is none', 'ProviderConfigInvalid', /`allowedAddresses` holds `x`/, { allowedAddresses: ['x'] }],
    ['an address that nobody allowed', 'ProviderUnreachable', /list it in the provider's `allowedAddresses`/, { allowedAddresses: [] }],
    ['an authority that nobody knows', 'ProviderUnreachable', /`caBundle`/, { caBundle: undefined as never }],
    ['a service of another kind', 'ProviderUnreachable', /does not say that it follows the contract/, {}, { body: { hello: 'world' } }],
    ['a service that trusts another issuer', 'ProviderUnreachable', /does it trust the issuer of logins/, {}, { status: 401, body: {} }],
  ]
  // five of each: what is missing would be taken for a callback
  test.each(rows.map(([name, reason, message, change, reply]) => [name, reason, message, change, reply] as const))(
    '%s',
    async (_name, reason, message, change, reply) => {
      const world = await fake(() => reply ?? { body: { contract: 'v1' } }, change)
      expect(await world.provider.ready(world.params)).toMatchObject({
        ok: false,
        failure: { reason, message: expect.stringMatching(message) },
      })
    },
  )
})

describe('whether somebody ended what a task has', () => {
  test.each<readonly [string, Reply, string]>([
    ['it says that it lives', { body: { state: 'Live' } }, 'Alive'],
    ['it says that it is revoked', { body: { state: 'Revoked' } }, 'Dead'],
    ['it does not know the handle', { body: { state: 'Unknown' } }, 'Unknown'],
    ['it says something else', { body: { state: 'Gone' } }, 'Unknown'],
    ['it says nothing', { body: {} }, 'Unknown'],
    ['it does not know the call', { status: 404, body: {} }, 'Unknown'],
    ['it shows a page', { body: '<html>not here</html>' }, 'Unknown'],
    ['it has an error', { status: 500, body: { state: 'Revoked' } }, 'Unknown'],
  ])('%s', async (_name, reply, sight) => {
    const world = await fake(() => reply)
    expect(await world.provider.outside?.inspection?.look(world.params, [world.lease(), world.lease()])).toEqual([sight, sight])
  })

  test('is asked of nothing that has no handle of this installation', async () => {
    const world = await fake(() => ({ body: { state: 'Revoked' } }))
    const foreign = { ...world.lease(), handle: 'postgres' }
    expect(await world.provider.outside?.inspection?.look(world.params, [foreign])).toEqual(['Unknown'])
    expect(world.asked).toEqual([])
  })
})

describe('a client certificate instead of logins', () => {
  const clientCertificateSecretRef = { name: 'keys-client' }
  const certificate = tls.cert
  const fingerprint = new X509Certificate(certificate).fingerprint256
  const secret: Record<string, string> = { 'tls.crt': certificate, 'tls.key': tls.key }
  const holding =
    (values: Readonly<Record<string, string>>, origin: () => string | undefined): ReadKey =>
    async (name, key) => {
      const value = values[key]
      return value === undefined
        ? { ok: false, failure: `Secret \`${name}\` has no key \`${key}\`` }
        : { ok: true, value: { value: new Material(value), origin: origin() } }
    }
  async function at(values: Readonly<Record<string, string>>, origin?: string) {
    const answer = ({ body }: Asked): Reply => ({
      body: { contract: 'v1', state: 'Revoked', fields: { key: 'k' }, expiresAt: body['expiresAt'] },
    })
    const world: Awaited<ReturnType<typeof fakeWorld>> = await fakeWorld(
      answer,
      { clientCertificateSecretRef },
      holding(values, () => origin ?? new URL(world.params.url).origin),
    )
    worlds.push(world)
    return world
  }

  test('is shown at each call, and no token is sent', async () => {
    const world = await at(secret)
    const lease = world.lease()
    expect(await world.provider.ready(world.params)).toEqual(done)
    expect(await world.provider.issue(world.params, world.order(), { lease })).toMatchObject({ ok: true })
    expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
    expect(world.asked).toHaveLength(4)
    for (const { authorization, client } of world.asked) expect([authorization, client]).toEqual(['', fingerprint])
  })

  test('is not shown where logins are sent', async () => {
    const world = await fake(() => ({ body: { contract: 'v1' } }))
    await world.provider.ready(world.params)
    expect(world.asked).toMatchObject([{ authorization: expect.stringContaining('Bearer '), client: undefined }])
  })

  test.each<readonly [string, Readonly<Record<string, string>>, string | undefined, RegExp]>([
    [
      'for another service',
      secret,
      'https://keys.corp.example',
      /not for this service: annotate it with `taskbound.dev\/origin=https:\/\/localhost:/,
    ],
    ['without a key', { 'tls.crt': certificate }, undefined, /has no key `tls.key`/],
    ['without a certificate', { 'tls.key': tls.key }, undefined, /has no key `tls.crt`/],
    ['with a key of another', { ...secret, 'tls.key': otherKey }, undefined, /fit each other/],
    ['with something else', { 'tls.crt': 'canary-9', 'tls.key': 'canary-9' }, undefined, /fit each other/],
  ])('a Secret %s is used nowhere, and nothing is sent', async (_name, values, origin, sentence) => {
    const world = await at(values, origin)
    const answers = [
      await world.provider.ready(world.params),
      await world.provider.issue(world.params, world.order(), { lease: world.lease() }),
      await world.provider.revoke(world.params, { lease: world.lease() }),
    ]
    for (const answer of answers) expect(answer).toMatchObject({ ok: false, failure: { message: expect.stringMatching(sentence) } })
    expect(JSON.stringify(answers)).not.toMatch(/canary|PRIVATE/)
    expect(world.asked).toEqual([])
  })
})
