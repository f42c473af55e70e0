// What a source wants to see before it ends something, such as the token itself: kept sealed in a Secret of the operator's namespace, one a
// row, from the moment that the source gave it until the row is closed. Opens only for the row, task, provider and address it was kept for.

import { isOpen, type Lease } from '../../core/lease.ts'
import type { KubeClient } from '../../kube/client.ts'
import { type ApiError, describeError, isAlreadyExists, isConflict, isNotFound } from '../../kube/errors.ts'
import { type KubeObject, pathOf, type Resource } from '../../kube/objects.ts'
import { metadataOnly, type Writes } from '../../kube/patch.ts'
import type { StoreView } from '../../kube/store.ts'
import { at, type Instant, milliseconds, plus, seconds } from '../../lib/instant.ts'
import { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Seal, SealPlace } from '../../lib/seal.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Failure, FindProvider, Provider, Reservation } from '../../ports/provider.ts'
import { record, text } from '../objects/fields.ts'

export interface KeptDeps {
  readonly leases: StoreView<Lease>
  readonly client: Pick<KubeClient, 'request'>
  readonly writes: Pick<Writes, 'create' | 'replace'>
  readonly seal: Seal
  readonly clock: Pick<Clock, 'now'>
  readonly leads: () => boolean
  readonly findProvider: FindProvider
  /** the operator's own */
  readonly namespace: string
  /** what all handles of this installation begin with */
  readonly prefix: string
  /** whether a pass has decided that it dies */
  readonly doomed: (handle: string) => boolean
}

export interface KeptValues {
  /** What a provider that keeps values is given with a row; nothing to any other. */
  given(provider: Provider<unknown>, params: unknown, handle: string): Pick<Reservation, 'keep' | 'kept'>
  /** Removes what was kept for a row that is closed. Whether it is gone. */
  forget(lease: Lease): Promise<boolean>
  /** The same, where it failed before. */
  forgotten(lease: Lease): Promise<boolean>
}

const secrets: Resource = { group: '', version: 'v1', plural: 'secrets' }
const nameOf = (handle: string): string => `taskbound-kept-${handle}`
/** Together they fit into a Secret. */
const [mostValues, longest] = [32, 16_384]
const [timeout, tries] = [milliseconds(5_000), 4]
/** By which clocks may differ. */
const slack = seconds(60)

interface Stored {
  readonly resourceVersion: string
  readonly uid: string
  /** sealed texts by their number */
  readonly entries: ReadonlyMap<number, string>
}

interface Opened {
  readonly value: Material
  readonly until: Instant | undefined
}

