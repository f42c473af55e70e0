// By what the service knows who asks: a login token for each call or, where its provider says so, a client certificate, which is read from its
// Secret when it is needed, kept for a minute, and shown to no other service than the Secret itself names.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { ClientIdentity } from '../../outbound/http.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Logins } from '../../ports/login.ts'
import type { Order } from '../../ports/provider.ts'
import type { WebhookParams } from './params.ts'

/** One of them. */
export interface Proof {
  readonly login?: Material
  readonly identity?: ClientIdentity
}

/** One value of a Secret of the operator's namespace; a failure is a sentence. `origin`: its annotation `taskbound.dev/origin`. */
export type ReadKey = (
  secret: string,
  key: string,
) => Promise<Result<{ readonly value: Material; readonly origin: string | undefined }, string>>

export interface Proofs {
  task(params: WebhookParams, order: Order): Promise<Result<Proof, string>>
  operator(params: WebhookParams): Promise<Result<Proof, string>>
  /** It may have changed: it is read again when it is needed next. */
  forget(params: WebhookParams): void
}

const keeping = 60_000
const text = (material: Material): string => new TextDecoder().decode(material.reveal())

function fits(certificate: string, key: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))
  } catch {
    return false
  }
}

export function createProofs(logins: Logins, readKey: ReadKey, clock: Pick<Clock, 'monotonic'>): Proofs {
  const known = new Map<string, { readonly identity: ClientIdentity; readonly until: number }>()
  const originOf = ({ url }: WebhookParams): string => new URL(url).origin
  const keyOf = (params: WebhookParams): string => `${params.clientCertificateSecretRef?.name} ${originOf(params)}`

  async function identity(params: WebhookParams, name: string): Promise<Result<Proof, string>> {
    const kept = known.get(keyOf(params))
    if (kept !== undefined && clock.monotonic() < kept.until) return ok({ identity: kept.identity })
    const [certificate, key] = [await readKey(name, 'tls.crt'), await readKey(name, 'tls.key')]
    if (!certificate.ok) return certificate
    if (!key.ok) return key
    const origin = originOf(params)
    if (certificate.value.origin !== origin || key.value.origin !== origin)
      return fail(`Secret \`${name}\` is not for this service: annotate it with \`taskbound.dev/origin=${origin}\` if it may be used there`)
    const made = { certificate: text(certificate.value.value), key: key.value.value }
    if (!fits(made.certificate, text(made.key))) return fail(`Secret \`${name}\` has no certificate and key, in PEM, that fit each other`)
    known.set(keyOf(params), { identity: made, until: clock.monotonic() + keeping })
    return ok({ identity: made })
  }

  async function proof(params: WebhookParams, login: () => ReturnType<Logins['operator']>): Promise<Result<Proof, string>> {
    const secret = params.clientCertificateSecretRef
    if (secret !== undefined) return identity(params, secret.name)
    const made = await login()
    return made.ok ? ok({ login: made.value }) : made
  }

  return {
    task: (params, order) => proof(params, () => logins.task(order, params.audience)),
    operator: (params) => proof(params, () => logins.operator(params.audience)),
    forget: (params) => void known.delete(keyOf(params)),
  }
}
