// The settings of each provider that rows were written for, kept in the operator's namespace: a deleted provider object must not take
// away what its credentials are revoked with. A login is named, not held; what a namespace handed over, which it can take back at any
// time, is kept beside them, sealed, from before the first row until the last is closed.

import type { Lease } from '../../core/lease.ts'
import { providerKey } from '../../core/names.ts'
import type { Failure } from '../../core/observed.ts'
import type { StoreView } from '../../kube/store.ts'
import { canonical } from '../../lib/canonical.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { type Fields, record as fields, text } from '../objects/fields.ts'
import type { ProviderObject } from '../objects/kinds.ts'
import type { Document } from '../storage.ts'
import type { Sealed } from './sealed.ts'

export interface SettingsDeps {
  readonly providers: StoreView<ProviderObject>
  /** the document of one provider's UID */
  readonly document: (uid: string) => Document
  /** what an object of a namespace was handed, as it is now, sealed; a failure is a sentence */
  readonly seal: (object: ProviderObject) => Promise<Result<Sealed, string>>
}

/** Settings that may do, to be tried in their order. */
export type Ways = readonly (() => Promise<Result<Fields, Failure>>)[]

export interface KeptSettings {
  /** Keeps the object's present settings, before a first row is written under them. */
  keep(object: ProviderObject): Promise<Result<undefined, Failure>>
  /** Brings up to date what is kept of an object that was just seen to work. */
  renew(object: ProviderObject): Promise<void>
  /** No row needs what is kept of this object any more: it is removed. Answers whether it is. */
  drop(uid: string): Promise<boolean>
  /** Those of the object that a row was written for: as it stands, and as it was kept. */
  of(lease: Pick<Lease, 'provider' | 'task'>): Ways
}

/** Does something under the first settings that it succeeds with; else answers the last failure. */
export async function underSettings<T, F extends Failure = Failure>(
  ways: Ways,
  work: (params: Fields) => Promise<Result<T, F>>,
): Promise<Result<T, F | Failure>> {
  let last: Result<T, F | Failure> = fail({ reason: 'RevocationUnconfirmed', message: 'the settings of its provider are not known' })
  for (const way of ways) {
    const params = await way()
    last = params.ok ? await work(params.value) : params
    if (last.ok) return last
  }
  return last
}

export function createKeptSettings({ providers, document, seal }: SettingsDeps): KeptSettings {
  const kept = new Map<string, string>()
  /** which bytes are sealed there, as a digest */
  const sealed = new Map<string, string>()
  const keeping = new Map<string, Promise<Result<undefined, Failure>>>()
  /** of objects that are gone, which change no more */
  const known = new Map<string, Fields>()
  const unconfirmed = (message: string): Result<never, Failure> => fail({ reason: 'RevocationUnconfirmed', message })
  const settingsOf = ({ name, type, params }: ProviderObject): Fields => ({ name, type, params })

  /** As it was kept, with what was handed over then. */
  async function before({ provider: { kind, name, uid, type }, task }: Pick<Lease, 'provider' | 'task'>): Promise<Result<Fields, Failure>> {
    const remembered = known.get(uid)
    if (remembered !== undefined) return ok(remembered)
    const found = await document(uid).read()
    if (!found.ok) return unconfirmed(`${kind} \`${name}\` is gone, and its settings cannot be read: ${found.failure}`)
    const value = fields(found.value.value)
    if (text(value['type']) !== type) return unconfirmed(`${kind} \`${name}\` is gone, and its settings were not kept`)
    const inside =
      kind === 'CredentialProvider' ? { home: { namespace: task.namespace, name, kept: { uid, sealed: text(value['sealed']) ?? '' } } } : {}
    const params = { ...fields(value['params']), ...inside }
    if (providers.get(providerKey({ kind, name }, task.namespace))?.uid !== uid) known.set(uid, params)
    return ok(params)
  }

  return {
    keep(object) {
      const wanted = canonical(settingsOf(object))
      if (kept.get(object.uid) === wanted) return Promise.resolve(ok(undefined))
      // a first burst of tasks keeps them once, and nobody loses a race against himself
      const key = `${object.uid} ${wanted}`
      const underWay = keeping.get(key) ?? store(object, wanted).finally(() => keeping.delete(key))
      keeping.set(key, underWay)
      return underWay
    },
    async renew(object) {
      if (object.kind !== 'CredentialProvider') return
      const now = await seal(object)
      // what is kept stays as it is: it worked when it was sealed
      if (!now.ok || (kept.get(object.uid) === canonical(settingsOf(object)) && sealed.get(object.uid) === now.value.digest)) return
      await store(object, canonical(settingsOf(object)), now.value)
    },
    async drop(uid) {
      for (const memory of [kept, sealed, known]) memory.delete(uid)
      const place = document(uid)
      const found = await place.read()
      if (!found.ok) return false
      return found.value.version === undefined || (await place.remove(found.value.version)).ok
    },
    of(lease) {
      const object = providers.get(providerKey(lease.provider, lease.task.namespace))
      if (object?.uid !== lease.provider.uid) return [() => before(lease)]
      const present = async (): Promise<Result<Fields, Failure>> => ok(object.params)
      // whoever owns it may have taken back or spoilt what it was handed
      return object.kind === 'CredentialProvider' ? [present, () => before(lease)] : [present]
    },
  }

  async function store(object: ProviderObject, wanted: string, handed?: Sealed): Promise<Result<undefined, Failure>> {
    const failed = (why: string): Result<never, Failure> =>
      fail({ reason: 'WriteFailed', message: `the settings of provider \`${object.name}\` could not be kept: ${why}` })
    const local = object.kind === 'CredentialProvider'
    const taken = !local || handed !== undefined ? undefined : await seal(object)
    if (taken?.ok === false) return failed(taken.failure)
    const inside = handed ?? taken?.value
    const place = document(object.uid)
    const found = await place.read()
    if (!found.ok) return failed(found.failure)
    if (local || canonical(found.value.value ?? null) !== wanted) {
      const value = { ...settingsOf(object), ...(inside === undefined ? {} : { sealed: inside.text }) }
      const written = await place.write(value, found.value.version)
      if (!written.ok) return failed(written.failure === 'conflict' ? 'somebody else is writing them' : written.failure.message)
    }
    kept.set(object.uid, wanted)
    if (inside !== undefined) sealed.set(object.uid, inside.digest)
    return ok(undefined)
  }
}
