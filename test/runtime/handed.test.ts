// What a provider of a namespace is shown of its Secret, and everything that keeps it from being shown.

import { randomBytes } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { Material } from '../../src/lib/material.ts'
import { fail, ok } from '../../src/lib/result.ts'
import { createSeal } from '../../src/lib/seal.ts'
import type { Handed, Home } from '../../src/ports/handed.ts'
import { createReadHanded, pack, placeOfHanded } from '../../src/runtime/handed.ts'

const home: Home = { namespace: 'team', name: 'own' }
const handed: Handed = { secret: 'login', keys: ['username', 'password'], origins: ['db.example:5432', 'replica.example:5432'] }
const annotations = { 'taskbound.dev/provider': 'own', 'taskbound.dev/origin': 'db.example:5432, replica.example:5432' }
const data = { username: 'dQ==', password: 'cA==' }
const seal = createSeal([new Material(randomBytes(32))], randomBytes)
const http = (status: number) => fail({ kind: 'http', status, reason: 'R', message: 'from the API server', sent: true })

function reader(answer: unknown) {
  const asked: string[] = []
  const request = async ({ method, path }: { method: string; path: string }) => {
    asked.push(`${method} ${path}`)
    return answer
  }
  const read = createReadHanded({
    client: { request } as never,
    seal,
    namespace: 'taskbound-system',
    serviceAccount: 'taskbound',
    prefix: 'tb1',
  })
  return { read, asked }
}
const secret = (change: object = {}, content: object = data) => ok({ body: { metadata: { annotations, ...change }, data: content } })
const shown = async (answer: unknown, of = home, what = handed) => {
  const got = await reader(answer).read(of, what)
  return got.ok
    ? Object.fromEntries(Object.entries(got.value).map(([key, bytes]) => [key, Buffer.from(bytes.reveal()).toString()]))
    : got.failure
}

test('it is read by one GET of that one Secret in the provider’s own namespace', async () => {
  const { read, asked } = reader(secret())
  expect((await read(home, handed)).ok).toBe(true)
  expect(asked).toEqual(['GET /api/v1/namespaces/team/secrets/login'])
  expect(await shown(secret())).toEqual({ username: 'u', password: 'p' })
  expect(await shown(secret({}, { ...data, other: 'eA==' }))).toEqual({ username: 'u', password: 'p' })
})

test.each([
  [
    'the namespace gives no right',
    http(403),
    /may not read Secret `login`.*`kubectl -n team create role taskbound-own --verb=get --resource=secrets --resource-name=login`.*--serviceaccount=taskbound-system:taskbound`/,
  ],
  ['it does not exist', http(404), /does not exist: make it with the keys `username`, `password`/],
  ['the API server fails', http(500), /cannot be read: 500/],
  ['it has no annotation', secret({ annotations: {} }), /`kubectl -n team annotate --overwrite secret login taskbound.dev\/provider=own`/],
  ['it is for another provider', secret({ annotations: { ...annotations, 'taskbound.dev/provider': 'other' } }), /not for this provider/],
  [
    'it is for a provider whose name only begins so',
    secret({ annotations: { ...annotations, 'taskbound.dev/provider': 'own2' } }),
    /not for this provider/,
  ],
  [
    'it is for another server',
    secret({ annotations: { ...annotations, 'taskbound.dev/origin': 'db.example:5433' } }),
    /not for `db.example:5432`/,
  ],
  [
    'it is not for the standby',
    secret({ annotations: { ...annotations, 'taskbound.dev/origin': 'db.example:5432' } }),
    /not for `replica.example:5432`.*taskbound.dev\/origin=db.example:5432,replica.example:5432/,
  ],
  ['it is a task’s', secret({ labels: { 'taskbound.dev/task-uid': 'u' } }), /is a task's/],
  ['a key is missing', secret({}, { username: 'dQ==' }), /must have the keys/],
  ['it is long', secret({}, { ...data, password: Buffer.alloc(70_000, 1).toString('base64') }), /longer than 65536 bytes/],
])('it is not shown where %s', async (_, answer, sentence) => {
  expect(await shown(answer)).toMatch(sentence)
})

test('of the operator’s own namespace nothing is read', async () => {
  const { read, asked } = reader(secret())
  expect((await read({ ...home, namespace: 'taskbound-system' }, handed)).ok).toBe(false)
  expect(asked).toEqual([])
})

test('what was kept opens for that installation, object, Secret and those servers, and without the API server', async () => {
  const packed = pack({ username: new Material('u'), password: new Material('p') })
  const sealed = seal.seal(placeOfHanded('tb1', 'uid-1', home, handed), packed)
  const kept = { ...home, kept: { uid: 'uid-1', sealed } }
  const { read, asked } = reader(http(404))
  expect((await read(kept, handed)).ok).toBe(true)
  expect(asked).toEqual([])
  expect(await shown(http(404), kept)).toEqual({ username: 'u', password: 'p' })

  const wrong: readonly (readonly [Home, Handed])[] = [
    [{ ...kept, kept: { uid: 'uid-2', sealed } }, handed],
    [{ ...kept, namespace: 'other' }, handed],
    [{ ...kept, name: 'other' }, handed],
    [kept, { ...handed, secret: 'other' }],
    [kept, { ...handed, origins: ['sink.example:5432', 'replica.example:5432'] }],
    [kept, { ...handed, origins: [...handed.origins, 'sink.example:5432'] }],
    [kept, { ...handed, origins: ['db.example:5432'] }],
    [{ ...kept, kept: { uid: 'uid-1', sealed: '' } }, handed],
  ]
  for (const [of, what] of wrong) expect(await shown(http(404), of, what)).toMatch(/cannot be opened: it was sealed for something else/)
  const foreign = seal.seal(placeOfHanded('tb2', 'uid-1', home, handed), packed)
  expect(await shown(http(404), { ...home, kept: { uid: 'uid-1', sealed: foreign } })).toMatch(/cannot be opened/)
})
