import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  type AuthorizationServer,
  allowInsecureRequests,
  discoveryRequest,
  processDiscoveryResponse,
  validateJwtAccessToken,
} from 'oauth4webapi'
import { audience } from '../issuer/world.ts'
import { type InteropWorld, startWorld } from './world.ts'

let world: InteropWorld
let server: AuthorizationServer
beforeAll(async () => {
  world = await startWorld()
  const issuer = new URL(world.issuer.identity.url)
  server = await processDiscoveryResponse(issuer, await discoveryRequest(issuer, { [allowInsecureRequests]: true }))
})
afterAll(() => world.issuer.server.stop())

/** Keys from where our discovery document says, and validation, all by oauth4webapi. */
async function validate(token: string) {
  const request = new Request('http://127.0.0.1/', { headers: { authorization: `Bearer ${token}` } })
  return await validateJwtAccessToken(server, request, audience, { [allowInsecureRequests]: true })
}

describe('oauth4webapi', () => {
  test('accepts an access token through our discovery document', async () => {
    const claims = await validate(await world.sign('AccessToken', world.claims.AccessToken))
    expect(claims).toMatchObject({ iss: world.issuer.identity.url, aud: audience, scope: 'payroll:read' })
  })

  test('refuses every forgery', async () => {
    const forgeries = await world.forgeries('AccessToken')
    const accepted: string[] = []
    for (const [name, token] of Object.entries(forgeries)) {
      await validate(token).then(
        () => accepted.push(name),
        () => {},
      )
    }
    expect(accepted).toEqual([])
    expect(Object.keys(forgeries)).toHaveLength(10)
  })
})
