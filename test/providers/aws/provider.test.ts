// What is asked of STS and what is believed of its answer; and that a session which nobody can end is waited for, to its very last second.

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { generateKeyDocument } from '../../../src/issuer/key-document.ts'
import { createKeyring } from '../../../src/issuer/keyring.ts'
import { createLogins } from '../../../src/issuer/logins.ts'
import { at, parseTime, plus, seconds } from '../../../src/lib/instant.ts'
import { type AwsParams, endpointOf } from '../../../src/providers/aws/params.ts'
import { entropy, identity, makeOrder, start, text } from '../../issuer/world.ts'
import type { Answer } from '../../support/stand-in.ts'
import { type Fake, refusal, startFake } from './fake.ts'
import { fakeParams, makeWorld, params, policy, type World } from './world.ts'

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
const issue = (lease = world.lease(), change = {}) => world.provider.issue(world.params, world.order(change), { lease })
const inBody =
  (from: string | RegExp, to: string) =>
  (answer: Answer): Answer => ({ ...answer, body: String(answer.body).replace(from, to) })

describe('a session', () => {
  test('is asked for by the login of its task, under its handle, with its policy, for as long as it may live', async () => {
    const lease = world.lease()
    const order = world.order()
    const issued = await world.provider.issue(world.params, order, { lease })
    const [asked] = fake.requests
    expect(asked?.form).toEqual({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: params.roleArn,
      RoleSessionName: lease.handle,
      Policy: policy,
      DurationSeconds: expect.stringMatching(/^118[0-5]$/),
      WebIdentityToken: JSON.stringify({
        audience: 'sts.amazonaws.com',
        handle: lease.handle,
        tags: {
          'taskbound-namespace': 'finance',
          'taskbound-agent': 'payroll-clerk',
          'taskbound-action': 'payroll.reconcile',
          'taskbound-task-uid': '11111111-2222-4333-8444-555555555555',
        },
      }),
    })
    expect(issued.ok && issued.value.expiresAt).toBeLessThanOrEqual(order.expiresAt)
    expect(fake.made[0]?.expires).toBeLessThanOrEqual(order.expiresAt)
    expect(fake.requests.some(({ headers: { authorization, cookie } }) => authorization !== undefined || cookie !== undefined)).toBe(false)
  })

  test('of another kind has the policies of that kind', async () => {
    await issue(world.lease(), { scopes: ['payroll:write'] })
    expect(fake.requests[0]?.form).toMatchObject({
      'PolicyArns.member.1.arn': 'arn:aws:iam::123456789012:policy/write',
      'PolicyArns.member.2.arn': 'arn:aws:iam::aws:policy/ReadOnlyAccess',
    })
    expect(fake.requests[0]?.form).not.toHaveProperty('Policy')
  })

  test('is given as keys, as a file of credentials and as what a credential process prints', async () => {
    const issued = await issue()
    if (!issued.ok) throw new Error(issued.failure.message)
    const fields = Object.fromEntries(Object.entries(issued.value.fields).map(([name, field]) => [name, text(field)]))
    const { accessKeyId = '', secretAccessKey = '', sessionToken = '' } = fields
    expect(Object.keys(fields).sort()).toEqual(['accessKeyId', 'credentials', 'process', 'region', 'secretAccessKey', 'sessionToken'])
    expect(fields['credentials']).toBe(
      `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\naws_session_token = ${sessionToken}\n`,
    )
    expect(JSON.parse(fields['process'] ?? '')).toEqual({
      Version: 1,
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      SessionToken: sessionToken,
      Expiration: new Date(issued.value.expiresAt).toISOString().replace('.000Z', 'Z'),
    })
  })

  test('that there is too little time for is not asked for', async () => {
    const lease = world.lease()
    expect(await issue(lease, { expiresAt: plus(world.clock.now(), seconds(914)) })).toMatchObject({
      ok: false,
      failure: { message: expect.stringContaining('less time is left') },
    })
    expect(fake.requests).toEqual([])
    expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
  })

  test('is not asked for before its row says until when it lives', async () => {
    const lease = world.lease()
    await world.provider.revoke(world.params, { lease })
    expect((await issue(lease)).ok).toBe(false)
    expect(fake.requests).toEqual([])
  })
})

