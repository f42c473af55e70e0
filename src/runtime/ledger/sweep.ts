// Asks each source for everything that carries this installation's handles: what has no open row is killed, and what is left of the
// dead is removed. Finds what the ledger itself cannot know of, such as rows that were lost with a restored backup.

import { isOpen, type Lease } from '../../core/lease.ts'
import type { ApiError } from '../../kube/errors.ts'
import { isNotFound } from '../../kube/errors.ts'
import type { KubeObject } from '../../kube/objects.ts'
import type { StoreView } from '../../kube/store.ts'
import { at } from '../../lib/instant.ts'
import type { Result } from '../../lib/result.ts'
import type { Log } from '../../ports/log.ts'
import type { FindProvider, Provider } from '../../ports/provider.ts'
import type { ProviderObject } from '../objects/kinds.ts'

export interface SweepDeps {
  readonly providers: StoreView<ProviderObject>
  readonly leases: StoreView<Lease>
  readonly findProvider: FindProvider
  /** one live read of a row */
  readonly readRow: (handle: string) => Promise<Result<KubeObject, ApiError>>
  /** why an object cannot be used now; asked of those of namespaces only */
  readonly notReady: (object: ProviderObject) => string | undefined
  readonly leads: () => boolean
  readonly log: Pick<Log, 'warn' | 'error' | 'info'>
  readonly namespace: string
  readonly prefix: string
  /** removes what is left of a dead handle, when its time has come */
  readonly clean: (lease: Lease) => void
}

export interface Sweep {
  /** Every provider object; one that is still being swept is left out. */
  all(): Promise<void>
}

export function createSweep(deps: SweepDeps): Sweep {
  const { log } = deps
  const running = new Set<string>()

  /** No row, by the store and by the API server: nobody will ever ask for it again. */
  async function stray(provider: Provider<unknown>, object: ProviderObject, handle: string): Promise<void> {
    const found = await deps.readRow(handle)
    if (found.ok || !isNotFound(found.failure) || !deps.leads()) return
    await kill(provider, object, handle, 'without a row in the ledger')
  }

  async function kill(provider: Provider<unknown>, object: ProviderObject, handle: string, what: string): Promise<void> {
    // nobody has a row by which to send anything more, or its time is long over
    const lease = { handle, effectBy: at(0) }
    const killed = await provider.revoke(object.params, { lease })
    const cleaned = killed.ok ? await provider.outside?.clean(object.params, lease) : undefined
    const told = { provider: object.key, handle }
    if (killed.ok) log.warn(`something of this installation ${what} was killed`, { ...told, removed: cleaned?.ok === true })
    else log.error(`something of this installation ${what} could not be killed`, { ...told, reason: killed.failure.message })
  }

  async function provider(object: ProviderObject): Promise<void> {
    const implementation = deps.findProvider(object.type, object.kind)
    if (implementation?.outside === undefined || running.has(object.uid) || !deps.leads()) return
    running.add(object.uid)
    try {
      const listed = await implementation.outside.list(object.params, deps.prefix)
      if (!listed.ok)
        return log.info('a source could not be swept; it is tried again', { provider: object.key, reason: listed.failure.message })
      for (const handle of believed(object, listed.value ?? [])) {
        if (!deps.leads()) return
        const lease = deps.leases.get(`${deps.namespace}/${handle}`)
        // a server of one namespace has no say about what another's provider made
        if (object.kind === 'CredentialProvider' && lease !== undefined && lease.provider.uid !== object.uid) continue
        if (lease === undefined) await stray(implementation, object, handle)
        else if (lease.state === 'Irrevocable') await kill(implementation, object, handle, 'that was given up')
        else if (!isOpen(lease)) deps.clean(lease)
      }
    } finally {
      running.delete(object.uid)
    }
  }

  /** Few at a time, and only those whose source answered when it was looked at last: there may be thousands, and any may be slow. */
  async function ofNamespaces(): Promise<void> {
    const rest = [...deps.providers.values()].filter(({ kind }) => kind === 'CredentialProvider')
    const work = async (): Promise<void> => {
      for (let next = rest.pop(); next !== undefined; next = rest.pop()) if (deps.notReady(next) === undefined) await provider(next)
    }
    await Promise.all(Array.from({ length: atATime }, work))
  }

  return {
    async all() {
      const ofCluster = [...deps.providers.values()].filter(({ kind }) => kind !== 'CredentialProvider')
      await Promise.all([...ofCluster.map(provider), ofNamespaces()])
    },
  }
}

const atATime = 4
/** Each costs a request to the API server. */
const mostHandles = 1_000

/** A server of a namespace may say anything, and as much as it likes. */
const believed = ({ kind }: ProviderObject, handles: readonly string[]): readonly string[] =>
  kind === 'CredentialProvider' ? handles.slice(0, mostHandles) : handles
