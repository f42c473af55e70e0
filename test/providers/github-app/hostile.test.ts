// A GitHub that lies, is something else, loses its answers or has had enough: each is refused in words of ours, what it did give is given
// back, and nothing is called dead that may be alive.

import { generateKeyPairSync } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { seconds } from '../../../src/lib/instant.ts'
import type { GithubAppParams } from '../../../src/providers/github-app/params.ts'
import { redact } from '../../../src/telemetry/redact.ts'
import { text } from '../../issuer/world.ts'
import type { Answer } from '../../support/stand-in.ts'
import { endCall, type Fake, issueCall, type Json, type Request, seeCall, startFake } from './fake.ts'
import { fakeParams, makeWorld, type World } from './world.ts'

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

const canary = 'canary-71'
const done = { ok: true, value: undefined }
const is = (request: Request, call: string): boolean => `${request.method} ${request.path.split('?')[0]}` === call
const on = (call: string, answer: Answer | 'cut') => (request: Request) => (is(request, call) ? answer : undefined)
const page = { status: 200, body: `<html>${canary}</html>`, headers: { 'content-type': 'text/html' } }
const inBody = (answer: Answer, change: Json): Answer => ({ ...answer, body: { ...(answer.body as Json), ...change } })
const first = (answer: Answer): Json => ((answer.body as Json)['repositories'] as Json[])[0] ?? {}
const time = (ahead: number): string => new Date(Date.now() + ahead * 1000).toISOString()
const failure = (message: RegExp | string) => ({
  ok: false,
  failure: {
    reason: 'IssueFailed',
    message: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
  },
})
const unconfirmed = (message: string) => ({
  ok: false,
  failure: { reason: 'RevocationUnconfirmed', message: expect.stringContaining(message) },
})

describe('a token that is not what was asked for is given back, and not delivered', () => {
  const cases: readonly (readonly [string, (answer: Answer) => Answer, RegExp])[] = [
    ['more permissions', (a) => inBody(a, { permissions: { contents: 'read', issues: 'read' } }), /more permissions/],
    ['a higher level', (a) => inBody(a, { permissions: { contents: 'write', metadata: 'read' } }), /more permissions/],
    ['metadata to write', (a) => inBody(a, { permissions: { contents: 'read', metadata: 'write' } }), /more permissions/],
    ['a level that nobody knows', (a) => inBody(a, { permissions: { contents: 'owner' } }), /more permissions/],
    ['an inherited permission', (a) => inBody(a, { permissions: { contents: 'read', constructor: 'read' } }), /more permissions/],
    ['no permission', (a) => inBody(a, { permissions: {} }), /lacks a permission/],
    ['permissions unsaid', (a) => inBody(a, { permissions: undefined }), /lacks a permission/],
    ['all repositories', (a) => inBody(a, { repository_selection: 'all', repositories: undefined }), /all repositories/],
    ['repositories unsaid', (a) => inBody(a, { repositories: undefined }), /lacks a repository/],
    ['no repository', (a) => inBody(a, { repositories: [] }), /lacks a repository/],
    ['one repository more', (a) => inBody(a, { repositories: [first(a), { ...first(a), name: 'secrets' }] }), /other repositories/],
    ['the installation of another account', (a) => inBody(a, { repositories: [{ ...first(a), owner: { login: 'evil' } }] }), /other rep/],
    ['a repository of another full name', (a) => inBody(a, { repositories: [{ ...first(a), full_name: 'evil/ledger' }] }), /other rep/],
    ['no expiry', (a) => inBody(a, { expires_at: undefined }), /does not say when/],
    ['an expiry that is no time', (a) => inBody(a, { expires_at: canary }), /does not say when/],
    ['a longer life', (a) => inBody(a, { expires_at: time(7200) }), /more than an hour/],
    ['a life without end', (a) => inBody(a, { expires_at: '9999-12-31T23:59:59Z' }), /more than an hour/],
    ['a life that is over', (a) => inBody(a, { expires_at: time(-60) }), /expired already/],
  ]
  test.each(cases)('%s', async (_what, change, message) => {
    fake.after = (request, answer) => (is(request, issueCall) ? change(answer) : undefined)
    const lease = world.lease()
    const refused = await world.provider.issue(world.params, world.order(), { lease })
    expect(refused).toMatchObject(failure(message))
    expect(JSON.stringify(refused)).not.toContain(canary)
    expect(fake.alive()).toEqual([])
    expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
  })
})