describe('the end of its task', () => {
  test('ends no session: it is owed until the time that its row has said beforehand, and not a second longer', async () => {
    const lease = world.lease()
    const issued = await issue(lease)
    const [noted] = world.notes.get(lease.handle) ?? []
    const until = parseTime(noted)
    if (!issued.ok || until === undefined) throw new Error('not issued')
    const margin = until - issued.value.expiresAt
    // the time that a request may take to arrive, and what was rounded down
    expect([margin >= 15_000, margin <= 18_000]).toEqual([true, true])
    expect(await world.provider.revoke(world.params, { lease })).toEqual({
      ok: false,
      failure: { reason: 'ExpiresAt', message: `AWS ends no session: it works until ${noted} at the latest`, until },
    })
    world.passed = until - Date.now() + 1
    expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
  })

  test('after a lost reply waits for the session that nobody holds', async () => {
    fake.after = () => 'cut'
    const lease = world.lease()
    expect((await issue(lease)).ok).toBe(false)
    const answer = await world.provider.revoke(world.params, { lease })
    if (answer.ok || answer.failure.until === undefined) throw new Error('taken for dead')
    expect(answer.failure.until).toBeGreaterThanOrEqual(fake.made[0]?.expires ?? Number.POSITIVE_INFINITY)
  })

  test('waits for the last of all its successors, and for no renewal that was refused', async () => {
    const lease = world.lease()
    await issue(lease)
    world.passed = 300_000
    expect((await world.provider.renew(world.params, world.order(), { lease })).ok).toBe(true)
    const second = world.notes.get(lease.handle)?.at(-1)
    world.passed = 600_000
    fake.before = () => refusal(403, 'AccessDenied')
    expect((await world.provider.renew(world.params, world.order(), { lease })).ok).toBe(false)
    expect(world.notes.get(lease.handle)).toHaveLength(4)
    const answer = await world.provider.revoke(world.params, { lease })
    expect(!answer.ok && answer.failure.until).toBe(parseTime(second))
  })

  test('with a row that somebody else has written into is never taken for dead', async () => {
    for (const reference of ['', 'x', '2020', '[]', '2020-01-01T00:00:00']) {
      const lease = { ...world.lease(), reference }
      expect([reference, await world.provider.revoke(world.params, { lease })]).toEqual([
        reference,
        { ok: false, failure: { reason: 'RevocationUnconfirmed', message: expect.any(String) } },
      ])
    }
  })
})

