import { describe, expect, test } from '@jest/globals'
import { decodeJwt } from 'jose'
import { accessTokenClaims, verifyAccessToken } from '../../src/issuer/profiles/access-token.ts'
import { jwtSvidClaims, verifyJwtSvid } from '../../src/issuer/profiles/jwt-svid.ts'
import { verifyStatusList } from '../../src/issuer/profiles/status-list.ts'
import { createStatusLists, defaultStatusListSettings } from '../../src/issuer/statuslist/statuslist.ts'
import { plus, seconds } from '../../src/lib/instant.ts'
import type { Issued, Reservation } from '../../src/ports/provider.ts'
import type { StatusRef } from '../../src/ports/signer.ts'
import { type JwtParams, judgeParams } from '../../src/providers/jwt/params.ts'
import { createJwtProvider } from '../../src/providers/jwt/provider.ts'
import { describeProvider, type ProviderWorld } from '../contract/provider.ts'
import { audience, createClock, createListStore, entropy, identity, makeKeyring, makeOrder, start, text } from '../issuer/world.ts'

const access: JwtParams = { profile: 'AccessToken', audiences: [audience], scopes: ['payroll:read', 'payroll:write'], maxTTLSeconds: 900 }
const svid: JwtParams = { profile: 'JWTSVID', audiences: [audience], maxTTLSeconds: 300 }
const keyring = await makeKeyring()

async function makeWorld(params: JwtParams): Promise<ProviderWorld<JwtParams> & { leads: boolean }> {
  const clock = createClock()
  let broken: string | undefined
  const settings = { ...defaultStatusListSettings, size: 4096 }
  const state = { leads: true }
  const lists = createStatusLists({
    clock,
    entropy,
    identity,
    settings,
    keys: () => keyring.jwks(),
    signer: keyring,
    store: createListStore(),
    term: () => (state.leads ? 1 : undefined),
    fetchFromLeader: async () => 'unavailable',
  })
  await lists.beginTerm()
  lists.tasksSynced()
  const signer: typeof keyring = {
    ...keyring,
    sign: async (profile, claims) => {
      if (broken !== undefined) throw new Error(broken)
      return keyring.sign(profile, claims)
    },
  }
  const claims = { accessToken: accessTokenClaims, jwtSvid: jwtSvidClaims }
  const recorded = new Map<string, StatusRef>()

  async function accepts({ fields }: Issued): Promise<boolean> {
    const token = text(fields['token'] ?? Object.values(fields)[0] ?? (undefined as never))
    if (params.profile === 'JWTSVID') {
      return (await verifyJwtSvid(token, { keys: keyring.spiffeKeys(), trustDomain: identity.trustDomain, audience, now: clock.now() })).ok
    }
    const verified = await verifyAccessToken(token, { keys: keyring.jwks(), issuer: identity.url, audience, now: clock.now() })
    if (!verified.ok) return false
    const { uri, index } = verified.value.status
    const published = await lists.publish(uri)
    if (typeof published === 'string') return false
    const list = await verifyStatusList(published.token, { keys: keyring.jwks(), uri, now: clock.now() })
    return list.ok && list.value.valid(index) === true
  }

  return {
    provider: createJwtProvider({ signer, statuses: lists, claims, identity, entropy, listTtl: settings.ttl }),
    params,
    order: (change) =>
      makeOrder({ ...(params.profile === 'JWTSVID' ? { scopes: [], expiresAt: plus(start, seconds(300)) } : {}), ...change }),
    record(order, reservation: Reservation) {
      if (reservation.statusList === undefined) return
      const key = `${order.taskUid} ${recorded.size}` as typeof order.taskUid
      recorded.set(key, reservation.statusList)
      lists.observe(key, [reservation.statusList])
    },
    accepts,
    breakSource(canary) {
      broken = canary
    },
    get leads() {
      return state.leads
    },
    set leads(value) {
      state.leads = value
    },
  }
}

describeProvider('jwt with AccessToken', () => makeWorld(access))
describeProvider('jwt with JWTSVID', () => makeWorld(svid))

