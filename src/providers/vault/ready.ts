// Whether a Vault is set up so that a task gets what is its own, and so that all of it ends. Says what is wrong in words that its
// administrator understands. Reads the configuration of the role, and no secret.

import type { Json } from '../../lib/json.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Failure } from '../../ports/provider.ts'
import { firstLife, handleKey } from './answers.ts'
import type { OwnLogin } from './operator.ts'
import type { VaultParams } from './params.ts'
import type { VaultFailure } from './wire.ts'

const patience = 5_000
const needed: readonly string[] = ['auth/token/lookup-accessor', 'auth/token/revoke-accessor', 'sys/leases/lookup', 'sys/leases/revoke']

export async function judgeServer(own: OwnLogin, params: VaultParams): Promise<Result<undefined, Failure>> {
  const rolePath = `auth/${params.authMount}/role/${params.role}`
  const asked = [...needed, rolePath, ...params.paths.map(({ path }) => path)]
  const able = await own.call(params, { method: 'POST', path: 'sys/capabilities-self', body: { paths: asked }, limit: patience })
  if (!able.ok) return unwell(params, able.failure)
  const problem = judgeCapabilities(able.value, params, rolePath)
  if (problem !== undefined) return invalid(problem)
  const role = await own.call(params, { method: 'GET', path: rolePath, limit: patience })
  if (!role.ok) return role.failure.kind === 'absent' ? invalid(`the role \`${params.role}\` does not exist`) : unwell(params, role.failure)
  const wrong = judgeRole((role.value['data'] ?? {}) as Json, params)
  return wrong === undefined ? ok(undefined) : invalid(`role \`${params.role}\`: ${wrong}`)
}

const invalid = (message: string): Result<never, Failure> => fail({ reason: 'ProviderConfigInvalid', message })
const unwell = ({ address }: VaultParams, { sentence }: VaultFailure): Result<never, Failure> =>
  fail({ reason: 'ProviderUnreachable', message: `${new URL(address).host}: ${sentence}` })

/** The operator can end things, and read nothing that a task asks for: then nobody can use it as a deputy. */
function judgeCapabilities(answer: Json, { operatorRole, paths }: VaultParams, rolePath: string): string | undefined {
  const of = (path: string): readonly unknown[] => {
    const found = ((answer['data'] ?? {}) as Json)[path] ?? answer[path]
    return Array.isArray(found) ? found : []
  }
  const whose = `the policies of role \`${operatorRole}\``
  if (of(rolePath).includes('root')) return `${whose} are those of root: give it the four paths that it needs and nothing more`
  const missing = needed.find((path) => !of(path).includes('update'))
  if (missing !== undefined) return `${whose} do not allow \`update\` at \`${missing}\``
  if (!of(rolePath).includes('read')) return `${whose} do not allow \`read\` at \`${rolePath}\``
  const readable = paths.find(({ path }) => of(path).some((able) => able === 'read' || able === 'create' || able === 'update'))
  if (readable !== undefined) return `${whose} allow \`${readable.path}\`, which only tasks may read`
  return undefined
}

function judgeRole(role: Json, { audience, maxTTLSeconds }: VaultParams): string | undefined {
  const list = (name: string): readonly unknown[] => (Array.isArray(role[name]) ? role[name] : [])
  const map = (name: string): Json => (typeof role[name] === 'object' && role[name] !== null ? (role[name] as Json) : {})
  const number = (name: string): number => Number(role[name] ?? 0)
  if (role['role_type'] !== 'jwt') return 'its `role_type` must be `jwt`'
  if (!list('bound_audiences').includes(audience)) return `its \`bound_audiences\` lack \`${audience}\``
  if (map('bound_claims')['/taskbound/task/namespace'] === undefined)
    return 'its `bound_claims` do not say of which namespaces it is: set `/taskbound/task/namespace`'
  if (map('claim_mappings')['/taskbound/handle'] !== handleKey)
    return `its \`claim_mappings\` must map \`/taskbound/handle\` to \`${handleKey}\``
  if (role['token_type'] === 'batch') return 'its `token_type` must be `service`: a batch token cannot be ended'
  const first = number('token_ttl')
  if (first <= 0 || first > firstLife)
    return `its \`token_ttl\` must be at most ${firstLife} seconds: a login whose answer is lost lives that long`
  if (number('token_period') !== 0) return 'its `token_period` must be 0: a periodic token has no last day'
  if (number('token_num_uses') !== 0) return 'its `token_num_uses` must be 0'
  for (const name of ['token_max_ttl', 'token_explicit_max_ttl'])
    if (number(name) !== 0 && number(name) < maxTTLSeconds) return `its \`${name}\` is below \`maxTTLSeconds\`, ${maxTTLSeconds}`
  return undefined
}