export function createKeptValues(deps: KeptDeps): KeptValues {
  const { client, writes, seal, namespace, clock } = deps
  /** of closed rows whose values are not known to be removed */
  const left = new Set<string>()

  const placeOf = (lease: Lease, origin: string): SealPlace => ({
    of: 'row of the ledger',
    installation: deps.prefix,
    handle: lease.handle,
    row: lease.uid,
    task: lease.task.uid,
    provider: lease.provider.uid,
    origin,
  })

  async function read(handle: string): Promise<Result<Stored | undefined, string>> {
    const path = pathOf(secrets, { namespace, name: nameOf(handle) })
    const found = await client.request<KubeObject>({ method: 'GET', path, timeout, priority: 'end' })
    if (!found.ok) return isNotFound(found.failure) ? ok(undefined) : fail(describeError(found.failure))
    const { metadata } = found.value.body
    const data = Object.entries(record(found.value.body['data'])).map(([key, value]): [number, string] => [
      Number(key),
      Buffer.from(text(value) ?? '', 'base64').toString(),
    ])
    data.sort(([a], [b]) => a - b)
    return ok({ resourceVersion: metadata.resourceVersion, uid: metadata.uid, entries: new Map(data) })
  }

  function open(place: SealPlace, sealed: string): Result<Opened, string> {
    const opened = seal.open(place, sealed)
    if (!opened.ok) {
      return opened.failure === 'unknown key'
        ? fail('it was sealed with a key that is not there: add the former key to those for sealing')
        : fail('it was sealed for another row, task, provider or address: let the provider name the address that it was made at')
    }
    const { value, until } = JSON.parse(new TextDecoder().decode(opened.value.reveal())) as { value: string; until?: number }
    return ok({ value: new Material(Buffer.from(value, 'base64')), until: until === undefined ? undefined : at(until) })
  }

  function write(lease: Lease, stored: Stored | undefined, entries: ReadonlyMap<number, string>): Promise<Result<KubeObject, ApiError>> {
    const place = { resource: secrets, namespace, name: nameOf(lease.handle) }
    const owner = { apiVersion: 'taskbound.dev/v1alpha1', kind: 'CredentialLease', name: lease.handle, uid: lease.uid }
    const object = {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'Opaque',
      metadata: {
        name: place.name,
        namespace,
        labels: { 'app.kubernetes.io/managed-by': 'taskbound', 'app.kubernetes.io/part-of': 'taskbound' },
        ownerReferences: [owner],
        ...(stored === undefined ? {} : { resourceVersion: stored.resourceVersion, uid: stored.uid }),
      },
      data: Object.fromEntries([...entries].map(([number, sealed]) => [String(number), Buffer.from(sealed).toString('base64')])),
    }
    const options = { timeout, priority: 'end', echo: 'metadata' } as const
    return stored === undefined ? writes.create(place, object, options) : writes.replace(place, object, options)
  }

  /** What has died by itself is left out; what does not open stays. */
  function living(place: SealPlace, entries: ReadonlyMap<number, string>): ReadonlyMap<number, string> {
    const dead = (sealed: string): boolean => {
      const opened = open(place, sealed)
      return opened.ok && opened.value.until !== undefined && plus(opened.value.until, slack) < clock.now()
    }
    return new Map([...entries].filter(([, sealed]) => !dead(sealed)))
  }

  async function keep(handle: string, origin: string, value: Material, until: Instant | undefined): Promise<Result<undefined, Failure>> {
    const lease = deps.leases.get(`${namespace}/${handle}`)
    const no = (why: string): Result<never, Failure> =>
      fail({ reason: 'IssueFailed', message: `credential \`${lease?.credential ?? ''}\`: what ends it ${why}` })
    if (lease === undefined) return no('could not be kept, since its row in the ledger is gone')
    if (value.reveal().length > longest) return no(`is longer than ${longest} bytes, so it cannot be kept`)
    const place = placeOf(lease, origin)
    const inner = { value: Buffer.from(value.reveal()).toString('base64'), ...(until === undefined ? {} : { until }) }
    const sealed = seal.seal(place, new Material(JSON.stringify(inner)))
    for (let attempt = 1; ; attempt += 1) {
      const stored = await read(handle)
      if (!stored.ok) return no(`could not be kept: ${stored.failure}`)
      const before = stored.value?.entries ?? new Map<number, string>()
      const alive = living(place, before)
      if (alive.size >= mostValues) return no('could not be kept: too many of earlier renewals are not known to be dead')
      const written = await write(lease, stored.value, new Map([...alive, [Math.max(0, ...before.keys()) + 1, sealed]]))
      if (written.ok) break
      const raced = isConflict(written.failure) || isAlreadyExists(written.failure) || isNotFound(written.failure)
      if (!raced || attempt === tries) return no(`could not be kept: ${describeError(written.failure)}`)
    }
    // it stands, so whoever works off the row can end it; nobody is to be given it
    const now = deps.leases.get(`${namespace}/${handle}`)
    const dies = now === undefined || (now.state !== 'Intended' && now.state !== 'Issued') || deps.doomed(handle)
    if (now !== undefined && !isOpen(now)) await values.forget(now)
    if (dies) return no('was kept for a row of the ledger that is to die')
    return deps.leads() ? ok(undefined) : fail({ reason: 'StaleView', message: 'this replica does not lead' })
  }

  async function kept(handle: string, origin: string): Promise<Result<readonly Material[], Failure>> {
    const lease = deps.leases.get(`${namespace}/${handle}`)
    const no = (why: string): Result<never, Failure> => fail({ reason: 'RevocationUnconfirmed', message: `what ends it: ${why}` })
    if (lease === undefined) return no('its row in the ledger is gone')
    const stored = await read(handle)
    if (!stored.ok) return no(`it cannot be read: ${stored.failure}`)
    const values: Material[] = []
    for (const sealed of stored.value?.entries.values() ?? []) {
      const opened = open(placeOf(lease, origin), sealed)
      if (!opened.ok) return no(opened.failure)
      values.push(opened.value.value)
    }
    return ok(values)
  }

  const values: KeptValues = {
    given({ outside }, params, handle) {
      if (outside?.keeps === undefined) return {}
      const origin = outside.keeps.origin(params)
      return { keep: (value, until) => keep(handle, origin, value, until), kept: () => kept(handle, origin) }
    },
    async forget({ handle, provider }) {
      if (deps.findProvider(provider.type, provider.kind)?.outside?.keeps === undefined) return true
      left.add(handle)
      // no value is kept under this name ever again, so whatever has it now may go
      const path = pathOf(secrets, { namespace, name: nameOf(handle) })
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' }
      const removed = await client.request({ method: 'DELETE', path, accept: metadataOnly, body, timeout })
      const gone = removed.ok || isNotFound(removed.failure)
      if (gone) left.delete(handle)
      return gone
    },
    forgotten: async (lease) => !left.has(lease.handle) || values.forget(lease),
  }
  return values
}
