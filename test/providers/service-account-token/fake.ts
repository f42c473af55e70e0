// An API server as far as tokens of ServiceAccounts go: what a real one was seen to answer, its two fences, and how long it remembers whom it
// let in. Strict: what the real one would refuse is refused here.

import { randomUUID } from 'node:crypto'
import type { KubeClient, RequestOptions } from '../../../src/kube/client.ts'
import { httpError } from '../../../src/kube/errors.ts'
import { fail, ok } from '../../../src/lib/result.ts'

export const issuer = 'https://kubernetes.default.svc'
const optIn = "ValidatingAdmissionPolicy 'taskbound-operator-token-fence' denied request: set 'policy.taskbound.dev/service-account-tokens'"
const notOurs = "ValidatingAdmissionPolicy 'taskbound-operator-fence' denied request: this Secret was not made by the operator"

/** Of two places that look at the UID. */
const early = (wanted: string, stored: string): string =>
  `Operation cannot be fulfilled on Secret: the UID in the precondition (${wanted}) does not match the UID in record (${stored})`
const late = (wanted: string, stored: string): string =>
  `Precondition failed: UID in precondition: ${wanted}, UID in object meta: ${stored}`

interface Secret {
  readonly uid: string
  readonly ours: boolean
  finalizer: boolean
  deletedAt: number | undefined
}

type Fields = Readonly<Record<string, unknown>>
// biome-ignore lint/suspicious/noExplicitAny: bodies as they are sent
type Json = any
interface Reply {
  readonly status: number
  readonly body: Fields
}

export interface Fake {
  readonly client: Pick<KubeClient, 'request'>
  readonly secrets: Map<string, Secret>
  readonly calls: string[]
  /** milliseconds by which all clocks are ahead */
  passed: number
  readonly namespaces: Record<string, { optedIn: boolean; role: boolean; terminating?: boolean }>
  accountUid: string
  /** audiences by which it lets in to itself */
  own: string[]
  /** answers instead, before or after it has acted; `undefined` for its own answer */
  before: (call: string) => Reply | 'lost' | undefined
  after: (call: string, own: Reply) => Reply | 'lost'
  /** changes the claims of a token that it makes */
  claims: (claims: Fields) => unknown
  fence: { policy: Fields | undefined; binding: Fields | undefined }
  mayAnywhere: boolean
  /** whether another UID is noticed by the storage alone */
  late: boolean
  mayReview: boolean
  /** whether a token is let in now by whoever asks with this audience; remembers it for ten seconds if so */
  admits(token: string, audience?: string): boolean
}

const status = (code: number, reason: string, message = reason, causes: readonly Fields[] = []): Reply => ({
  status: code,
  body: { kind: 'Status', reason, message, details: { causes } },
})
const done = (body: Fields, code = 200): Reply => ({ status: code, body })