describe('an answer without a token leaves open whether there is one', () => {
  const cases: readonly (readonly [string, (answer: Answer) => Answer | 'cut', RegExp])[] = [
    ['cut off', () => 'cut', /connection was cut/],
    ['a page', () => page, /no JSON/],
    ['a list', (a) => ({ ...a, body: [] }), /no JSON/],
    ['a gigabyte', (a) => ({ ...a, body: 'x'.repeat(1 << 21) }), /longer than a megabyte/],
    ['a redirect to link-local', () => ({ status: 307, headers: { location: 'https://169.254.169.254/' } }), /sends elsewhere/],
    ['a page of a proxy', () => ({ status: 403, body: canary }), /not as GitHub does/],
    ['trouble', () => ({ status: 502, body: { message: canary } }), /status 502/],
    ['no token', (a) => inBody(a, { token: undefined }), /without a token/],
    ['a token that breaks a header', (a) => inBody(a, { token: `ghs_${'x'.repeat(36)}\r\nx: y` }), /without a token/],
  ]
  test.each(cases)('%s', async (_what, change, message) => {
    fake.after = (request, answer) => (is(request, issueCall) ? change(answer) : undefined)
    const lease = world.lease()
    const refused = await world.provider.issue(world.params, world.order(), { lease })
    expect(refused).toMatchObject(failure(message))
    expect(JSON.stringify(refused)).not.toContain(canary)
    const debt = await world.provider.revoke(world.params, { lease })
    expect(debt).toMatchObject(unconfirmed('it expires by itself, by 20'))
    // its answer may yet be on its way to be kept; later nobody is bothered about it
    expect(debt).not.toHaveProperty('failure.until')
    world.passed += 15_000
    const waits = await world.provider.revoke(world.params, { lease })
    const until = waits.ok ? 0 : Number(waits.failure.until) - Date.now()
    expect([until > 3_890_000, until < 3_901_000]).toEqual([true, true])
    // GitHub's hour, and what its clock may be behind
    world.passed += 3_600_000
    expect(await world.provider.revoke(world.params, { lease })).toMatchObject({ ok: false })
    world.passed += 300_000
    expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
  })
})

describe('a refusal is told in words of ours, and leaves nothing to wait for', () => {
  const says = (status: number, headers: Record<string, string> = {}): Answer => ({ status, body: { message: canary }, headers })
  const cases: readonly (readonly [string, Answer, RegExp])[] = [
    ['of the App', says(401), /private key belong together/],
    ['of a suspended installation', says(403), /suspended/],
    ['of an installation that is not there', says(404), /no such installation/],
    ['of a repository or a permission', says(422), /lacks one of the repositories or permissions/],
    ['for too many requests', says(429, { 'retry-after': '60' }), /too many requests of this App; it wants 60 seconds/],
    ['for the limit of an hour', says(403, { 'x-ratelimit-remaining': '0' }), /too many requests of this App$/],
    ['for a secondary limit', says(403, { 'retry-after': canary }), /too many requests of this App$/],
    ['in words of its own', says(418), /refuses with status 418/],
  ]
  test.each(cases)('%s', async (_what, answer, message) => {
    fake.before = on(issueCall, answer)
    const lease = world.lease()
    const refused = await world.provider.issue(world.params, world.order(), { lease })
    expect(refused).toMatchObject(failure(message))
    expect(JSON.stringify(refused)).not.toContain(canary)
    expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
  })

  test('and what was never sent neither', async () => {
    await fake.close()
    const lease = world.lease()
    expect(await world.provider.issue(world.params, world.order(), { lease })).toMatchObject(failure('refused'))
    expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
    fake = await startFake()
  })
})

