// What a provider of a namespace is handed: one Secret of that namespace, which says itself who may be shown what is in it. Pure.

import type { Material } from '../lib/material.ts'
import type { Result } from '../lib/result.ts'

/** Which object a namespaced provider's block is from; never part of what its author writes. */
export interface Home {
  readonly namespace: string
  /** of the CredentialProvider */
  readonly name: string
  /** what the ledger kept, where the object, its Secret or the right to read it may be gone */
  readonly kept?: { readonly uid: string; readonly sealed: string }
}

/** What a provider needs of its Secret. */
export interface Handed {
  /** name of the Secret */
  readonly secret: string
  /** its keys, all of them needed */
  readonly keys: readonly string[]
  /** `<host>:<port>` of everybody who is shown any of it */
  readonly origins: readonly string[]
}

export type HandedData = Readonly<Record<string, Material>>

/** Shows a provider what it was handed. A failure is a sentence with what to do. */
export type ReadHanded = (home: Home, handed: Handed) => Promise<Result<HandedData, string>>

export const handedAnnotations = { provider: 'taskbound.dev/provider', origin: 'taskbound.dev/origin' } as const

/** Why the Secret is not for that provider and those origins, with what to write; `undefined` where it is. */
export function judgeHanded(
  annotations: Readonly<Record<string, string>>,
  { namespace, name }: Home,
  { secret, origins }: Handed,
): string | undefined {
  const write = (key: string, value: string): string => `kubectl -n ${namespace} annotate --overwrite secret ${secret} ${key}=${value}`
  if (annotations[handedAnnotations.provider] !== name)
    return `Secret \`${secret}\` is not for this provider; if this provider may have it: \`${write(handedAnnotations.provider, name)}\``
  const listed = (annotations[handedAnnotations.origin] ?? '').split(',').map((origin) => origin.trim())
  const missing = origins.find((origin) => !listed.includes(origin))
  return missing === undefined
    ? undefined
    : `Secret \`${secret}\` is not for \`${missing}\`; if it may be shown there: \`${write(handedAnnotations.origin, origins.join(','))}\``
}
