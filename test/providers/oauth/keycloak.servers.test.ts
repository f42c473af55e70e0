// At a real Keycloak that was set up by the page: what every provider must do, what a token is for, when it dies, and who is not let in.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { OauthParams } from '../../../src/providers/oauth/params.ts'
import { describeProvider, type ProviderWorld } from '../../contract/provider.ts'
import { text } from '../../issuer/world.ts'
import { value } from '../rows.ts'
import { letsIn, type Setup, setUp } from './real.ts'
import { makeWorld, type Task, type World } from './world.ts'

let setup: Setup
const worlds: World[] = []
beforeAll(async () => {
  setup = await setUp()
}, 600_000)
afterEach(() => {
  for (const world of worlds.splice(0)) world.http.close()
})
afterAll(() => setup?.close())

function makeReal(params: OauthParams = setup.params, as: Partial<Setup> = {}): World {
  const world = makeWorld(params, { ...setup, ...as })
  worlds.push(world)
  return world
}

async function contractWorld(): Promise<ProviderWorld<OauthParams>> {
  const params = { ...setup.params }
  const world = makeReal(params)
  return {
    ...world,
    params,
    accepts: async ({ fields }) => fields['token'] !== undefined && letsIn(setup.keycloak, text(fields['token'])),
    // Keycloak's own message repeats the name of a client that it does not know
    breakSource: (canary) => void Object.assign(params, { clientId: canary }),
  }
}
describeProvider('oauth, at a real Keycloak', contractWorld)

const failure = ({ result }: Task): string => (result.ok ? 'issued' : `${result.failure.reason}: ${result.failure.message}`)

describe('a token', () => {
  let world: World
  beforeEach(() => {
    world = makeReal()
  })

  test('is for the scope and the audience that were asked for, and lives as long as it is said to', async () => {
    const task = await world.issue()
    const { expiresAt } = value(task.result)
    const claims = await setup.offline(task.token)
    expect(claims).toMatchObject({ scope: 'payroll:read', aud: 'https://payroll-api.corp.example', azp: 'taskbound' })
    expect(Math.abs(Number(claims?.['exp']) * 1000 - expiresAt)).toBeLessThan(10_000)
    const both = await world.issue({ scopes: ['payroll:read', 'payroll:write'] })
    expect(
      String((await setup.offline(both.token))?.['scope'])
        .split(' ')
        .sort(),
    ).toEqual(['payroll:read', 'payroll:write'])
    expect(JSON.stringify([...world.notes])).not.toContain(task.token.slice(0, 16))
  })

  test('is dead for whoever asks once its revocation is confirmed, and not for whoever only checks its signature', async () => {
    const task = await world.issue()
    expect(await letsIn(setup.keycloak, task.token)).toBe(true)
    expect(await task.revoke()).toEqual({ ok: true, value: undefined })
    expect(await letsIn(setup.keycloak, task.token)).toBe(false)
    expect(await setup.offline(task.token)).toMatchObject({ scope: 'payroll:read' })
  })

  test('dies without those of other tasks', async () => {
    const [mine, other] = [await world.issue(), await world.issue()]
    value(await mine.revoke())
    expect(await letsIn(setup.keycloak, other.token)).toBe(true)
    value(await other.revoke())
  })

  test('that is for more than was asked for is given back', async () => {
    const scopes = (await setup.keycloak.admin('GET', '/client-scopes')) as { id: string; name: string }[]
    const write = scopes.find(({ name }) => name === 'payroll:write')?.id
    const clients = (await setup.keycloak.admin('GET', '/clients?clientId=taskbound')) as { id: string }[]
    const at = (kind: string): string => `/clients/${clients[0]?.id}/${kind}-client-scopes/${write}`
    await setup.keycloak.admin('DELETE', at('optional'))
    await setup.keycloak.admin('PUT', at('default'))
    try {
      const task = await world.issue()
      expect(failure(task)).toContain('scopes that were not asked for')
      expect(await task.revoke()).toEqual({ ok: true, value: undefined })
    } finally {
      await setup.keycloak.admin('DELETE', at('default'))
      await setup.keycloak.admin('PUT', at('optional'))
    }
    value((await world.issue()).result)
  })

  test('that lives longer than the provider says is given back, and the message says what to change', async () => {
    await setup.client({ 'access.token.lifespan': '900' })
    try {
      const task = await world.issue()
      expect(failure(task)).toContain('it gives a token for 900 seconds, and 300 are allowed: lower the life of access tokens')
      expect(await task.revoke()).toEqual({ ok: true, value: undefined })
    } finally {
      await setup.client({ 'access.token.lifespan': '300' })
    }
  })

  test('that expires is dead without a revocation', async () => {
    await setup.client({ 'access.token.lifespan': '2' })
    try {
      const { token } = await world.issue()
      const deadline = Date.now() + 30_000
      while (await letsIn(setup.keycloak, token)) expect(Date.now()).toBeLessThan(deadline)
      expect(await setup.offline(token)).toBeUndefined()
    } finally {
      await setup.client({ 'access.token.lifespan': '300' })
    }
  })
})

describe('nobody is let in', () => {
  test.each<[string, Partial<OauthParams>, string]>([
    ['as a client that is not there', { clientId: 'nobody' }, 'does not know the client'],
    ['by an assertion for another audience', { audience: 'https://sso.example' }, 'does not know the client'],
    ['for a scope that does not exist', { scopes: ['payroll:admin'] }, 'does not know a scope'],
    ['for a task, by an exchange of its login token', { grant: 'TokenExchange' }, ''],
  ])('%s', async (_, over, sentence) => {
    const task = await makeReal({ ...setup.params, ...over }).issue()
    expect(failure(task)).toMatch(/^IssueFailed: /)
    expect(failure(task)).toContain(sentence)
    expect(await task.revoke()).toEqual({ ok: true, value: undefined })
  })

  test('by a key that Keycloak does not know', async () => {
    const world = makeReal(setup.params, { assertions: setup.foreign })
    expect(await world.provider.ready(setup.params)).toMatchObject({ ok: false, failure: { reason: 'ProviderUnreachable' } })
    expect(failure(await world.issue())).toContain('does not know the client')
  })

  test('by an assertion that was used, nor by the login token of a task', async () => {
    const form = (assertion: string) =>
      setup.keycloak.form('/token', {
        grant_type: 'client_credentials',
        scope: 'payroll:read',
        client_id: 'taskbound',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion,
      })
    const assertion = text(plain(await setup.assertions.of('taskbound', setup.keycloak.issuer)))
    expect([(await form(assertion)).status, (await form(assertion)).status]).toEqual([200, 400])
    const login = text(plain(await setup.logins.task(makeReal().order(), setup.keycloak.issuer, 'tb')))
    expect((await form(login)).status).toBe(400)
  })
})

test('a provider whose name for the issuer is not to the letter is not ready', async () => {
  const params = { ...setup.params, issuer: `${setup.params.issuer}/` }
  expect(await makeReal(params).provider.ready(params)).toMatchObject({ ok: false, failure: { reason: 'ProviderConfigInvalid' } })
})

test('nothing of a token, and no assertion, is in what Keycloak logs', async () => {
  const task = await makeReal().issue()
  value(task.result)
  value(await task.revoke())
  expect(setup.keycloak.log()).not.toContain(task.token.split('.')[2] ?? 'none')
})

function plain<T>(result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: string }): T {
  if (!result.ok) throw new Error(result.failure)
  return result.value
}
