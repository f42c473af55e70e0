import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { getListFromStatusListJWT, getStatusListFromJWT, StatusList } from '@sd-jwt/jwt-status-list'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { asUid } from '../../src/core/names.ts'
import { verifyStatusList } from '../../src/issuer/profiles/status-list.ts'
import { at } from '../../src/lib/instant.ts'
import type { StatusRef } from '../../src/ports/signer.ts'
import { type InteropWorld, startWorld } from './world.ts'

let world: InteropWorld
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.issuer.server.stop())

/** The library reads lists and leaves signatures to its caller, so that is done here as its documentation says. */
async function read(token: string): Promise<StatusList> {
  await jwtVerify(token, createRemoteJWKSet(new URL(`${world.issuer.identity.url}/keys`)), { typ: 'statuslist+jwt', algorithms: ['ES256'] })
  return getListFromStatusListJWT(token)
}

const fetched = async (uri: string) => await (await fetch(uri)).text()

describe('@sd-jwt/jwt-status-list', () => {
  test('finds the place of an access token and reads its status before and after its end', async () => {
    const { uri, idx } = getStatusListFromJWT(await world.sign('AccessToken', world.claims.AccessToken))
    expect({ uri, index: idx }).toEqual(world.status)
    expect((await read(await fetched(uri))).getStatus(idx)).toBe(0)
    world.issuer.lists.end(world.status)
    expect((await read(await fetched(uri))).getStatus(idx)).toBe(1)
  })

  test('reads every place as we do', async () => {
    const ended: StatusRef[] = []
    for (let n = 0; n < 50; n += 1) {
      const ref = world.issuer.lists.reserve()
      if (ref === undefined) throw new Error('no place')
      world.issuer.lists.observe(asUid(`t${n}`), [ref])
      if (n % 2 === 0) world.issuer.lists.forget(asUid(`t${n}`))
      if (n % 2 === 0) ended.push(ref)
    }
    const token = await fetched(world.status.uri)
    const theirs = await read(token)
    const ours = await verifyStatusList(token, { keys: world.issuer.keyring.jwks(), uri: world.status.uri, now: at(Date.now()) })
    if (!ours.ok) throw new Error(ours.failure)
    for (let index = 0; index < 2 ** 17; index += 1) {
      if ((theirs.getStatus(index) === 0) !== ours.value.valid(index)) throw new Error(`place ${index} differs`)
    }
    for (const { index } of ended) expect(theirs.getStatus(index)).toBe(1)
    expect(() => theirs.getStatus(2 ** 17)).toThrow()
  })

  test('makes lists that we read', async () => {
    const list = new StatusList([1, 0, 0, 1, 1, 1, 0, 1], 1)
    const uri = `${world.issuer.identity.url}/status-lists/x`
    const now = Math.floor(Date.now() / 1000)
    const claims = { sub: uri, iat: now, exp: now + 60, ttl: 15, status_list: { bits: 1, lst: list.compressStatusList() } }
    const ours = await verifyStatusList(await world.sign('StatusList', claims), {
      keys: world.issuer.keyring.jwks(),
      uri,
      now: at(Date.now()),
    })
    if (!ours.ok) throw new Error(ours.failure)
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((index) => (ours.value.valid(index) ? 0 : 1))).toEqual([1, 0, 0, 1, 1, 1, 0, 1])
  })

  test('is not shown a tampered list: its signature does not fit', async () => {
    const [header, payload = '', signature] = (await fetched(world.status.uri)).split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
    const clean = new StatusList(new Array(64).fill(0), 1).compressStatusList()
    const forged = Buffer.from(JSON.stringify({ ...claims, status_list: { bits: 1, lst: clean } })).toString('base64url')
    await expect(read(`${header}.${forged}.${signature}`)).rejects.toThrow('signature verification failed')
  })
})
