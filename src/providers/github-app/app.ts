// Who the operator is at GitHub: a JWT signed with a private key of the App (RS256), made for each use and worth nothing after nine minutes.
// The key is read from its Secret each time, and used for no other server than the Secret itself names.

import { createPrivateKey, type KeyObject } from 'node:crypto'
import { SignJWT } from 'jose'
import { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ReadHanded } from '../../ports/handed.ts'
import { annotated, type GithubAppParams, handed, keyName } from './params.ts'

/** One value of a Secret; a failure is a sentence. */
export type ReadKey = (
  secret: string,
  key: string,
  params: GithubAppParams,
) => Promise<
  Result<
    {
      readonly value: Material
      /** its annotation `taskbound.dev/origin` */
      readonly origin: string | undefined
    },
    string
  >
>

export interface AppDeps {
  readonly readKey: ReadKey
  readonly clock: Pick<Clock, 'now'>
}

/** A failure is a sentence. */
export type AppLogin = (params: GithubAppParams) => Promise<Result<Material, string>>

/** Seconds: GitHub's own clock may be behind, and takes none that lives for more than ten minutes. */
const [early, lived] = [60, 540]

function parse(pem: Material): KeyObject | undefined {
  try {
    const key = createPrivateKey(new TextDecoder().decode(pem.reveal()))
    const { asymmetricKeyType, asymmetricKeyDetails } = key
    return asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) >= 2048 ? key : undefined
  } catch {
    return undefined
  }
}

export const createAppLogin =
  ({ readKey, clock }: AppDeps): AppLogin =>
  async (params) => {
    const { name } = params.privateKeySecretRef
    const found = await readKey(name, keyName, params)
    if (!found.ok) return found
    if (found.value.origin !== annotated(params))
      return fail(
        `Secret \`${name}\` is not for this server: annotate it with \`taskbound.dev/origin=${annotated(params)}\` if it may be asked in the App's name`,
      )
    const key = parse(found.value.value)
    if (key === undefined)
      return fail(`Secret \`${name}\` holds no RSA private key of at least 2048 bits (PEM, without a password) in \`${keyName}\``)
    const now = Math.floor(clock.now() / 1000)
    const token = await new SignJWT()
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
      .setIssuer(params.clientId ?? String(params.appId))
      .setIssuedAt(now - early)
      .setExpirationTime(now + lived)
      .sign(key)
    return ok(new Material(token))
  }

/** Keys of namespaces: each from the Secret that its namespace handed over, which was read with who may be asked in the App's name. */
export function createHandedKeys(read: ReadHanded): ReadKey {
  return async (_secret, key, params) => {
    if (params.home === undefined) return fail('the provider is of no namespace')
    const wanted = handed(params)
    const found = await read(params.home, wanted)
    return found.ok ? ok({ value: found.value[key] ?? new Material(''), origin: wanted.origins[0] }) : found
  }
}
