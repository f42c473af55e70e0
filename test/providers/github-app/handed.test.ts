// A GitHub App of a namespace: its key comes from what the namespace handed over, for that provider and that server.

import { expect, test } from '@jest/globals'
import { Material } from '../../../src/lib/material.ts'
import { ok } from '../../../src/lib/result.ts'
import { createHandedKeys } from '../../../src/providers/github-app/app.ts'
import { type GithubAppParams, keyName } from '../../../src/providers/github-app/params.ts'

const params = {
  apiUrl: 'https://ghe.example/api/v3',
  privateKeySecretRef: { name: 'app-key' },
  home: { namespace: 'team', name: 'own' },
} as unknown as GithubAppParams

test('its key is asked for at home, for the server that it is used at, and nowhere else', async () => {
  const asked: unknown[] = []
  const readKey = createHandedKeys(async (home, handed) => {
    asked.push({ home, handed })
    return ok({ [keyName]: new Material('pem') })
  })
  const found = await readKey('ignored', keyName, params)
  expect(found.ok && Buffer.from(found.value.value.reveal()).toString()).toBe('pem')
  expect(found).toMatchObject({ value: { origin: 'ghe.example:443' } })
  expect(asked).toEqual([
    { home: { namespace: 'team', name: 'own' }, handed: { secret: 'app-key', keys: [keyName], origins: ['ghe.example:443'] } },
  ])
  expect((await readKey('app-key', keyName, { ...params, home: undefined } as never)).ok).toBe(false)
})
