// A strict stand-in for GitHub over HTTPS: the calls of an App and of its tokens that the provider uses, refused as GitHub refuses them, and
// ways to lie, to break, to act and not to answer.

import { generateKeyPairSync, type KeyPairKeyObjectResult } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { operations } from '@octokit/openapi-types'
import { jwtVerify } from 'jose'
import { entropy } from '../../issuer/world.ts'
import { type Answer, startStandIn } from '../../support/stand-in.ts'
import { badCredentials, installationOf, repositoriesOf, tokenOf } from './replies.ts'

export type Json = Record<string, unknown>
export interface Request {
  readonly method: string
  /** without a slash at its beginning */
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Json
  readonly bearer: string
}
export interface Token {
  readonly repositories: readonly string[]
  readonly permissions: Readonly<Record<string, string>>
  /** epoch milliseconds */
  readonly expires: number
}
type Asked = NonNullable<operations['apps/create-installation-access-token']['requestBody']>['content']['application/json']

export const makeKeys = () => generateKeyPairSync('rsa', { modulusLength: 2048 })
export const keys = makeKeys()
/** As GitHub writes it: PKCS #1. */
export const pemOf = ({ privateKey }: KeyPairKeyObjectResult) => privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
export const pem = pemOf(keys)
export const app = { clientId: 'Iv23liTaskbound', account: 'corp', installationId: 4711 } as const
export const issueCall = `POST app/installations/${app.installationId}/access_tokens`
export const endCall = 'DELETE installation/token'
export const seeCall = 'GET installation/repositories'

const says = (status: number, message: string): Answer => ({ status, body: { message, documentation_url: 'https://docs.github.com/rest' } })

const read = (incoming: IncomingMessage, text: string): Request => ({
  method: incoming.method ?? '',
  path: (incoming.url ?? '').slice(1),
  headers: incoming.headers,
  body: text === '' ? {} : (JSON.parse(text) as Json),
  bearer: (incoming.headers.authorization ?? '').replace(/^Bearer /, ''),
})

/** @param pair keys of the App */
export async function startFake(pair: KeyPairKeyObjectResult = keys) {
  const tokens = new Map<string, Token>()
  const fake = Object.assign(await startStandIn(read, act, 'application/json; charset=utf-8'), {
    tokens,
    installation: { suspended_at: null as string | null, permissions: { contents: 'write', issues: 'write', metadata: 'read' } as Json },
    repositories: ['ledger', 'reports', 'secrets'],
    now: (): number => Date.now(),
    alive: (): readonly string[] => [...tokens].filter(([, { expires }]) => expires > fake.now()).map(([token]) => token),
    calls: (): readonly string[] => fake.requests.map(({ method, path }) => `${method} ${path.split('?')[0]}`),
  })

  async function asApp({ method, path, bearer, body }: Request): Promise<Answer> {
    try {
      // GitHub's limit counts from now, and its clock may be behind
      const { payload } = await jwtVerify(bearer, pair.publicKey, {
        algorithms: ['RS256'],
        issuer: app.clientId,
        currentDate: new Date(fake.now()),
        requiredClaims: ['iat', 'exp'],
      })
      if (Number(payload.exp) > fake.now() / 1000 + 600) return says(401, "'Expiration time' claim ('exp') is too far in the future")
      if (Number(payload.iat) > fake.now() / 1000) return says(401, "'Issued at' claim ('iat') must be an Integer in the past")
    } catch {
      return says(401, 'A JSON web token could not be decoded')
    }
    if (!path.startsWith(`app/installations/${app.installationId}`)) return says(404, 'Not Found')
    if (method === 'GET') {
      const { suspended_at, permissions } = fake.installation
      return { status: 200, body: installationOf(app, permissions, suspended_at) }
    }
    // GitHub takes no repositories for all of them, which nobody here means to ask for
    const { repositories, permissions, ...others } = body as Required<Omit<Asked, 'repository_ids'>>
    if (Object.keys(others).length > 0 || !Array.isArray(repositories) || repositories.length === 0) return says(422, 'Invalid request.')
    if (fake.installation.suspended_at !== null) return says(403, 'This installation has been suspended')
    if (!repositories.every((name) => fake.repositories.some((one) => one.toLowerCase() === name.toLowerCase())))
      return says(422, 'There is at least one repository that does not exist or is not accessible to the parent installation.')
    const rank = (level: unknown): number => ['read', 'write', 'admin'].indexOf(String(level)) + 1
    if (!Object.entries(permissions).every(([name, level]) => rank(fake.installation.permissions[name]) >= rank(level)))
      return says(422, 'The permissions requested are not granted to this installation.')
    const expires = Math.floor(fake.now() / 1000) * 1000 + 3_600_000
    // the new format: a JWT behind the prefix, some 520 characters
    const token = `ghs_${Buffer.from(entropy.bytes(48)).toString('base64url')}.${Buffer.from(entropy.bytes(290)).toString('base64url')}.${Buffer.from(entropy.bytes(48)).toString('base64url')}`
    tokens.set(token, { repositories, permissions, expires })
    return { status: 201, body: tokenOf(app.account, token, repositories, { ...permissions, metadata: 'read' }, new Date(expires)) }
  }

  function asToken({ method, path, bearer }: Request): Answer {
    const token = tokens.get(bearer)
    if (token === undefined || token.expires <= fake.now()) return { status: 401, body: badCredentials }
    if (`${method} ${path}` === endCall) {
      tokens.delete(bearer)
      return { status: 204 }
    }
    if (`${method} ${path.split('?')[0]}` === seeCall) return { status: 200, body: repositoriesOf(app.account, token.repositories) }
    return says(404, 'Not Found')
  }

  function act(request: Request): Answer | Promise<Answer> {
    const { headers, path } = request
    if (headers['user-agent'] === undefined) return { status: 403, body: 'Request forbidden by administrative rules.' }
    if (headers['accept'] !== 'application/vnd.github+json' || headers['x-github-api-version'] !== '2022-11-28')
      return says(400, 'Unsupported media type or version')
    return path.startsWith('app/') ? asApp(request) : asToken(request)
  }

  return fake
}

export type Fake = Awaited<ReturnType<typeof startFake>>
