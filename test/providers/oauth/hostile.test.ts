// An authorization server that lies, hangs or gives more than it was asked for: nothing of it is believed, delivered or shown.

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { plus, seconds } from '../../../src/lib/instant.ts'
import type { OauthParams } from '../../../src/providers/oauth/params.ts'
import { value } from '../rows.ts'
import { clientId, type Fake, type Json, saidBy, startFake, type Token } from './fake.ts'
import { fakeParams, makeWorld, type Task, type World } from './world.ts'

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

const given = (): readonly [string, Token][] => [...fake.tokens]
const living = (): readonly string[] => fake.living()
const wait = (milliseconds: number): void => {
  fake.passed += milliseconds
  world.passed += milliseconds
}
/** Changes what the server answers at one path. */
function change(path: string, body: Json | ((body: Json) => unknown)): void {
  fake.after = (request, answer) => {
    if (request.path !== path || answer.status !== 200) return undefined
    const was = (answer.body ?? {}) as Json
    return { ...answer, body: typeof body === 'function' ? body(was) : { ...was, ...body } }
  }
}
const failure = ({ result }: Task): string => (result.ok ? 'issued' : `${result.failure.reason}: ${result.failure.message}`)

describe('its client', () => {
  test('says who it is by an assertion with one audience, the issuer, that is used once', async () => {
    await world.provider.ready(world.params)
    value((await world.issue()).result)
    const said = fake.requests.filter(({ path }) => !path.startsWith('/.well-known')).map(saidBy)
    expect(said.length).toBe(3)
    for (const { iss, sub, aud, exp = 0, iat = 0 } of said)
      expect({ iss, sub, aud, life: exp - iat }).toEqual({ iss: clientId, sub: clientId, aud: fake.issuer, life: 60 })
    expect(new Set(said.map(({ jti }) => jti)).size).toBe(3)
  })

  test.each([
    ['a stranger to it', { clientId: 'other' }, 'registered there'],
    ['of another audience', { audience: 'https://sso.example/token' }, 'registered there'],
  ])('is not ready as %s', async (_, over, sentence) => {
    const ready = await world.provider.ready({ ...world.params, ...over })
    expect(ready).toMatchObject({ ok: false, failure: { reason: 'ProviderUnreachable', message: expect.stringContaining(sentence) } })
  })

  test('names a target as an audience or as a resource, as it is listed', async () => {
    value((await world.issue()).result)
    value((await world.issue({ audience: 'https://ledger.example/api' })).result)
    const forms = fake.requests.filter(({ path }) => path === '/token').map(({ form }) => [form['audience'], form['resource']])
    expect(forms).toEqual([
      ['https://payroll.example', undefined],
      [undefined, 'https://ledger.example/api'],
    ])
  })

  test('shows by an exchange which task it is for, and under which row', async () => {
    const { lease, result } = await world.issue({}, { ...world.params, grant: 'TokenExchange' })
    value(result)
    expect(given()[0]?.[1].sub).toMatch(/^spiffe:\/\/corp\.example\/ns\/.+\/task\//)
    const subject = fake.requests.find(({ path }) => path === '/token')?.form['subject_token']?.split('.')[1] ?? ''
    expect(JSON.parse(Buffer.from(subject, 'base64url').toString())).toMatchObject({
      aud: fake.issuer,
      taskbound: { handle: lease.handle },
    })
  })
})

describe('what is given otherwise than it was asked for is given back and not delivered:', () => {
  const refresh = 'r'.repeat(40)
  test.each<[string, string, Json | ((body: Json) => unknown), string]>([
    ['a broader scope', '/token', { scope: 'payroll:read payroll:write' }, 'not asked for'],
    ['a scope that is no text', '/token', { scope: ['payroll:read'] }, 'no scope that can be read'],
    ['a longer life', '/token', { expires_in: 301 }, 'a token for 301 seconds, and 300 are allowed'],
    ['a life without an end', '/token', { expires_in: undefined }, 'how long its token lives'],
    ['a life in words', '/token', { expires_in: '300' }, 'how long its token lives'],
    ['another type', '/token', { token_type: 'DPoP' }, '`Bearer`'],
    ['a refresh token', '/token', { refresh_token: refresh }, 'refresh token'],
    ['a token that introspection does not know', '/introspect', () => ({ active: false }), 'does not call a token active'],
    ['a token of which introspection says nothing', '/introspect', () => ({}), 'does not call a token active'],
    ['a broader scope by introspection', '/introspect', { scope: 'payroll:read admin' }, 'not asked for'],
    ['a longer life by introspection', '/introspect', { exp: Math.floor(Date.now() / 1000) + 3600 }, 'lower the life of access tokens'],
    ['a token for somebody else', '/introspect', { aud: 'https://other.example' }, 'not for the audience'],
    ['a token for others too', '/introspect', { aud: ['https://payroll.example', 'account'] }, 'for other audiences too'],
    ['a page by introspection', '/introspect', () => '<html>', 'no JSON object'],
  ])('%s', async (_, path, body, sentence) => {
    change(path, body)
    const task = await world.issue()
    expect(failure(task)).toMatch(/^IssueFailed: /)
    expect(failure(task)).toContain(sentence)
    expect([given().length, living()]).toEqual([1, []])
    for (const [token] of given()) expect(failure(task)).not.toContain(token)
    const ended = fake.requests.filter((request) => request.path === '/revoke').map(({ form }) => form['token'])
    expect(ended.includes(refresh)).toBe(path === '/token' && 'refresh_token' in body)
    // and the row closes once the server says the truth again
    fake.after = undefined
    expect((await task.revoke()).ok).toBe(true)
  })

  test('a longer life, and the row waits for all of it where the server does not end it', async () => {
    fake.life = 3600
    fake.before = ({ path }) => (path === '/revoke' ? { status: 200 } : undefined)
    const task = await world.issue()
    expect(failure(task)).toContain('3600 seconds')
    wait(3_500_000)
    expect([living().length, (await task.revoke()).ok]).toEqual([1, false])
    wait(170_000)
    expect((await task.revoke()).ok).toBe(true)
  })

  test('an exchange for something that is no access token', async () => {
    for (const issued_token_type of [undefined, 'urn:ietf:params:oauth:token-type:refresh_token']) {
      change('/token', { issued_token_type })
      expect(failure(await world.issue({}, { ...world.params, grant: 'TokenExchange' }))).toContain('no access token')
    }
    expect(living()).toEqual([])
  })
})

describe('an answer that cannot be read', () => {
  const gigabyte = 'x'.repeat(2 << 20)
  test.each<[string, Exclude<ReturnType<NonNullable<Fake['before']>>, undefined>, string]>([
    ['a page', { status: 200, body: '<html>', headers: { 'content-type': 'text/html' } }, 'no JSON object'],
    ['a list', { status: 200, body: [] }, 'no JSON object'],
    ['nothing', { status: 200 }, 'without a token'],
    [
      'a token with a line break',
      { status: 200, body: { access_token: 'a\r\nb', token_type: 'Bearer', expires_in: 300 } },
      'without a token',
    ],
    ['a redirect to the link', { status: 302, headers: { location: 'http://169.254.169.254/' } }, 'redirect'],
    ['more than a megabyte', { status: 200, body: gigabyte }, 'longer than a megabyte'],
    ['a byte a second', { status: 200, body: '{"access_token":"x"}', drip: 1_000 }, 'in time'],
    ['an error of its own', { status: 500, body: { error: 'invalid_client' } }, 'status 500'],
    ['a cut', 'cut', 'cut'],
  ])('as %s leaves a row that waits until whatever it was has expired', async (_, answer, sentence) => {
    fake.before = ({ path }) => (path === '/token' ? answer : undefined)
    const task = await world.issue()
    expect(failure(task)).toContain(sentence)
    const waits = await task.revoke()
    expect(waits).toMatchObject({
      ok: false,
      failure: { reason: 'RevocationUnconfirmed', message: expect.stringContaining('nobody holds it') },
    })
    wait(300_000)
    expect((await task.revoke()).ok).toBe(false)
    wait(121_000)
    expect(await task.revoke()).toEqual({ ok: true, value: undefined })
  })

  test.each([
    [400, 'invalid_grant'],
    [400, 'invalid_scope'],
    [400, 'invalid_target'],
    [400, 'unauthorized_client'],
    [400, '__proto__'],
    [401, 'invalid_client'],
    [403, 'access_denied'],
    [404, ''],
    [429, ''],
  ])('is none where it says no (%i %s): nothing came to be, and the row closes at once', async (status, error) => {
    fake.before = ({ path }) => (path === '/token' ? { status, body: { error, error_description: 'canary-77' } } : undefined)
    const task = await world.issue()
    expect(failure(task)).toMatch(/^IssueFailed: /)
    expect(failure(task)).not.toContain('canary')
    // its number stays
    expect(JSON.parse(world.notes.get(task.lease.handle)?.at(-1) ?? '')).toEqual([{ number: 1, until: expect.any(Number) }])
    expect(await task.revoke()).toEqual({ ok: true, value: undefined })
  })
})

describe('a revocation', () => {
  test('that answers 200 and does nothing is not reported as done until the token has expired', async () => {
    const task = await world.issue()
    value(task.result)
    fake.before = ({ path }) => (path === '/revoke' ? { status: 200 } : undefined)
    const message = expect.stringContaining('revoked it, and then that it is active')
    for (let i = 0; i < 2; i += 1) expect(await task.revoke()).toEqual({ ok: false, failure: { reason: 'RevocationUnconfirmed', message } })
    expect(living()).toEqual([task.token])
    wait(361_000)
    expect(await task.revoke()).toEqual({ ok: true, value: undefined })
  })

  test.each<[string, Json | (() => unknown)]>([
    ['nothing', () => ({})],
    ['yes in words', { active: 'false' }],
    ['a page', () => '<html>'],
  ])('is not confirmed by introspection that says %s', async (_, body) => {
    const task = await world.issue()
    value(task.result)
    change('/introspect', body)
    expect((await task.revoke()).ok).toBe(false)
  })

  test('at a server that cannot say whether a token is dead is asked for and never believed', async () => {
    const params: OauthParams = { ...world.params, revocation: 'ExpireOnly' }
    expect(world.provider.promises(params)).toMatchObject({ revocation: 'ExpireOnly', bound: seconds(360) })
    const task = await world.issue({}, params)
    value(task.result)
    const sentence = expect.stringContaining('cannot be asked whether it did')
    expect(await task.revoke()).toMatchObject({ ok: false, failure: { message: sentence, until: expect.any(Number) } })
    expect([living(), fake.requests.some(({ path }) => path === '/introspect')]).toEqual([[], false])
    wait(361_000)
    expect((await task.revoke()).ok).toBe(true)
  })

  test('ends the token and every successor under its row', async () => {
    const task = await world.issue()
    value(await task.renew())
    expect(living().length).toBe(2)
    expect((await task.revoke()).ok).toBe(true)
    expect(living()).toEqual([])
  })

  test('waits for the expiry of a token that the process did not live to keep', async () => {
    const task = await world.issue()
    value(task.result)
    world.values.clear()
    const message = expect.stringContaining('nobody holds it')
    // whoever asked for it may have it yet, and keeps it then
    expect(await task.revoke()).toEqual({ ok: false, failure: { reason: 'RevocationUnconfirmed', message } })
    wait(31_000)
    expect(await task.revoke()).toMatchObject({ ok: false, failure: { message, until: expect.any(Number) } })
    wait(394_000)
    expect((await task.revoke()).ok).toBe(true)
  })

  test.each(['', '{}', '[{}]', '[{"number":0,"until":1}]', '[{"number":1,"until":"1"}]', 'null'])(
    'takes nothing for dead where the row says %j',
    async (reference) => {
      const task = await world.issue()
      value(task.result)
      world.notes.set(task.lease.handle, [reference])
      expect((await task.revoke()).ok).toBe(false)
    },
  )

  test('of what cannot be kept is made at once, and nothing is delivered', async () => {
    world.refuses = (what) => what === 'value'
    const task = await world.issue()
    expect(failure(task)).toContain('could not be kept')
    expect([given().length, living()]).toEqual([1, []])
    // it was seen to be dead, so nothing is waited for
    expect((await task.revoke()).ok).toBe(true)
  })

  test.each<[string, 'cut' | undefined, readonly [boolean, number]]>([
    ['is given', undefined, [true, 0]],
    ['is given and nobody hears of', 'cut', [false, 1]],
  ])('does not take what was kept, and nobody heard that, for the next token, which %s', async (_what, fate, found) => {
    const task = await world.issue()
    world.loses = (nth) => nth === 1
    expect(failure({ ...task, result: await task.renew() })).toContain('could not be kept')
    expect(living()).toHaveLength(1)
    fake.after = ({ path }) => (path === '/token' ? fate : undefined)
    await task.renew()
    fake.after = undefined
    expect(living()).toHaveLength(2)
    const { ok } = await task.revoke()
    expect([ok, living().length]).toEqual(found)
  })

  test.each<[string, 'cut' | Json]>([
    ['does not answer', 'cut'],
    ['never called it active', { active: false }],
    ['calls it active still', { active: true }],
  ])('of what cannot be kept is not believed of a server that %s', async (_, said) => {
    world.refuses = (what) => what === 'value'
    fake.after = ({ path }, answer) => (path !== '/introspect' ? undefined : said === 'cut' ? said : { ...answer, body: said })
    const task = await world.issue()
    expect(failure(task)).toContain('could not be kept')
    fake.after = undefined
    expect(await task.revoke()).toMatchObject({ ok: false, failure: { message: expect.stringContaining('nobody holds it') } })
  })

  test('is not asked for at an endpoint that was changed since', () => {
    const keeps = world.provider.outside?.keeps
    const origins = [{}, { revocationEndpoint: 'https://evil.example/r' }, { tokenEndpoint: `${fake.issuer}/t` }].map((over) =>
      keeps?.origin({ ...world.params, ...over }),
    )
    expect(origins).toEqual([fake.issuer, `https://evil.example ${fake.issuer}`, fake.issuer])
  })

  test('after renewals that were all lost stops asking for more before they have expired', async () => {
    const task = await world.issue()
    fake.after = ({ path }) => (path === '/token' ? 'cut' : undefined)
    for (let i = 0; i < 16; i += 1) await task.renew()
    fake.after = undefined
    expect(await task.renew()).toMatchObject({ ok: false, failure: { message: expect.stringContaining('too many tokens') } })
    wait(425_000)
    expect((await task.renew()).ok).toBe(true)
  })

  test('comes too late for a row that dies while it is asked for, and so asks for nothing', async () => {
    const lease = world.lease()
    await world.provider.revoke(world.params, { lease })
    expect((await world.provider.issue(world.params, world.order(), { lease })).ok).toBe(false)
    expect(given()).toEqual([])
  })
})

describe('its metadata', () => {
  test.each<[string, Json, string]>([
    ['is of another issuer', { issuer: 'https://other.example' }, 'another issuer'],
    ['is of an issuer that is spelled otherwise', { issuer: 'https://LOCALHOST' }, 'another issuer'],
    ['names an endpoint without TLS', { token_endpoint: 'http://localhost/token' }, '`token_endpoint`'],
    ['names an endpoint with a user', { token_endpoint: 'https://a:b@localhost/token' }, '`token_endpoint`'],
    ['names no introspection', { introspection_endpoint: undefined }, 'set `revocation` to `ExpireOnly`'],
    ['names a revocation without TLS', { revocation_endpoint: 'ftp://localhost' }, 'set `revocation` to `ExpireOnly`'],
    ['takes secrets only', { token_endpoint_auth_methods_supported: ['client_secret_basic'] }, '`private_key_jwt`'],
    ['knows other grants only', { grant_types_supported: ['authorization_code'] }, 'the grant `ClientCredentials`'],
  ])('is refused where it %s', async (_, metadata, sentence) => {
    fake.metadata = metadata
    const ready = await world.provider.ready(world.params)
    expect(ready).toMatchObject({ ok: false, failure: { reason: 'ProviderConfigInvalid', message: expect.stringContaining(sentence) } })
    expect(failure(await world.issue())).toContain(sentence)
    expect(fake.requests.every(({ path }) => path.startsWith('/.well-known'))).toBe(true)
  })

  test('is looked for at both places, and is not needed where the endpoints are named', async () => {
    fake.before = ({ path }) => (path.startsWith('/.well-known') ? { status: 404, body: 'nothing' } : undefined)
    expect(await world.provider.ready(world.params)).toMatchObject({ ok: false, failure: { reason: 'ProviderConfigInvalid' } })
    expect(fake.requests.map(({ path }) => path)).toEqual(['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'])
    const at = (path: string): string => `${fake.issuer}${path}`
    const params = {
      ...world.params,
      tokenEndpoint: at('/token'),
      revocationEndpoint: at('/revoke'),
      introspectionEndpoint: at('/introspect'),
    }
    expect(await world.provider.ready(params)).toEqual({ ok: true, value: undefined })
    value((await world.issue({}, params)).result)
    expect(fake.requests.filter(({ path }) => path.startsWith('/.well-known')).length).toBe(2)
  })

  test('is not asked for at each call, and an outage of it says that it cannot be reached', async () => {
    for (let i = 0; i < 3; i += 1) value((await world.issue()).result)
    expect(fake.requests.filter(({ path }) => path.startsWith('/.well-known')).length).toBe(1)
    fake.before = () => 'cut'
    expect(await world.provider.ready(world.params)).toMatchObject({ ok: false, failure: { reason: 'ProviderUnreachable' } })
  })

  test('of a path is looked for as each standard says', async () => {
    fake.before = () => ({ status: 404 })
    await world.provider.ready({ ...world.params, issuer: `${fake.issuer}/realms/agents` })
    expect(fake.requests.map(({ path }) => path)).toEqual([
      '/.well-known/oauth-authorization-server/realms/agents',
      '/realms/agents/.well-known/openid-configuration',
    ])
  })
})

test('an address inside is not connected to unless it is listed', async () => {
  const { allowedAddresses: _, ...params } = world.params
  expect(await world.provider.ready(params)).toMatchObject({ ok: false, failure: { message: expect.stringContaining('allowedAddresses') } })
})

test('a token is not said to live longer than it does, nor than was ordered', async () => {
  fake.life = 200
  const { result } = await world.issue()
  const { expiresAt } = value(result)
  expect(expiresAt).toBeLessThanOrEqual(plus(world.order().issuedAt, seconds(200)))
  fake.life = 300
  const order = world.order()
  expect(value((await world.issue(order)).result).expiresAt).toBeLessThanOrEqual(order.expiresAt)
})
