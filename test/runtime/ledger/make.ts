// A ledger with an API server of one collection and a source that a test can look at and break.

import { randomBytes } from 'node:crypto'
import { handleOf, handlePrefix, type Lease } from '../../../src/core/lease.ts'
import { asUid } from '../../../src/core/names.ts'
import type { Failure, Presence, Task } from '../../../src/core/observed.ts'
import type { ApiError } from '../../../src/kube/errors.ts'
import type { KubeObject } from '../../../src/kube/objects.ts'
import type { Writes } from '../../../src/kube/patch.ts'
import { createStore } from '../../../src/kube/store.ts'
import { at, type Duration, milliseconds, seconds } from '../../../src/lib/instant.ts'
import { Material } from '../../../src/lib/material.ts'
import { fail, ok, type Result } from '../../../src/lib/result.ts'
import { createSeal, type Seal } from '../../../src/lib/seal.ts'
import type { HandedData } from '../../../src/ports/handed.ts'
import type { AuditEntry, EventNote } from '../../../src/ports/journal.ts'
import type { Promises, Provider, Reservation, Unrevoked } from '../../../src/ports/provider.ts'
import { noTracer } from '../../../src/ports/tracer.ts'
import { createHealth } from '../../../src/runtime/ledger/health.ts'
import { createLedger, type Ledger } from '../../../src/runtime/ledger/ledger.ts'
import { readLease } from '../../../src/runtime/ledger/rows.ts'
import type { ProviderObject } from '../../../src/runtime/objects/kinds.ts'
import type { Document } from '../../../src/runtime/storage.ts'
import { makeTask, t0 } from '../../support/make.ts'

export const namespace = 'taskbound-system'
export const prefix = handlePrefix('cluster', namespace)
export const order = {
  name: 'db',
  provider: { kind: 'ClusterCredentialProvider', name: 'corp', uid: asUid('provider-1'), type: 'fake' },
  expiresAt: at(t0 + 600_000),
}
export const providerObject = (name = 'corp', uid = 'provider-1'): ProviderObject =>
  ({
    name,
    key: name,
    kind: 'ClusterCredentialProvider',
    uid: asUid(uid),
    type: 'fake',
    params: { host: name },
    namespace: '',
  }) as unknown as ProviderObject
export const handle = (attempt = 1, task = makeTask()): string => handleOf(prefix, task.uid, 'db', attempt)
export const failed = (message: string): Result<never, Failure> => fail({ reason: 'RevocationUnconfirmed', message })

type Body = { metadata: Record<string, unknown>; spec: unknown; status?: Record<string, unknown> }
const http = (status: number, reason: string): ApiError => ({ kind: 'http', status, reason, message: reason }) as ApiError

