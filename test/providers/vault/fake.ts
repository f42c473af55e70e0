// A strict stand-in for a Vault over HTTPS: logins by role, leases that hang on their token, a KV value, and ways to lie, to break, to act
// and not to answer. It knows no route and no field that the provider need not use, and refuses what a Vault would refuse.

import type { IncomingMessage } from 'node:http'
import { entropy } from '../../issuer/world.ts'
import { type Answer, startStandIn } from '../../support/stand-in.ts'

export type Json = Record<string, unknown>
export interface Request {
  readonly method: string
  /** below `/v1/` */
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Json
  readonly token: string | undefined
}
export interface Token {
  readonly role: string
  readonly accessor: string
  readonly handle: unknown
  /** epoch milliseconds */
  expires: number
}
export interface FakeLease {
  readonly token: string
  readonly username: string
  readonly password: string
  expires: number
}

export const roleData = {
  role_type: 'jwt',
  bound_audiences: ['https://vault.corp.example'],
  bound_claims: { '/taskbound/task/namespace': 'finance' },
  claim_mappings: { '/taskbound/handle': 'taskbound_handle' },
  token_type: 'service',
  token_ttl: 60,
  token_max_ttl: 86_400,
  token_period: 0,
  token_num_uses: 0,
  token_explicit_max_ttl: 0,
}
export const paths = { lease: 'database/creds/readonly', other: 'database/creds/other', value: 'secret/data/payroll' } as const
const errors = (status: number, ...texts: string[]): Answer => ({ status, body: { errors: texts } })

const read = (incoming: IncomingMessage, text: string): Request => ({
  method: incoming.method ?? '',
  path: (incoming.url ?? '').slice('/v1/'.length),
  headers: incoming.headers,
  body: text === '' ? {} : (JSON.parse(text) as Json),
  token: incoming.headers['x-vault-token'] as string | undefined,
})