describe('an answer that is not what was asked for', () => {
  const other = 'tbaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
  const cases: readonly (readonly [string, (answer: Answer) => Answer | 'cut', RegExp])[] = [
    ['a session of another name', inBody(/(assumed-role\/payroll\/)\w+/, `$1${other}`), /somebody else/],
    ['a session of another role', inBody('assumed-role/payroll', 'assumed-role/admin'), /somebody else/],
    ['a session of another account', inBody('sts::123456789012', 'sts::999999999999'), /somebody else/],
    ['an id of somebody else', inBody(/(AROACLKWSDQRAOEXAMPLE:)\w+/, `$1${other}`), /somebody else/],
    ['a login for another audience', inBody('<Audience>sts.amazonaws.com', '<Audience>sts.amazonaws.com.evil'), /another audience/],
    ['a longer life', inBody(/<Expiration>[^<]*/, '<Expiration>2099-01-01T00:00:00Z'), /lives longer/],
    ['a session that is dead', inBody(/<Expiration>[^<]*/, '<Expiration>2020-01-01T00:00:00Z'), /dead on arrival/],
    ['no time', inBody(/<Expiration>[^<]*/, '<Expiration>soon'), /no credentials/],
    ['no token', inBody(/<SessionToken>.*<\/SessionToken>/, ''), /no credentials/],
    ['two keys', inBody('<SessionToken>', '<AccessKeyId>ASIAXXXXXXXXXXXXXXXX</AccessKeyId><SessionToken>'), /no credentials/],
    ['a key with a line in it', inBody('<SecretAccessKey>', '<SecretAccessKey>\n[canary-71]\n'), /no credentials/],
    ['a token with a line in it', inBody('</SessionToken>', '&#10;canary-71 = x</SessionToken>'), /no credentials/],
    ['another result', inBody(/AssumeRoleWithWebIdentity/g, 'AssumeRole'), /none of STS/],
    ['a document type', inBody(/^/, '<!DOCTYPE x [<!ENTITY e "canary-71">]>'), /none of STS/],
    ['a page', () => ({ status: 200, body: '<html>canary-71</html>' }), /none of STS/],
    ['a redirect', () => ({ status: 302, body: '', headers: { location: 'https://169.254.169.254/' } }), /sends elsewhere/],
    ['a gigabyte', () => ({ status: 200, body: 'x'.repeat(1 << 21) }), /longer than a megabyte/],
    ['a fault of its own', () => refusal(500, 'InternalFailure', 'canary-71', 'Receiver'), /status 500/],
    ['no answer', () => 'cut', /was cut/],
  ]
  test.each(cases)('%s', async (_what, change, message) => {
    fake.after = (_request, answer) => change(answer)
    const lease = world.lease()
    const refused = await issue(lease)
    expect(refused).toMatchObject({ ok: false, failure: { reason: 'IssueFailed', message: expect.stringMatching(message) } })
    expect(JSON.stringify(refused)).not.toContain('canary-71')
    // what was made all the same is waited for
    expect(await world.provider.revoke(world.params, { lease })).toMatchObject({ ok: false, failure: { reason: 'ExpiresAt' } })
  })

  test.each([
    ['AccessDenied', /sts:TagSession/],
    ['ExpiredTokenException', /clock/],
    ['IDPCommunicationError', /reachable from AWS/],
    ['IDPRejectedClaim', /does not take the login token/],
    ['InvalidIdentityToken', /OIDC provider/],
    ['MalformedPolicyDocument', /`policy`/],
    ['PackedPolicyTooLarge', /too large/],
    ['RegionDisabledException', /disabled/],
    ['Throttling', /too often/],
    ['ValidationError', /`maxTTLSeconds`/],
    ['constructor', /says no, with status 400/],
    ['Something.Else', /says no, with status 400/],
  ])('the refusal %s leaves nothing, and says what to do', async (code, message) => {
    fake.before = () => refusal(400, code)
    const lease = world.lease()
    const refused = await issue(lease)
    expect(refused).toMatchObject({ ok: false, failure: { message: expect.stringMatching(message) } })
    expect(JSON.stringify(refused)).not.toContain('canary-71')
    expect(await world.provider.revoke(world.params, { lease })).toEqual(done)
  })
})

