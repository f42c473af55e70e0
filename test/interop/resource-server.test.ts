import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createResourceServer } from '../../examples/resource-server/resource-server.ts'
import { audience } from '../issuer/world.ts'
import { type InteropWorld, startWorld } from './world.ts'

let world: InteropWorld
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.issuer.server.stop())

const create = (change = {}) => createResourceServer({ issuer: world.issuer.identity.url, audience, scope: 'payroll:read', ...change })
const token = () => world.sign('AccessToken', world.claims.AccessToken)

describe('the example resource server', () => {
  test('serves who holds a token of a live task, and nobody else', async () => {
    const server = create()
    const port = await server.listen()
    const ask = (headers: Record<string, string>) => fetch(`http://127.0.0.1:${port}/`, { headers })
    const reply = await ask({ authorization: `Bearer ${await token()}` })
    expect([reply.status, await reply.json()]).toMatchObject([200, { taskbound: { action: 'payroll.reconcile' } }])
    expect((await ask({})).status).toBe(401)
    expect((await ask({ authorization: 'Bearer x' })).status).toBe(401)
    await server.close()
  })

  test('refuses every forgery', async () => {
    const server = create()
    for (const [name, forged] of Object.entries(await world.forgeries('AccessToken'))) {
      await expect([name, await server.check(forged).catch(() => 'refused')]).toEqual([name, 'refused'])
    }
  })

  test('refuses a token without its scope', async () => {
    await expect(create({ scope: 'payroll:write' }).check(await token())).rejects.toThrow('lacks the scope')
  })

  test.each([
    ['outside of the list', { idx: 2 ** 17 }, 'no place'],
    ['below the list', { idx: -1 }, 'no place'],
    ['in a list that does not exist', { list: '0'.repeat(32) }, 'cannot be had: 404'],
    ['in a list of somebody else', { uri: 'https://evil.example/list' }, 'another issuer'],
  ])('refuses a token with a place %s', async (_name, { idx, list, uri }: { idx?: number; list?: string; uri?: string }, message) => {
    const place = {
      idx: idx ?? world.status.index,
      uri: uri ?? (list === undefined ? world.status.uri : `${world.issuer.identity.url}/status-lists/${list}`),
    }
    const forged = await world.sign('AccessToken', { ...world.claims.AccessToken, status: { status_list: place } })
    await expect(create().check(forged)).rejects.toThrow(message)
  })

  test('refuses a token whose place was ended', async () => {
    world.issuer.lists.end(world.status)
    await expect(create().check(await token())).rejects.toThrow('revoked')
  })
})