export async function startFake() {
  const tokens = new Map<string, Token>()
  const leases = new Map<string, FakeLease>()
  let count = 0
  const fake = Object.assign(await startStandIn(read, act), {
    tokens,
    leases,
    role: { ...roleData } as Json,
    /** capabilities of the operator beyond what it needs */
    able: {} as Record<string, readonly string[]>,
    /** the engine of leases does not answer */
    engineDown: false,
    engineLife: 3600,
    value: { data: { key: 'long-lived' }, metadata: { version: 3 } } as Json,
    now: (): number => Date.now(),
    alive(): readonly string[] {
      return [...leases].filter(([, { expires, token }]) => expires > fake.now() && tokens.has(token)).map(([id]) => id)
    },
    /** whether it lets these fields in */
    accepts: (username: string, password: string): boolean =>
      [...leases].some(([id, lease]) => fake.alive().includes(id) && lease.username === username && lease.password === password),
  })

  function logIn({ body }: Request): Answer {
    if (body['role'] !== 'tasks' && body['role'] !== 'operator') return errors(400, `role "${String(body['role'])}" could not be found`)
    const { handle, task } = JSON.parse(String(body['jwt'])) as Json
    if (body['role'] === 'tasks' && task === undefined) return errors(400, 'error validating claims: claim "/taskbound" is missing')
    count += 1
    const [token, accessor] = [`hvs.${count}-${entropy.uuid()}`, `accessor-${count}`]
    const life = body['role'] === 'tasks' ? 60 : 600
    tokens.set(token, { role: String(body['role']), accessor, handle, expires: fake.now() + life * 1000 })
    const metadata = { role: body['role'], ...(handle === undefined ? {} : { taskbound_handle: handle }) }
    const auth = { client_token: token, accessor, lease_duration: life, renewable: true, token_type: 'service', metadata }
    return { status: 200, body: { auth, lease_id: '', data: null } }
  }
  function endToken(token: string): void {
    tokens.delete(token)
    for (const [id, lease] of leases) if (lease.token === token && !fake.engineDown) leases.delete(id)
  }
  const byAccessor = (accessor: unknown) => [...tokens].find(([, token]) => token.accessor === accessor)

  function operator({ method, path, body }: Request): Answer {
    const found = byAccessor(body['accessor'])
    switch (`${method} ${path}`) {
      case 'PUT auth/token/lookup-accessor':
        if (found === undefined) return errors(403, '1 error occurred:\n\t* invalid accessor\n\n')
        return { status: 200, body: { data: { accessor: found[1].accessor, meta: { taskbound_handle: found[1].handle } } } }
      case 'PUT auth/token/revoke-accessor':
        if (found === undefined) return errors(400, 'invalid accessor')
        endToken(found[0])
        return { status: 204 }
      case 'PUT sys/leases/revoke':
        if (body['sync'] !== true) return errors(400, 'only at once')
        if (fake.engineDown) return errors(400, 'failed to revoke entry')
        leases.delete(String(body['lease_id']))
        return { status: 204 }
      case 'PUT sys/leases/lookup':
        return leases.has(String(body['lease_id'])) ? { status: 200, body: { data: {} } } : errors(400, 'invalid lease')
      case 'POST sys/capabilities-self': {
        const usual = (asked: string): readonly string[] =>
          /^(auth\/token|sys\/leases)\//.test(asked) ? ['update'] : asked.startsWith('auth/jwt/role/') ? ['read'] : ['deny']
        const wanted = body['paths'] as string[]
        return { status: 200, body: { data: Object.fromEntries(wanted.map((asked) => [asked, fake.able[asked] ?? usual(asked)])) } }
      }
      case 'GET auth/jwt/role/tasks':
        return { status: 200, body: { data: fake.role } }
      default:
        return errors(403, 'permission denied')
    }
  }

  function task(request: Request, secret: string, token: Token): Answer {
    const { method, path, body } = request
    switch (`${method} ${path}`) {
      case `GET ${paths.lease}`: {
        if (fake.engineDown) return errors(500, 'cannot reach the database')
        count += 1
        const [username, password] = [`v-${count}`, entropy.uuid()]
        const id = `${path}/lease${count}`
        leases.set(id, { token: secret, username, password, expires: fake.now() + fake.engineLife * 1000 })
        return { status: 200, body: { lease_id: id, lease_duration: fake.engineLife, renewable: true, data: { username, password } } }
      }
      case `GET ${paths.value}`:
        return { status: 200, body: { lease_id: '', lease_duration: 0, renewable: false, data: fake.value } }
      case 'PUT sys/leases/renew': {
        const lease = leases.get(String(body['lease_id']))
        if (lease?.token !== secret) return errors(400, 'lease not found')
        lease.expires = fake.now() + Number(body['increment']) * 1000
        return { status: 200, body: { lease_id: body['lease_id'], lease_duration: body['increment'], renewable: true } }
      }
      case 'PUT auth/token/renew-self': {
        const life = Math.min(Number(body['increment']), Number(fake.role['token_max_ttl']))
        token.expires = fake.now() + life * 1000
        return { status: 200, body: { auth: { client_token: secret, accessor: token.accessor, lease_duration: life, renewable: true } } }
      }
      case 'POST auth/token/revoke-self':
        endToken(secret)
        return { status: 204 }
      default:
        return errors(403, 'permission denied')
    }
  }

  function act(request: Request): Answer {
    for (const [secret, { expires }] of tokens) if (expires <= fake.now()) endToken(secret)
    if (request.headers['x-vault-request'] !== 'true') return errors(400, 'missing header')
    if (`${request.method} ${request.path}` === 'POST auth/jwt/login') return logIn(request)
    const token = tokens.get(request.token ?? '')
    if (token === undefined) return errors(403, 'permission denied')
    return token.role === 'operator' ? operator(request) : task(request, request.token ?? '', token)
  }

  return fake
}

export type Fake = Awaited<ReturnType<typeof startFake>>