describe('an access token', () => {
  async function issue(change = {}) {
    const world = await makeWorld(access)
    const order = world.order(change)
    const reservation = world.provider.reserve(world.params)
    if (!reservation.ok) throw new Error(reservation.failure.message)
    world.record?.(order, reservation.value)
    const issued = await world.provider.issue(world.params, order, reservation.value)
    if (!issued.ok) throw new Error(issued.failure.message)
    return { claims: decodeJwt(text(issued.value.fields['token'] as never)), status: reservation.value.statusList }
  }

  test('says which task, agent, action, environment and requester it is for', async () => {
    const { claims, status } = await issue()
    expect(claims).toEqual({
      iss: 'https://issuer.example',
      sub: 'spiffe://corp.example/ns/finance/agent/payroll-clerk',
      client_id: 'spiffe://corp.example/ns/finance/agent/payroll-clerk',
      aud: audience,
      iat: start / 1000,
      exp: start / 1000 + 600,
      jti: expect.any(String),
      scope: 'payroll:read',
      status: { status_list: { uri: status?.uri, idx: status?.index } },
      taskbound: {
        task: { uid: '11111111-2222-4333-8444-555555555555', namespace: 'finance', name: 'close-books' },
        agent: 'payroll-clerk',
        action: 'payroll.reconcile',
        environment: 'production',
        requestedBy: 'alice',
        attempt: 1,
      },
    })
  })

  test('leaves out what is not known', async () => {
    const { claims } = await issue({ environment: undefined, requestedBy: undefined, scopes: [] })
    expect('scope' in claims).toBe(false)
    expect(claims['taskbound']).not.toHaveProperty('environment')
    expect(claims['taskbound']).not.toHaveProperty('requestedBy')
  })
})

describe('a replica that does not lead', () => {
  test('reserves nothing and issues nothing under what it reserved before', async () => {
    const world = await makeWorld(access)
    const reservation = world.provider.reserve(access)
    if (!reservation.ok) throw new Error('no place')
    world.record?.(world.order(), reservation.value)
    world.leads = false
    expect(world.provider.reserve(access).ok).toBe(false)
    expect((await world.provider.issue(access, world.order(), reservation.value)).ok).toBe(false)
  })
})

test('nothing is issued under a place that its task does not show', async () => {
  const world = await makeWorld(access)
  const reservation = world.provider.reserve(access)
  if (!reservation.ok) throw new Error('no place')
  expect((await world.provider.issue(access, world.order(), reservation.value)).ok).toBe(false)
})

test('what is promised of an access token is its list and a failover, of a JWT-SVID its own life', async () => {
  expect((await makeWorld(access)).provider.promises(access)).toMatchObject({ revocation: 'Checked', bound: seconds(75) })
  expect((await makeWorld(svid)).provider.promises(svid)).toMatchObject({ revocation: 'ExpireOnly', bound: seconds(300) })
})

describe('a provider object', () => {
  test.each<[string, Partial<JwtParams>, JwtParams]>([
    ['without audiences', { audiences: [] }, access],
    ['with a space in an audience', { audiences: ['https://a b'] }, access],
    ['with an audience that only looks like ASCII', { audiences: ['https://pаyroll.example'] }, access],
    ['with two scopes in one', { scopes: ['a b'] }, access],
    ['with a quote in a scope', { scopes: ['a"'] }, access],
    ['with scopes for a JWT-SVID', { scopes: ['a'] }, svid],
    ['with a ceiling that cannot be renewed in time', { maxTTLSeconds: 299 }, access],
  ])('%s is not ready', async (_name, change, base) => {
    const world = await makeWorld(base)
    expect(judgeParams({ ...base, ...change })?.reason).toBe('ProviderConfigInvalid')
    expect((await world.provider.ready({ ...base, ...change })).ok).toBe(false)
  })

  test('of JWT-SVIDs never promises more than 300 seconds', async () => {
    const world = await makeWorld(svid)
    expect(world.provider.promises({ ...svid, maxTTLSeconds: 3600 }).maxTtl).toBe(seconds(300))
  })
})