describe('readiness', () => {
  test.each<readonly [string, Answer, RegExp]>([
    ['a page', { status: 200, body: '<html></html>' }, /none of STS/],
    ['a redirect', { status: 302, body: '' }, /sends elsewhere/],
    ['an answer in JSON', { status: 403, body: '{"Error": {"Code": "MissingAuthenticationToken"}}' }, /none of STS/],
  ])('is denied to %s', async (_what, answer, message) => {
    fake.before = () => answer
    expect(await world.provider.ready(world.params)).toMatchObject({
      ok: false,
      failure: { reason: 'ProviderUnreachable', message: expect.stringMatching(message) },
    })
  })

  test('shows nobody a login', async () => {
    expect(await world.provider.ready(world.params)).toEqual(done)
    expect(fake.requests.map(({ form }) => form)).toEqual([{ Action: 'GetCallerIdentity', Version: '2011-06-15' }])
  })

  const [session] = params.sessions
  test.each<readonly [string, Partial<AwsParams>, RegExp]>([
    ['a role that is none', { roleArn: 'arn:aws:iam::123456789012:user/x' }, /roleArn/],
    ['a role with an unfinished account', { roleArn: 'arn:aws:iam::12:role/x' }, /roleArn/],
    ['a region that leads elsewhere', { region: 'x.evil.example/', endpoint: undefined as never }, /region/],
    ['an endpoint with a path', { endpoint: 'https://sts.example/x' }, /endpoint/],
    ['an endpoint without TLS', { endpoint: 'http://sts.example' }, /endpoint/],
    ['no audience', { audience: '' }, /audience/],
    ['no sessions', { sessions: [] }, /sessions/],
    ['a session without a limit', { sessions: [{ name: 'all' }] }, /all that the role can/],
    ['a policy that is no JSON', { sessions: [{ name: 'x', policy: '{' }] }, /IAM policy/],
    ['a policy without statements', { sessions: [{ name: 'x', policy: '{}' }] }, /IAM policy/],
    ['a policy that is too long', { sessions: [{ name: 'x', policy: policy.replace('payroll', 'x'.repeat(2048)) }] }, /IAM policy/],
    ['a policy that is none of IAM', { sessions: [{ name: 'x', policyArns: ['arn:aws:s3:::bucket'] }] }, /policyArns/],
    ['a life that STS does not make', { maxTTLSeconds: 900 }, /maxTTLSeconds/],
    ['an authority that is none', { caBundle: 'x', sessions: session === undefined ? [] : [session] }, /caBundle/],
  ])('is denied for %s, and nothing is issued', async (_what, change, message) => {
    const wrong = { ...world.params, ...change }
    const failure = { reason: 'ProviderConfigInvalid', message: expect.stringMatching(message) }
    expect(await world.provider.ready(wrong)).toMatchObject({ ok: false, failure })
    expect(await world.provider.issue(wrong, world.order(), { lease: world.lease() })).toMatchObject({ ok: false, failure })
    expect(fake.requests).toEqual([])
  })
})

test.each([
  ['eu-central-1', 'https://sts.eu-central-1.amazonaws.com'],
  ['us-gov-west-1', 'https://sts.us-gov-west-1.amazonaws.com'],
  ['cn-north-1', 'https://sts.cn-north-1.amazonaws.com.cn'],
])('the STS of %s is %s', (region, endpoint) => {
  expect(endpointOf({ ...params, region })).toBe(endpoint)
})

test('asks for one session, that is listed', () => {
  const check = (scopes: readonly string[], ttl = 900) =>
    world.provider.check(params, { name: 'aws', audience: undefined, scopes, ttl: seconds(ttl) })?.reason
  expect(check(['payroll:read'])).toBeUndefined()
  expect([[], ['payroll:read', 'payroll:write'], ['payroll']].map((scopes) => check(scopes))).toEqual(Array(3).fill('ScopeNotListed'))
  expect([899, 3601].map((ttl) => check(['payroll:read'], ttl))).toEqual(['TtlOutOfRange', 'TtlOutOfRange'])
})

test('a login token carries the tags of its session where AWS reads them, and no other token does', async () => {
  const signer = await createKeyring(await generateKeyDocument(start, 'ES256', ['Login']))
  if (!signer.ok) throw new Error(signer.failure)
  const logins = createLogins({ signer: signer.value, identity, clock: { now: () => at(Date.now()) }, entropy })
  const claims = async (tags?: Readonly<Record<string, string>>) => {
    const token = await logins.task(makeOrder(), 'sts.amazonaws.com', 'tbx', tags)
    if (!token.ok) throw new Error(token.failure)
    return JSON.parse(Buffer.from(text(token.value).split('.')[1] ?? '', 'base64url').toString())
  }
  expect((await claims({ 'taskbound-agent': 'clerk' }))['https://aws.amazon.com/tags']).toEqual({
    principal_tags: { 'taskbound-agent': ['clerk'] },
    transitive_tag_keys: ['taskbound-agent'],
  })
  expect(await claims()).not.toHaveProperty('https://aws.amazon.com/tags')
})
