// Shows a provider of a namespace the one Secret that its namespace handed over: as it is now, by the right that the namespace gives, or as
// the ledger kept it. Never another Secret, and never to an address that the Secret does not name.

import type { KubeClient } from '../kube/client.ts'
import { describeError, isForbidden, isNotFound } from '../kube/errors.ts'
import { type KubeObject, pathOf } from '../kube/objects.ts'
import { Material } from '../lib/material.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { Seal, SealPlace } from '../lib/seal.ts'
import { type Handed, type HandedData, type Home, judgeHanded, type ReadHanded } from '../ports/handed.ts'
import { record, text } from './objects/fields.ts'

export interface HandedDeps {
  readonly client: Pick<KubeClient, 'request'>
  readonly seal: Pick<Seal, 'open'>
  /** the operator's own namespace */
  readonly namespace: string
  readonly serviceAccount: string
  /** what all handles of this installation begin with */
  readonly prefix: string
}

/** Where what is kept of a provider's Secret belongs: nobody else's ledger, object, Secret or server may be given it. */
export const placeOfHanded = (prefix: string, uid: string, { namespace, name }: Home, { secret, origins }: Handed): SealPlace => ({
  what: 'Secret of a CredentialProvider',
  installation: prefix,
  provider: uid,
  namespace,
  name,
  secret,
  origins: [...origins].sort().join(' '),
})

/** More than any login, key or certificate needs. */
const mostBytes = 65_536

export function createReadHanded({ client, seal, namespace: own, serviceAccount, prefix }: HandedDeps): ReadHanded {
  async function present(home: Home, handed: Handed): Promise<Result<HandedData, string>> {
    const { namespace, name } = home
    const { secret, keys } = handed
    const where = `Secret \`${secret}\``
    if (namespace === own) return fail('the operator has no providers in its own namespace: make a ClusterCredentialProvider')
    const path = pathOf({ group: '', version: 'v1', plural: 'secrets' }, { namespace, name: secret })
    const found = await client.request<KubeObject>({ method: 'GET', path })
    if (!found.ok) {
      if (isNotFound(found.failure)) return fail(`${where} does not exist: make it with the keys ${listed(keys)}`)
      if (!isForbidden(found.failure)) return fail(`${where} cannot be read: ${describeError(found.failure)}`)
      const role = `taskbound-${name}`.slice(0, 200)
      return fail(
        `the operator may not read ${where}; if it is to: \`kubectl -n ${namespace} create role ${role} --verb=get --resource=secrets --resource-name=${secret}\` and \`kubectl -n ${namespace} create rolebinding ${role} --role=${role} --serviceaccount=${own}:${serviceAccount}\``,
      )
    }
    const { labels = {}, annotations = {} } = found.value.body.metadata
    if (labels['taskbound.dev/task-uid'] !== undefined) return fail(`${where} is a task's: make one of your own for the provider`)
    const wrong = judgeHanded(annotations, home, handed)
    if (wrong !== undefined) return fail(wrong)
    const data = record(found.value.body['data'])
    const entries = keys.map((key) => [key, Buffer.from(text(data[key]) ?? '', 'base64')] as const)
    if (entries.some(([, bytes]) => bytes.length === 0)) return fail(`${where} must have the keys ${listed(keys)}`)
    if (entries.reduce((sum, [, bytes]) => sum + bytes.length, 0) > mostBytes) return fail(`${where} is longer than ${mostBytes} bytes`)
    return ok(Object.fromEntries(entries.map(([key, bytes]) => [key, new Material(bytes)])))
  }

  return async (home, handed) => {
    if (home.kept === undefined) return present(home, handed)
    const { uid, sealed } = home.kept
    const opened = seal.open(placeOfHanded(prefix, uid, home, handed), sealed)
    if (opened.ok) return ok(unpack(opened.value))
    const why = opened.failure === 'unknown key' ? 'the key that it was sealed with is not there' : 'it was sealed for something else'
    return fail(`what the ledger kept of Secret \`${handed.secret}\` cannot be opened: ${why}`)
  }
}

const listed = (keys: readonly string[]): string => keys.map((key) => `\`${key}\``).join(', ')

/** All of it as one value, to be sealed. */
export const pack = (data: HandedData): Material =>
  new Material(JSON.stringify(Object.entries(data).map(([key, bytes]) => [key, Buffer.from(bytes.reveal()).toString('base64')])))

const unpack = (packed: Material): HandedData => {
  const entries = JSON.parse(new TextDecoder().decode(packed.reveal())) as readonly (readonly [string, string])[]
  return Object.fromEntries(entries.map(([key, bytes]) => [key, new Material(Buffer.from(bytes, 'base64'))]))
}