export function createFake(): Fake {
  const remembered = new Map<string, number>()
  const now = (): number => performance.now() + fake.passed

  function token(namespace: string, account: string, { spec }: { spec: Json }): Reply {
    const its = fake.namespaces[namespace]
    if (its?.role !== true) return status(403, 'Forbidden', `cannot create resource "serviceaccounts/token" in "${namespace}"`)
    const { audiences, expirationSeconds, boundObjectRef } = spec as {
      audiences: string[]
      expirationSeconds: number
      boundObjectRef: { kind: string; apiVersion: string; name: string; uid: string }
    }
    if (!its.optedIn) return status(422, 'Invalid', optIn)
    const { kind, name, uid } = boundObjectRef
    if (audiences.length !== 1 || kind !== 'Secret' || !/^taskbound-.+\.anchor$/.test(name) || !uid) return status(422, 'Invalid', 'fence')
    if (!Number.isInteger(expirationSeconds) || expirationSeconds < 600)
      return status(422, 'Invalid', 'may not specify a duration less than 10 minutes')
    const secret = fake.secrets.get(`${namespace}/${name}`)
    if (secret === undefined) return status(404, 'NotFound', `secrets "${name}" not found`)
    if (secret.uid !== uid) return status(409, 'Conflict', 'the UID in the bound object reference does not match')
    const iat = Math.floor((Date.now() + fake.passed) / 1000)
    const claims = {
      aud: audiences,
      exp: iat + expirationSeconds,
      iat,
      iss: issuer,
      jti: randomUUID(),
      'kubernetes.io': { namespace, secret: { name, uid }, serviceaccount: { name: account, uid: fake.accountUid } },
      sub: `system:serviceaccount:${namespace}:${account}`,
    }
    const said = fake.claims(claims)
    const made = typeof said === 'string' ? said : `e30.${Buffer.from(JSON.stringify(said)).toString('base64url')}.c2ln`
    return done({ kind: 'TokenRequest', status: { token: made } }, 201)
  }

  function remove(key: string, preconditions: { uid?: string } | undefined, dry: boolean): Reply {
    const secret = fake.secrets.get(key)
    if (secret === undefined) return status(404, 'NotFound')
    if (preconditions?.uid !== undefined && preconditions.uid !== secret.uid)
      return status(409, 'Conflict', fake.late ? late(preconditions.uid, secret.uid) : early(preconditions.uid, secret.uid))
    if (!secret.ours) return status(422, 'Invalid', notOurs)
    if (dry) return done({ kind: 'Status', status: 'Success' })
    secret.deletedAt ??= now()
    if (!secret.finalizer) {
      fake.secrets.delete(key)
      return done({ kind: 'Status', status: 'Success' })
    }
    const metadata = { name: key, uid: secret.uid, resourceVersion: '1', deletionTimestamp: '2026-01-01T00:00:00Z' }
    return done({ kind: 'PartialObjectMetadata', metadata })
  }

  function create(namespace: string, body: Json): Reply {
    if (fake.namespaces[namespace]?.terminating === true)
      return status(403, 'Forbidden', 'being terminated', [{ reason: 'NamespaceTerminating' }])
    const { type, metadata, data } = body as { type: string; data: object; metadata: Json }
    const { name, labels, annotations, ownerReferences } = metadata as {
      name: string
      labels: Record<string, string>
      annotations: Record<string, string>
      ownerReferences: { kind: string; uid: string; blockOwnerDeletion?: boolean }[]
    }
    const [owner] = ownerReferences
    const fenced = type === 'Opaque' && owner?.kind === 'AgentTask' && owner.uid === labels['taskbound.dev/task-uid']
    if (!fenced || !/^[1-9]\d*$/.test(annotations['taskbound.dev/attempt'] ?? '') || Object.keys(data).length > 0)
      return status(422, 'Invalid', 'fence')
    const key = `${namespace}/${name}`
    if (fake.secrets.has(key)) return status(409, 'AlreadyExists')
    const uid = randomUUID()
    fake.secrets.set(key, { uid, ours: true, finalizer: false, deletedAt: undefined })
    return done({ kind: 'PartialObjectMetadata', metadata: { name, uid, resourceVersion: '1' } }, 201)
  }

  function answer(method: string, path: string, body: Json): Reply {
    const [, namespace = '', plural = '', name = '', sub] =
      /^\/api\/v1\/namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(path) ?? []
    if (method === 'POST' && plural === 'secrets') return create(namespace, body)
    if (method === 'DELETE' && plural === 'secrets') {
      if (body['propagationPolicy'] !== 'Background') return status(422, 'Invalid', 'fence')
      return remove(`${namespace}/${name}`, body['preconditions'], body['dryRun']?.[0] === 'All')
    }
    if (method === 'POST' && sub === 'token') return token(namespace, name, body as never)
    if (path === '/apis/authentication.k8s.io/v1/tokenreviews') {
      if (!fake.mayReview) return status(403, 'Forbidden')
      return done({ status: { authenticated: fake.admits((body['spec'] as { token: string }).token) } }, 201)
    }
    if (path === '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews') return done({ status: { allowed: fake.mayAnywhere } }, 201)
    if (path === '/.well-known/openid-configuration') return done({ issuer })
    const found = path.includes('bindings') ? fake.fence.binding : fake.fence.policy
    return found === undefined ? status(404, 'NotFound') : done({ spec: found })
  }

  const fake: Fake = {
    secrets: new Map(),
    calls: [],
    passed: 0,
    namespaces: { finance: { optedIn: true, role: true } },
    accountUid: '99999999-2222-4333-8444-555555555555',
    own: [issuer],
    before: () => undefined,
    after: (_call, own) => own,
    claims: (claims) => claims,
    fence: { policy: { failurePolicy: 'Fail' }, binding: { validationActions: ['Deny'] } },
    mayAnywhere: false,
    late: false,
    mayReview: true,
    admits(text, audience) {
      const claims = read(text)
      const key = `${text} ${audience}`
      if ((remembered.get(key) ?? 0) > now()) return true
      const { namespace, secret: bound } = (claims?.['kubernetes.io'] ?? {}) as { namespace: string; secret: { name: string; uid: string } }
      const secret = fake.secrets.get(`${namespace}/${bound?.name}`)
      const alive = secret?.uid === bound?.uid && (secret?.deletedAt === undefined || now() - secret.deletedAt < 60_000)
      const audiences = claims?.['aud'] as string[] | undefined
      const fits = audience === undefined ? fake.own.some((one) => audiences?.includes(one)) : audiences?.includes(audience) === true
      const unexpired = Number(claims?.['exp']) * 1000 > Date.now() + fake.passed
      if (secret === undefined || !alive || !fits || !unexpired) return false
      remembered.set(key, now() + 10_000)
      return true
    },
    client: {
      async request<T>({ method, path, body }: RequestOptions) {
        const call = `${method} ${path}`
        fake.calls.push(call)
        const instead = fake.before(call)
        const own = instead ?? answer(method, path, body ?? {})
        const said = instead === undefined && own !== 'lost' ? fake.after(call, own) : own
        if (said === 'lost') return fail({ kind: 'timeout', message: 'canary', sent: true } as const)
        return said.status < 300 ? ok({ status: said.status, body: said.body as T, headers: {} }) : fail(httpError(said.status, said.body))
      },
    },
  }
  return fake
}

function read(text: string): Fields | undefined {
  try {
    return JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString()) as Fields
  } catch {
    return undefined
  }
}
