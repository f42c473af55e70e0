import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createLeaderClient } from '../../../src/http/oidc/leader.ts'
import { oidcRoutes } from '../../../src/http/oidc/routes.ts'
import { createHttpServer } from '../../../src/http/server.ts'
import { createStatusLists } from '../../../src/issuer/statuslist/statuslist.ts'
import { createListStore, entropy, identity } from '../../issuer/world.ts'
import { silent, startIssuer, type TestIssuer, wallClock } from './issuer.ts'

let issuer: TestIssuer
beforeAll(async () => {
  issuer = await startIssuer()
})
afterAll(() => issuer.server.stop())

const get = (path: string, headers: Record<string, string> = {}) => fetch(issuer.identity.url + path, { headers })

describe('the issuer', () => {
  test('names itself and its keys by configuration, whatever the request claims', async () => {
    const spoofed = await get('/.well-known/openid-configuration', {
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      forwarded: 'host=evil.example',
    })
    const document = (await spoofed.json()) as Record<string, unknown>
    expect(document).toMatchObject({
      issuer: issuer.identity.url,
      jwks_uri: `${issuer.identity.url}/keys`,
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
    })
  })

  test('serves the keys of access tokens and lists in one place, those of SVIDs in another', async () => {
    const keys = (await (await get('/keys')).json()) as { keys: { kid: string; use: string }[] }
    const bundle = (await (await get('/spiffe/bundle')).json()) as { keys: { kid: string; use: string }[]; spiffe_sequence: number }
    expect(keys.keys.map(({ use }) => use)).toEqual(['sig', 'sig'])
    expect(bundle.keys.map(({ use }) => use)).toEqual(['jwt-svid'])
    expect(bundle).toMatchObject({ spiffe_sequence: 1, spiffe_refresh_hint: 300 })
    expect(keys.keys.map(({ kid }) => kid)).not.toContain(bundle.keys[0]?.kid)
  })

  test('serves a status list with its own type, without letting a cache add time', async () => {
    const path = new URL(issuer.lists.reserve()?.uri ?? '').pathname
    const reply = await get(path)
    expect(reply.status).toBe(200)
    expect(reply.headers.get('content-type')).toBe('application/statuslist+jwt')
    expect(reply.headers.get('cache-control')).toBe('no-cache')
    const again = await get(path, { 'if-none-match': reply.headers.get('etag') ?? '' })
    expect(again.status).toBe(304)
  })

  test.each(['0'.repeat(32), 'x', '..', `${'0'.repeat(31)}A`])('does not know the list %s', async (id) => {
    expect((await get(`/status-lists/${id}`)).status).toBe(404)
  })

  test('serves below the path of its URL', () => {
    const routes = oidcRoutes({
      identity: { ...identity, url: 'https://issuer.example/a/b' },
      keyring: () => issuer.keyring,
      logins: { identity: { ...identity, url: 'https://issuer.example/a/b/login' }, keyring: () => issuer.keyring },
      statuses: issuer.lists,
    })
    expect(routes.map(({ path }) => path)).toEqual([
      '/a/b/.well-known/openid-configuration',
      '/a/b/keys',
      '/a/b/login/.well-known/openid-configuration',
      '/a/b/login/keys',
      '/a/b/spiffe/bundle',
      '/a/b/status-lists/*',
    ])
  })
})

describe('a replica that does not lead', () => {
  async function startFollower(leader: () => string | undefined) {
    const keyring = issuer.keyring
    const lists = createStatusLists({
      clock: wallClock,
      entropy,
      identity: issuer.identity,
      keys: () => keyring.jwks(),
      signer: keyring,
      store: createListStore(),
      term: () => undefined,
      fetchFromLeader: createLeaderClient(() => {
        const origin = leader()
        return origin === undefined ? undefined : { origin }
      }),
    })
    const routes = oidcRoutes({
      identity: issuer.identity,
      keyring: () => keyring,
      logins: { identity: issuer.identity, keyring: () => keyring },
      statuses: lists,
    })
    const server = createHttpServer({ name: 'follower', host: '127.0.0.1', port: 0, routes, log: silent })
    return { server, url: `http://127.0.0.1:${await server.start()}` }
  }

  test("hands on the leader's list", async () => {
    const follower = await startFollower(() => issuer.identity.url)
    const path = new URL(issuer.lists.reserve()?.uri ?? '').pathname
    const reply = await fetch(follower.url + path)
    expect(reply.status).toBe(200)
    expect(await reply.text()).toBe(await (await get(path)).text())
    await follower.server.stop()
  })

  test('answers 503 when nobody leads', async () => {
    const follower = await startFollower(() => undefined)
    const reply = await fetch(`${follower.url}/status-lists/${'0'.repeat(32)}`)
    expect([reply.status, reply.headers.get('retry-after')]).toEqual([503, '1'])
    await follower.server.stop()
  })

  test('does not ask round in circles when two take each other for the leader', async () => {
    const urls: string[] = []
    const a = await startFollower(() => urls[1])
    const b = await startFollower(() => urls[0])
    urls.push(a.url, b.url)
    expect((await fetch(`${a.url}/status-lists/${'0'.repeat(32)}`)).status).toBe(503)
    await Promise.all([a.server.stop(), b.server.stop()])
  })
})
