// Whose an audience is, across provider objects of all types.

import { expect, test } from '@jest/globals'
import { asUid } from '../../src/core/names.ts'
import { createStore } from '../../src/kube/store.ts'
import { at, milliseconds, plus, seconds } from '../../src/lib/instant.ts'
import { ok } from '../../src/lib/result.ts'
import type { Provider } from '../../src/ports/provider.ts'
import type { ProviderObject } from '../../src/runtime/objects/kinds.ts'
import { createProviderChecks } from '../../src/runtime/providers.ts'

const born = at(1_800_000_000_000)
const object = (name: string, type: string, age: number, params: object): ProviderObject =>
  ({
    name,
    key: name,
    kind: 'ClusterCredentialProvider',
    namespace: '',
    uid: asUid(name),
    type,
    params,
    createdAt: plus(born, seconds(-age)),
    generation: 1,
    status: {},
  }) as never

function checksOf(objects: readonly ProviderObject[]) {
  const store = createStore<ProviderObject>()
  for (const [i, value] of objects.entries()) store.observe('', { key: value.name, uid: value.uid, resourceVersion: String(i + 2), value })
  return createProviderChecks({
    store,
    most: 20,
    findProvider: () => ({ ready: async () => ok(undefined) }) as unknown as Provider<unknown>,
    writes: {} as never,
    absorb: () => undefined,
    leads: () => false,
    clock: { now: () => born, monotonic: () => milliseconds(0) },
    log: {} as never,
    well: () => undefined,
    changed: () => undefined,
  })
}

async function judged(...objects: readonly ProviderObject[]): Promise<readonly (string | undefined)[]> {
  const checks = checksOf(objects)
  await checks.checkAll()
  return objects.map((one) => checks.notReady(one))
}

test('an audience of logins is nobody else\u2019s, so that no task gets a token that logs in there', async () => {
  const vault = (age: number) => object('vault', 'vault', age, { audience: 'https://vault.example' })
  const tokens = object('tokens', 'jwt', 5, { audiences: ['https://api.example', 'https://vault.example'] })
  expect(await judged(vault(10), tokens)).toEqual([undefined, expect.stringContaining('belongs to ClusterCredentialProvider `vault`')])
  expect(await judged(vault(1), tokens)).toEqual([expect.stringContaining('belongs to ClusterCredentialProvider `tokens`'), undefined])
  const other = object('other', 'vault', 5, { audience: 'https://vault.example' })
  expect(await judged(vault(10), other)).toEqual([undefined, expect.stringContaining('`vault`')])
})

test('what an authorization server is called is no audience of a task\u2019s, and providers at one server share what is theirs', async () => {
  const oauth = (name: string, age: number, params: object = {}) =>
    object(name, 'oauth', age, { issuer: 'https://sso.example', audiences: ['https://api.example'], ...params })
  const tokens = object('tokens', 'jwt', 5, { audiences: ['https://sso.example'] })
  expect(await judged(oauth('one', 10), oauth('two', 7), tokens)).toEqual([undefined, undefined, expect.stringContaining('`one`')])
  const other = oauth('other', 7, { issuer: 'https://sso.other.example' })
  expect(await judged(oauth('one', 10), other)).toEqual([undefined, expect.stringContaining('`https://api.example`')])
  const named = oauth('named', 10, { audience: 'https://sso.example/token' })
  expect(await judged(named, tokens)).toEqual([undefined, undefined])
})

test('whom a change affects is found by one look at each provider, however many there are', async () => {
  let looks = 0
  const counted = (name: string, age: number) => ({
    ...object(name, 'jwt', age, {}),
    get params() {
      looks += 1
      return { audiences: [`https://${name}.example`, 'https://shared.example'] }
    },
  })
  const objects = [...Array(300).keys()].map((i) => counted(`p${i}`, i))
  const affected = checksOf(objects).affected('p0')
  // all who are younger than the oldest are to be told, but for the one that changed
  expect(affected).toHaveLength(298)
  expect(looks).toBeLessThan(10 * objects.length)
})