describe('the end of a token', () => {
  test('is believed when GitHub refuses it, and costs two calls', async () => {
    const task = await world.issue()
    fake.requests.length = 0
    expect(await task.revoke()).toEqual(done)
    expect(fake.calls()).toEqual([endCall, seeCall])
    expect(await task.revoke()).toEqual(done)
    expect(fake.alive()).toEqual([])
  })

  test('that was ended by somebody else, or has expired, is confirmed by the refusal itself', async () => {
    const task = await world.issue()
    const expired = await world.issue()
    fake.tokens.delete(task.token)
    fake.now = () => Date.now() + 3_700_000
    fake.requests.length = 0
    expect([await task.revoke(), await expired.revoke()]).toEqual([done, done])
    expect(fake.calls()).toEqual([endCall, endCall])
  })

  const lies: readonly (readonly [string, string, Answer | 'cut', string])[] = [
    ['a 204 that did nothing', endCall, { status: 204 }, 'takes it nevertheless'],
    ['a page', endCall, page, 'no JSON'],
    ['a 401 of a proxy', endCall, { status: 401, body: 'Unauthorized' }, 'not as GitHub does'],
    ['a 401 of something else', endCall, { status: 401, body: { message: 'Requires authentication' } }, 'does not take'],
    ['a redirect', endCall, { status: 302, headers: { location: 'https://169.254.169.254/' } }, 'sends elsewhere'],
    ['no answer', endCall, 'cut', 'connection was cut'],
    ['too many requests', endCall, { status: 429, body: { message: canary } }, 'too many requests'],
    ['trouble', endCall, { status: 503, body: { message: canary } }, 'status 503'],
    ['trouble at the second look', seeCall, { status: 503, body: { message: canary } }, 'status 503'],
    ['a 404 at the second look', seeCall, { status: 404, body: { message: canary } }, 'no such installation'],
  ]
  test.each(lies)('is not believed for %s', async (_what, call, answer, message) => {
    const task = await world.issue()
    fake.before = on(call, answer)
    const debt = await task.revoke()
    expect(debt).toMatchObject(unconfirmed(message))
    for (const shown of [canary, task.token, 'ghs_']) expect(JSON.stringify(debt)).not.toContain(shown)
    fake.before = undefined
    expect(await task.revoke()).toEqual(done)
    expect(fake.alive()).toEqual([])
  })

  test('whose answer was lost is done all the same', async () => {
    const task = await world.issue()
    fake.after = on(endCall, 'cut')
    expect((await task.revoke()).ok).toBe(false)
    expect(fake.alive()).toEqual([])
    fake.after = undefined
    expect(await task.revoke()).toEqual(done)
  })
})

describe('what cannot be kept is not delivered', () => {
  test('it is given back, and nothing waits', async () => {
    world.refuses = (what) => what === 'value'
    const lease = world.lease()
    expect(await world.provider.issue(world.params, world.order(), { lease })).toMatchObject(failure('could not be kept'))
    expect(fake.calls()).toEqual([issueCall, endCall, seeCall])
    expect(fake.alive()).toEqual([])
    expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
  })

  test('where that fails too, the row waits for its hour', async () => {
    world.refuses = (what) => what === 'value'
    fake.before = on(endCall, { status: 503, body: { message: 'no' } })
    const lease = world.lease()
    expect(await world.provider.issue(world.params, world.order(), { lease })).toMatchObject(failure('could not be kept'))
    expect(await world.provider.revoke(world.params, { lease })).toMatchObject(unconfirmed('expires by itself'))
  })

  test('a row that takes no note has nothing asked of GitHub', async () => {
    world.refuses = (what) => what === 'note'
    const lease = world.lease()
    expect((await world.provider.issue(world.params, world.order(), { lease })).ok).toBe(false)
    expect(fake.calls()).toEqual([])
    expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
  })

  test('a row that died while GitHub was asked gives the token back', async () => {
    const lease = world.lease()
    fake.after = async (request) => {
      if (is(request, issueCall))
        expect(await world.provider.revoke(world.params, { lease })).toMatchObject(unconfirmed('expires by itself'))
      return undefined
    }
    expect(await world.provider.issue(world.params, world.order(), { lease })).toMatchObject(failure('is to die'))
    expect(fake.alive()).toEqual([])
    expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
  })

  test('a kept value that somebody took away is not called dead', async () => {
    const task = await world.issue()
    world.values.clear()
    expect(await task.revoke()).toMatchObject(unconfirmed('expires by itself'))
    expect(fake.alive()).toEqual([task.token])
  })
})