export function makeLedger(
  options: {
    readonly limit?: number
    readonly seal?: Seal
    readonly leads?: () => boolean
    readonly serves?: (namespace: string) => boolean
  } = {},
) {
  let version = 1
  const clock = { wall: t0 as number, mono: 1_000 }
  const rows = new Map<string, KubeObject>()
  const leases = createStore<Lease>()
  const tasks = createStore<Task>()
  const providers = createStore<ProviderObject>()
  let keptTimes = 0
  const handed: { login: Result<HandedData, string> } = { login: ok({ password: new Material('planted') }) }
  const documents = new Map<string, unknown>()
  /** what each revocation was told that the source calls it */
  const references: (string | undefined)[] = []
  const overruns: Duration[] = []
  const remained: string[] = []
  /** with what the next patches are answered instead of being done */
  const refusals: ApiError[] = []
  const audit: AuditEntry[] = []
  const events: EventNote[] = []
  const changed: string[] = []
  const calls: string[] = []
  /** the Secrets in which values are kept, and what answers of writes there get lost or are refused */
  const secrets = new Map<string, KubeObject>()
  const vault = { refuse: undefined as ApiError | undefined, before: (): void => undefined }
  /** what the source was shown by each revocation */
  const shown: Result<readonly string[], string>[] = []
  const live: { task: Presence } = { task: { state: 'unknown' } }
  const source = {
    revoke: async (_handle: string, _params: unknown): Promise<Result<undefined, Unrevoked>> => ok(undefined),
    clean: async (_handle: string): Promise<Result<undefined, Failure>> => ok(undefined),
    list: [] as string[],
    /** the attempts before which was ended what a renewal had replaced */
    retired: [] as number[],
    bound: seconds(5),
    promises: undefined as Pick<Promises, 'revocation' | 'bound'> | undefined,
    origin: undefined as string | undefined,
  }

  function see(object: KubeObject): void {
    const value = readLease(object)
    if (value === undefined) throw new Error('no row')
    const { uid, resourceVersion } = object.metadata
    leases.observe('', { key: `${namespace}/${value.handle}`, uid, resourceVersion, value })
  }
  function store(name: string, object: Body): KubeObject {
    const metadata = { ...object.metadata, resourceVersion: String(++version) }
    const stored = { ...object, metadata } as unknown as KubeObject
    rows.set(name, stored)
    return stored
  }

  function putSecret(name: string, object: Body): KubeObject {
    const uid = secrets.get(name)?.metadata.uid ?? `secret-${++version}`
    const stored = { ...object, metadata: { ...object.metadata, uid, resourceVersion: String(++version) } } as unknown as KubeObject
    secrets.set(name, stored)
    return stored
  }

  const writes = {
    async replace(place: { name: string }, object: unknown) {
      vault.before()
      calls.push(`PUT ${place.name}`)
      if (vault.refuse !== undefined) return fail(vault.refuse)
      const [found, next] = [secrets.get(place.name), object as Body]
      if (found === undefined) return fail(http(404, 'NotFound'))
      if (found.metadata.resourceVersion !== next.metadata['resourceVersion']) return fail(http(409, 'Conflict'))
      return ok(putSecret(place.name, next))
    },
    async create(place: { name: string; resource: { plural: string } }, object: unknown) {
      if (place.resource.plural === 'secrets') {
        vault.before()
        calls.push(`POST ${place.name}`)
        if (vault.refuse !== undefined) return fail(vault.refuse)
        if (secrets.has(place.name)) return fail(http(409, 'AlreadyExists'))
        return ok(putSecret(place.name, object as Body))
      }
      calls.push(`POST ${place.name}`)
      if (rows.has(place.name)) return fail(http(409, 'AlreadyExists'))
      const { metadata, ...rest } = object as Body
      return ok(
        store(place.name, {
          ...rest,
          metadata: { ...metadata, uid: `row-${++version}`, creationTimestamp: new Date(clock.wall).toISOString() },
        }),
      )
    },
    async patchStatus(place: { name: string }, expected: string, status: Record<string, unknown>) {
      calls.push(`PATCH ${place.name} ${String(status['state'])}`)
      const no = refusals.shift()
      if (no !== undefined) return fail(no)
      const found = rows.get(place.name)
      if (found === undefined) return fail(http(404, 'NotFound'))
      if (found.metadata.resourceVersion !== expected) return fail(http(409, 'Conflict'))
      const merged = Object.fromEntries(Object.entries({ ...(found['status'] as object), ...status }).filter(([, v]) => v !== null))
      return ok(store(place.name, { ...(found as unknown as Body), status: merged }))
    },
    async remove(place: { name: string }) {
      calls.push(`DELETE ${place.name}`)
      const found = rows.get(place.name)
      rows.delete(place.name)
      if (found !== undefined) leases.remove('', { metadata: { ...found.metadata, resourceVersion: String(++version) } })
      return ok(undefined)
    },
  } as unknown as Writes

  const provider = {
    type: 'fake',
    handed: ({ host }: { host: string }) => ({ secret: 'login', keys: ['password'], origins: [host] }),
    promises: () => source.promises ?? { revocation: 'Immediate', bound: source.bound },
    outside: {
      settling: seconds(0),
      renewal: 'InPlace',
      async clean(_params: unknown, { handle: name }: { handle: string }) {
        calls.push(`clean ${name}`)
        return source.clean(name)
      },
      list: async () => ok(source.list),
      get keeps() {
        const { origin } = source
        return origin === undefined ? undefined : { origin: () => origin }
      },
      retirement: {
        grace: seconds(0),
        async retire(_params: unknown, _lease: unknown, attempt: number) {
          source.retired.push(attempt)
          return ok(undefined)
        },
      },
    },
    async revoke(params: unknown, { lease, kept }: Reservation) {
      references.push(lease?.reference)
      const found = await kept?.()
      if (found !== undefined)
        shown.push(found.ok ? ok(found.value.map((value) => new TextDecoder().decode(value.reveal()))) : fail(found.failure.message))
      if (found?.ok === false) return found
      calls.push(`revoke ${lease?.handle}`)
      return source.revoke(lease?.handle ?? '', params)
    },
  } as unknown as Provider<unknown>

  const document = (name: string): Document => ({
    read: async () => ok({ value: documents.get(name), version: documents.has(name) ? '1' : undefined }),
    async write(value) {
      keptTimes += 1
      documents.set(name, value)
      return ok(undefined)
    },
    async remove() {
      documents.delete(name)
      return ok(undefined)
    },
  })

  const checked: string[] = []
  const lost: string[] = []
  const health = createHealth({ check: (name) => void checked.push(name), changed: (name) => ledger.provider(name) })
  const ledger: Ledger = createLedger({
    tracer: noTracer,
    health,
    leases,
    tasks,
    providers,
    doubt: {
      async task() {
        calls.push('GET task')
        return live.task
      },
    },
    findProvider: (type) => (type === 'fake' ? provider : undefined),
    client: {
      async request({ method, path }: { method: string; path: string }) {
        const name = path.slice(path.lastIndexOf('/') + 1)
        calls.push(`${method} ${name}`)
        if (method === 'DELETE') vault.before()
        if (method === 'DELETE' && vault.refuse !== undefined) return fail(vault.refuse)
        const found = path.includes('/secrets/') ? secrets.get(name) : rows.get(name)
        if (method === 'DELETE') secrets.delete(name)
        return found === undefined ? fail(http(404, 'NotFound')) : ok({ body: found })
      },
    } as never,
    writes,
    absorb: see,
    document,
    seal: options.seal ?? createSeal([new Material(randomBytes(32))], randomBytes),
    readHanded: async () => handed.login,
    notReady: () => undefined,
    leads: options.leads ?? (() => true),
    changed: (key) => void changed.push(key),
    clock: { now: () => at(clock.wall), monotonic: () => milliseconds(clock.mono) },
    entropy: { bytes: (n) => new Uint8Array(n), uuid: () => '', unit: () => 0.5 },
    journal: { audit: (entry) => void audit.push(entry), event: (note) => void events.push(note) },
    meter: {
      revoked: (_provider: string, overrun: Duration) => void overruns.push(overrun),
      remained: (provider: string) => void remained.push(provider),
      lost: (name) => void lost.push(name),
    },
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined } as never,
    calm: () => true,
    serves: options.serves ?? (() => true),
    namespace,
    prefix,
    limit: options.limit ?? 1000,
  })
  ledger.start()

  return {
    ledger,
    leases,
    tasks,
    providers,
    documents,
    handed,
    kept: () => keptTimes,
    rows,
    audit,
    overruns,
    refusals,
    remained,
    events,
    changed,
    checked,
    lost,
    calls,
    references,
    provider,
    secrets,
    vault,
    shown,
    live,
    source,
    clock,
    state: (name: string): string | undefined => leases.get(`${namespace}/${name}`)?.state,
    message: (name: string): string | undefined => leases.get(`${namespace}/${name}`)?.message,
    provide: (object = providerObject()) =>
      providers.observe('', { key: object.key, uid: object.uid, resourceVersion: String(++version), value: object }),
    put: (task: Task) => tasks.observe('', { key: task.key, uid: task.uid, resourceVersion: String(++version), value: task }),
    vanish: (task: Task) =>
      tasks.remove('', {
        metadata: { name: task.name, namespace: task.namespace, uid: task.uid, resourceVersion: String(++version) },
      } as never),
    annotate(name: string, annotations: Record<string, string>) {
      const found = rows.get(name) as unknown as Body
      see(store(name, { ...found, metadata: { ...found.metadata, annotations } }))
    },
    /** somebody else's write, which this replica has not seen */
    touch: (name: string) => void store(name, rows.get(name) as unknown as Body),
    see: (name: string) => see(rows.get(name) as KubeObject),
  }
}
