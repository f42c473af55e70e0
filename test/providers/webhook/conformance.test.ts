// The one command by which anybody tests a service of his own, run against the reference server as its page tells.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from '@jest/globals'
import { createWebhookServer } from '../../../examples/webhook/webhook-server.ts'
import { freePort } from '../../cluster/start.ts'
import { caBundle, tls } from './world.ts'

const root = resolve(import.meta.dirname, '../../..')

async function conformance(env: Readonly<Record<string, string>>): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn('npm', ['run', '-s', 'conformance'], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit') as Promise<[number | null]>])
  return { code, output: out + err }
}

test('it passes at the reference server, fails where the contract is not kept, and says what it needs', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'taskbound-conformance-'))
  const ca = join(folder, 'ca.crt')
  writeFileSync(ca, caBundle)
  const [issuer, audience] = [`http://127.0.0.1:${await freePort()}`, 'https://keys.example']
  const server = createWebhookServer({ tls, issuer: `${issuer}/login`, audience })
  const port = await server.listen()
  const env = {
    TASKBOUND_WEBHOOK_URL: `https://localhost:${port}`,
    TASKBOUND_WEBHOOK_AUDIENCE: audience,
    TASKBOUND_WEBHOOK_SCOPES: 'orders:read,orders:write',
    TASKBOUND_WEBHOOK_CA: ca,
    TASKBOUND_WEBHOOK_ISSUER: issuer,
  }
  const good = await conformance(env)
  expect([good.code, good.output.match(/Tests: .*/)?.[0]]).toEqual([0, expect.stringMatching(/^Tests: +\d+ passed, \d+ total$/)])
  const unset = await conformance({ ...env, TASKBOUND_WEBHOOK_AUDIENCE: undefined as never })
  expect([unset.code, unset.output]).toEqual([1, expect.stringContaining('TASKBOUND_WEBHOOK_AUDIENCE is not set')])
  const elsewhere = await conformance({ ...env, TASKBOUND_WEBHOOK_URL: `https://localhost:${port}/nowhere` })
  expect([elsewhere.code, elsewhere.output]).toEqual([1, expect.stringContaining('2. a handle that it does not know is used')])
  await server.close()
  rmSync(folder, { recursive: true })
}, 120_000)