describe('a renewal', () => {
  test('is another token; the one before works until its time, and is ended by the next renewal', async () => {
    const task = await world.issue()
    world.passed = 400_000
    fake.now = () => Date.now() + world.passed
    expect(await task.renew()).toMatchObject({ ok: true })
    expect(fake.alive()).toHaveLength(2)
    world.passed = 800_000
    expect(await task.renew()).toMatchObject({ ok: true })
    expect(fake.alive()).toHaveLength(2)
    expect(fake.alive()).not.toContain(task.token)
    fake.requests.length = 0
    expect(await task.revoke()).toEqual(done)
    // what is known to be dead is not asked about again
    expect(fake.calls().filter((call) => call === endCall)).toHaveLength(2)
    expect(fake.alive()).toEqual([])
  })

  test('whose answer is lost leaves the one before as it is, and the row waits for what nobody has', async () => {
    const task = await world.issue()
    fake.after = on(issueCall, 'cut')
    expect((await task.renew()).ok).toBe(false)
    fake.after = undefined
    expect(await task.renew()).toMatchObject({ ok: true })
    expect(fake.alive()).toHaveLength(3)
    expect(await task.revoke()).toMatchObject(unconfirmed('expires by itself'))
    expect(fake.alive()).toHaveLength(1)
  })

  test('that is refused made nothing, so nothing is waited for, also after the next', async () => {
    const task = await world.issue()
    fake.before = on(issueCall, { status: 403, body: { message: 'no' } })
    expect((await task.renew()).ok).toBe(false)
    fake.before = undefined
    expect(await task.renew()).toMatchObject({ ok: true })
    expect(await task.revoke()).toEqual(done)
    expect(fake.alive()).toEqual([])
  })
})

