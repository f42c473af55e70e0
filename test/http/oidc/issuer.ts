// A whole issuer over HTTP for tests: keys, lists and routes of one or more replicas, on loopback.

import { createLeaderClient } from '../../../src/http/oidc/leader.ts'
import { oidcRoutes } from '../../../src/http/oidc/routes.ts'
import type { Route } from '../../../src/http/route.ts'
import { createHttpServer, type HttpServer } from '../../../src/http/server.ts'
import { generateKeyDocument, type KeyDocument } from '../../../src/issuer/key-document.ts'
import { createKeyring, type Keyring } from '../../../src/issuer/keyring.ts'
import { loginIdentity } from '../../../src/issuer/logins.ts'
import { createStatusLists, defaultStatusListSettings, type StatusLists } from '../../../src/issuer/statuslist/statuslist.ts'
import { at, milliseconds } from '../../../src/lib/instant.ts'
import type { Clock } from '../../../src/ports/clock.ts'
import type { Log } from '../../../src/ports/log.ts'
import type { IssuerIdentity } from '../../../src/ports/signer.ts'
import { createListStore, entropy, start } from '../../issuer/world.ts'

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }
export const wallClock: Clock = { now: () => at(Date.now()), monotonic: () => milliseconds(performance.now()) }

export interface TestIssuer {
  readonly identity: IssuerIdentity
  readonly document: KeyDocument
  readonly keyring: Keyring
  readonly lists: StatusLists
  readonly server: HttpServer
  readonly port: number
}

/** An issuer whose URL is where it listens, leading in term 1. Plain HTTP on loopback. */
export async function startIssuer(settings = defaultStatusListSettings): Promise<TestIssuer> {
  const document = await generateKeyDocument(start)
  const created = await createKeyring(document)
  if (!created.ok) throw new Error(created.failure)
  const keyring = created.value
  // The URL holds the port, and the routes the URL: so the routes are filled in after it listens.
  const routes: Route[] = []
  const server = createHttpServer({ name: 'issuer', host: '127.0.0.1', port: 0, routes, log: silent })
  const port = await server.start()
  const identity = { url: `http://127.0.0.1:${port}`, trustDomain: 'corp.example' }
  const lists = createStatusLists({
    clock: wallClock,
    entropy,
    identity,
    keys: () => keyring.jwks(),
    signer: keyring,
    store: createListStore(),
    term: () => 1,
    fetchFromLeader: createLeaderClient(() => undefined),
    settings,
  })
  await lists.beginTerm()
  lists.tasksSynced()
  const logins = await createKeyring(await generateKeyDocument(start, 'ES256', ['Login']))
  if (!logins.ok) throw new Error(logins.failure)
  routes.push(
    ...oidcRoutes({
      identity,
      keyring: () => keyring,
      logins: { identity: loginIdentity(identity), keyring: () => logins.value },
      statuses: lists,
    }),
  )
  return { identity, document, keyring, lists, server, port }
}
