// The settings of each provider that rows were written for, kept in the operator's namespace: a deleted provider object must not take
// away what its credentials are revoked with. No material: a login is named, not held.

import type { Lease } from '../../core/lease.ts'
import type { Failure } from '../../core/observed.ts'
import type { StoreView } from '../../kube/store.ts'
import { canonical } from '../../lib/canonical.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { type Fields, record as fields, text } from '../objects/fields.ts'
import type { ProviderObject } from '../objects/kinds.ts'
import type { Document } from '../storage.ts'

export interface SettingsDeps {
  readonly providers: StoreView<ProviderObject>
  /** the document of one provider's UID */
  readonly document: (uid: string) => Document
}

export interface KeptSettings {
  /** Keeps the object's present settings, before a first row is written under them. */
  keep(object: ProviderObject): Promise<Result<undefined, Failure>>
  /** Those of the object that a row was written for: as it stands, or as it was kept. */
  of(provider: Lease['provider']): Promise<Result<Fields, Failure>>
}

export function createKeptSettings({ providers, document }: SettingsDeps): KeptSettings {
  const kept = new Map<string, string>()
  const keeping = new Map<string, Promise<Result<undefined, Failure>>>()
  /** of objects that are gone, which change no more */
  const known = new Map<string, Fields>()
  const unconfirmed = (message: string): Result<never, Failure> => fail({ reason: 'RevocationUnconfirmed', message })

  return {
    keep(object) {
      const wanted = canonical({ name: object.name, type: object.type, params: object.params })
      if (kept.get(object.uid) === wanted) return Promise.resolve(ok(undefined))
      // a first burst of tasks keeps them once, and nobody loses a race against himself
      const key = `${object.uid} ${wanted}`
      const underWay = keeping.get(key) ?? store(object, wanted).finally(() => keeping.delete(key))
      keeping.set(key, underWay)
      return underWay
    },
    async of({ kind, name, uid, type }) {
      const object = providers.get(name)
      if (object?.uid === uid) return ok(object.params)
      const before = known.get(uid)
      if (before !== undefined) return ok(before)
      const found = await document(uid).read()
      if (!found.ok) return unconfirmed(`${kind} \`${name}\` is gone, and its settings cannot be read: ${found.failure}`)
      const value = fields(found.value.value)
      if (text(value['type']) !== type) return unconfirmed(`${kind} \`${name}\` is gone, and its settings were not kept`)
      const params = fields(value['params'])
      known.set(uid, params)
      return ok(params)
    },
  }

  async function store(object: ProviderObject, wanted: string): Promise<Result<undefined, Failure>> {
    const place = document(object.uid)
    const found = await place.read()
    const failed = (why: string): Result<never, Failure> =>
      fail({ reason: 'WriteFailed', message: `the settings of provider \`${object.name}\` could not be kept: ${why}` })
    if (!found.ok) return failed(found.failure)
    if (canonical(found.value.value ?? null) !== wanted) {
      const written = await place.write({ name: object.name, type: object.type, params: object.params }, found.value.version)
      if (!written.ok) return failed(written.failure === 'conflict' ? 'somebody else is writing them' : written.failure.message)
    }
    kept.set(object.uid, wanted)
    return ok(undefined)
  }
}
