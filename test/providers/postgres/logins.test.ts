// Whose login is shown to whom, where many providers name Secrets and servers of the same names.

import { expect, test } from '@jest/globals'
import { milliseconds } from '../../../src/lib/instant.ts'
import { Material } from '../../../src/lib/material.ts'
import { ok } from '../../../src/lib/result.ts'
import type { Home } from '../../../src/ports/handed.ts'
import { createHandedLogins, createLogins } from '../../../src/providers/postgres/logins.ts'
import type { PostgresParams } from '../../../src/providers/postgres/params.ts'

const params = (home: Home | undefined, change: Partial<PostgresParams> = {}) =>
  ({
    host: 'db.example',
    port: 5432,
    loginSecretRef: { name: 'login' },
    ...(home === undefined ? {} : { home }),
    ...change,
  }) as PostgresParams

test('each provider of each namespace is shown its own, also where Secret and server are called alike, and what was kept is another', async () => {
  const read: string[] = []
  const logins = createLogins(
    createHandedLogins(async (home, { secret, origins }) => {
      const whose = `${home.namespace}/${home.name}/${secret}${home.kept === undefined ? '' : ' as kept'}`
      read.push(`${whose} for ${origins.join(' and ')}`)
      return ok({ username: new Material(whose), password: new Material('p') })
    }),
    { monotonic: () => milliseconds(0) },
  )
  const user = async (of: PostgresParams) => {
    const login = await logins.of(of)
    return login.ok ? login.value.username : login.failure
  }
  const homes = [
    { namespace: 'a', name: 'own' },
    { namespace: 'b', name: 'own' },
    { namespace: 'a', name: 'other' },
    { namespace: 'a', name: 'own', kept: { uid: 'u', sealed: 's' } },
  ]
  const wanted = ['a/own/login', 'b/own/login', 'a/other/login', 'a/own/login as kept']
  for (const [i, home] of homes.entries()) expect(await user(params(home))).toBe(wanted[i])
  // remembered, each for itself
  for (const [i, home] of homes.entries()) expect(await user(params(home))).toBe(wanted[i])
  expect(read).toHaveLength(4)
  // a standby is somebody else who is shown it
  await user(params(homes[0], { endpoints: [{ host: 'replica.example', port: 5433 }] }))
  expect(read.at(-1)).toBe('a/own/login for db.example:5432 and replica.example:5433')
  expect(await user(params(undefined))).toContain('of no namespace')
})
