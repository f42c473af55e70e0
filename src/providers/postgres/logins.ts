// The operator's own login at a server: read from its Secret when it is needed, kept for a minute, and shown to no other server than the
// Secret itself names.

import { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import type { HandedData, ReadHanded } from '../../ports/handed.ts'
import { handed, origins, type PostgresParams } from './params.ts'
import type { Login } from './wire.ts'

/** A Secret with a login, as far as it matters here; a failure is a sentence. */
export interface LoginSecret {
  readonly username: string
  readonly password: Material
  /** its annotation `taskbound.dev/origin` */
  readonly origin: string | undefined
}
export type ReadLogin = (secret: string, params: PostgresParams) => Promise<Result<LoginSecret, string>>

export interface Logins {
  of(params: PostgresParams): Promise<Result<Login, string>>
  /** It may have changed: it is read again when it is needed next. */
  forget(params: PostgresParams): void
}

const keeping = 60_000

export function createLogins(read: ReadLogin, clock: Pick<Clock, 'monotonic'>): Logins {
  const known = new Map<string, { readonly login: Login; readonly until: number }>()
  const origin = (params: PostgresParams): string | undefined => origins(params)[0]
  // another namespace's Secret may have the same name, and another provider may name the same: what one is shown, no other is
  const key = (params: PostgresParams): string => JSON.stringify([params.home, params.loginSecretRef.name, ...origins(params)])

  return {
    async of(params) {
      const kept = known.get(key(params))
      if (kept !== undefined && clock.monotonic() < kept.until) return ok(kept.login)
      const { name } = params.loginSecretRef
      const found = await read(name, params)
      if (!found.ok) return found
      if (found.value.origin !== origin(params))
        return fail(
          `Secret \`${name}\` is not for this server: annotate it with \`taskbound.dev/origin=${origin(params)}\` if its password may be shown there`,
        )
      const login = { username: found.value.username, password: new TextDecoder().decode(found.value.password.reveal()) }
      known.set(key(params), { login, until: clock.monotonic() + keeping })
      return ok(login)
    },
    forget: (params) => void known.delete(key(params)),
  }
}

/** Logins of namespaces: each from the Secret that its namespace handed over, which was read with who may be shown it. */
export function createHandedLogins(read: ReadHanded): ReadLogin {
  return async (_secret, params) => {
    if (params.home === undefined) return fail('the provider is of no namespace')
    const wanted = handed(params)
    const found = await read(params.home, wanted)
    return found.ok ? ok({ ...loginOf(found.value), origin: wanted.origins[0] }) : found
  }
}

const loginOf = ({ username, password }: HandedData) => ({
  username: new TextDecoder().decode(username?.reveal()),
  password: password ?? new Material(''),
})
