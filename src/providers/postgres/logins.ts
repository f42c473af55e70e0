// The operator's own login at a server: read from its Secret when it is needed, kept for a minute, and shown to no other server than the
// Secret itself names.

import type { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import type { PostgresParams } from './params.ts'
import type { Login } from './wire.ts'

/** A Secret of the operator's namespace, as far as it matters here; a failure is a sentence. */
export interface LoginSecret {
  readonly username: string
  readonly password: Material
  /** its annotation `taskbound.dev/origin` */
  readonly origin: string | undefined
}
export type ReadLogin = (secret: string) => Promise<Result<LoginSecret, string>>

export interface Logins {
  of(params: PostgresParams): Promise<Result<Login, string>>
  /** It may have changed: it is read again when it is needed next. */
  forget(params: PostgresParams): void
}

const keeping = 60_000

export function createLogins(read: ReadLogin, clock: Pick<Clock, 'monotonic'>): Logins {
  const known = new Map<string, { readonly login: Login; readonly until: number }>()
  const origin = ({ host, port }: PostgresParams): string => `${host}:${port}`
  const key = (params: PostgresParams): string => `${params.loginSecretRef.name} ${origin(params)}`

  return {
    async of(params) {
      const kept = known.get(key(params))
      if (kept !== undefined && clock.monotonic() < kept.until) return ok(kept.login)
      const { name } = params.loginSecretRef
      const found = await read(name)
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
