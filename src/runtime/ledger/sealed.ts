// Takes what a provider object of a namespace was handed, as it is now, and seals it for the ledger: nobody but a revocation of what that very
// object issued, at the servers that its Secret named, can use it.

import { createHash } from 'node:crypto'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Seal } from '../../lib/seal.ts'
import type { Home, ReadHanded } from '../../ports/handed.ts'
import type { FindProvider } from '../../ports/provider.ts'
import { pack, placeOfHanded } from '../handed.ts'
import type { ProviderObject } from '../objects/kinds.ts'

export interface Sealed {
  readonly text: string
  /** of what is sealed, to see that it changed; only ever in memory */
  readonly digest: string
}

export interface SealingDeps {
  readonly seal: Pick<Seal, 'seal'>
  readonly read: ReadHanded
  readonly findProvider: FindProvider
  /** what all handles of this installation begin with */
  readonly prefix: string
}

export type SealHanded = (object: ProviderObject) => Promise<Result<Sealed, string>>

export function createSealHanded({ seal, read, findProvider, prefix }: SealingDeps): SealHanded {
  return async ({ uid, type, kind, namespace, name, params }) => {
    const handed = findProvider(type, kind)?.handed?.(params)
    if (handed === undefined) return fail(`a provider of type \`${type}\` is handed nothing`)
    const home: Home = { namespace, name }
    const data = await read(home, handed)
    if (!data.ok) return data
    const packed = pack(data.value)
    const digest = createHash('sha256').update(packed.reveal()).digest('base64')
    return ok({ text: seal.seal(placeOfHanded(prefix, uid, home, handed), packed), digest })
  }
}