describe('is not ready', () => {
  const ready = (change: Partial<GithubAppParams> = {}) => world.provider.ready({ ...world.params, ...change })
  const invalid = (message: string) => ({
    ok: false,
    failure: { reason: 'ProviderConfigInvalid', message: expect.stringContaining(message) },
  })
  test('with an installation of another account, a suspended one, or one that was granted less', async () => {
    expect(await ready({ account: 'others' })).toMatchObject(invalid('is not at `others`'))
    expect(await ready({ permissions: { contents: 'admin' } })).toMatchObject(invalid('lacks `contents: admin`'))
    fake.installation.suspended_at = '2026-01-26T19:01:12Z'
    expect(await ready()).toMatchObject(invalid('suspended'))
  })

  test('with a key that is not the App\u2019s, is none, is weak, or is meant for another server', async () => {
    const rsa = (bits: number): string =>
      generateKeyPairSync('rsa', { modulusLength: bits }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    world.secret.value = rsa(2048)
    expect(await ready()).toMatchObject(invalid('private key belong together'))
    for (const wrong of [
      rsa(1024),
      generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      canary,
      '',
    ]) {
      world.secret.value = wrong
      const answer = await ready()
      expect(answer).toMatchObject(invalid('holds no RSA private key'))
      expect(JSON.stringify(answer)).not.toContain(canary)
    }
    fake.requests.length = 0
    for (const origin of [undefined, 'api.github.com:443', 'localhost']) {
      world.secret.origin = origin
      expect(await ready()).toMatchObject(invalid('is not for this server'))
      expect(await world.provider.issue(world.params, world.order(), { lease: world.lease() })).toMatchObject(
        failure('is not for this server'),
      )
    }
    expect(fake.requests).toEqual([])
  })

  test.each<[string, Partial<GithubAppParams>, string]>([
    ['another path', { apiUrl: 'https://localhost/api/v4' }, '`apiUrl`'],
    ['a user in the URL', { apiUrl: 'https://a@localhost' }, '`apiUrl`'],
    ['no TLS', { apiUrl: 'http://localhost' }, '`apiUrl`'],
    ['two names of the App', { appId: 1 }, '`clientId` and `appId`'],
    ['no repository', { repositories: [] }, '`repositories`'],
    ['a repository with its account', { repositories: ['corp/ledger'] }, '`repositories`'],
    ['no permission', { permissions: {} }, '`permissions`'],
    ['a level that there is not', { permissions: { contents: 'owner' as 'read' } }, '`permissions`'],
    ['an installation that is none', { installationId: 0 }, '`installationId`'],
    ['a life that cannot be renewed in time', { maxTTLSeconds: 60 }, '`maxTTLSeconds`'],
  ])('with %s', async (_what, change, message) => {
    expect(await ready(change)).toMatchObject(invalid(message))
    expect(fake.requests).toEqual([])
  })

  test('where nobody answers', async () => {
    fake.before = () => ({ status: 502, body: canary })
    expect(await ready()).toMatchObject({ ok: false, failure: { reason: 'ProviderUnreachable' } })
  })
})

describe('a request is judged against the closed lists', () => {
  const asks = (github: unknown) =>
    world.provider.check(world.params, { name: 'git', audience: undefined, scopes: [], ttl: seconds(600), github: github as never })
  const good = { repositories: ['ledger'], permissions: { contents: 'read' } }
  test('what is listed is taken, and lower levels than are listed', () => {
    expect(asks(good)).toBeUndefined()
    expect(asks({ repositories: ['reports', 'ledger'], permissions: { contents: 'write', issues: 'read' } })).toBeUndefined()
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['no repositories', { ...good, repositories: [] }],
    ['no permissions', { ...good, permissions: {} }],
    ['a repository that is not listed', { ...good, repositories: ['ledger', 'secrets'] }],
    ['another case', { ...good, repositories: ['Ledger'] }],
    ['a path', { ...good, repositories: ['../ledger'] }],
    ['a permission that is not listed', { ...good, permissions: { contents: 'read', secrets: 'read' } }],
    ['an inherited name', { ...good, permissions: { constructor: 'read' } }],
    ['a higher level', { ...good, permissions: { issues: 'write' } }],
    ['a level that there is not', { ...good, permissions: { contents: 'owner' } }],
    ['no level', { ...good, permissions: { contents: '' } }],
  ])('%s is refused', (_what, github) => {
    expect(asks(github)).toMatchObject({ reason: 'ScopeNotListed', message: expect.stringContaining('credential `git`') })
  })
})

test('what is asked of GitHub is what the task asks for, and no more; the App shows a word of ten minutes at most', async () => {
  await world.issue()
  const [request] = fake.requests
  expect(request?.body).toEqual({ repositories: ['ledger'], permissions: { contents: 'read' } })
  const claims = JSON.parse(Buffer.from(request?.bearer.split('.')[1] ?? '', 'base64url').toString()) as Record<string, number>
  expect(Object.keys(claims).sort()).toEqual(['exp', 'iat', 'iss'])
  expect(Number(claims['exp']) - Number(claims['iat'])).toBeLessThanOrEqual(600)
})

test.each([
  ['https://api.github.com', 'github.com'],
  ['https://api.corp.ghe.com', 'corp.ghe.com'],
  ['https://git.corp.example/api/v3', 'git.corp.example'],
  ['https://git.corp.example:8443/api/v3', 'git.corp.example:8443'],
])('git finds the repositories of %s at %s', async (apiUrl, host) => {
  const { gitHost } = await import('../../../src/providers/github-app/params.ts')
  expect(gitHost({ ...world.params, apiUrl })).toBe(host)
})

test('a token of the new format is given as it is, in a line for git, and never shown by a log', async () => {
  const { issued, token } = await world.issue()
  expect(token).toMatch(/^ghs_[A-Za-z0-9._-]{500,}$/)
  expect(issued.fields['git-credentials'] && text(issued.fields['git-credentials'])).toBe(
    `https://x-access-token:${token}@localhost:${fake.port}\n`,
  )
  for (const line of [token, `token ${token} of a task`, `https://x-access-token:${token}@github.com`, JSON.stringify({ a: token })]) {
    for (const part of token.slice(4).split(/[._-]/)) if (part.length > 6) expect(redact(line)).not.toContain(part)
  }
})
