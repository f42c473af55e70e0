// The example resource server, which checks tokens of this installation.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { audience } from '../../support/scenario.ts'
import type { World } from '../world.ts'
import { type Door, isHeader } from './door.ts'

export async function resourceServerDoor({ scenario, operator, atEnd }: World): Promise<Door> {
  const { data } = await scenario.kube.must('GET', '/api/v1/namespaces/taskbound-system/configmaps/taskbound-issuer-ca-bundle')
  const folder = await mkdtemp(join(tmpdir(), 'taskbound-door-'))
  atEnd(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'ca.crt'), data['ca.crt'])
  const main = resolve(import.meta.dirname, '../../../../examples/resource-server/main.ts')
  const server = spawn(process.execPath, [main, operator.issuer, `${audience}/${scenario.name}`, 'read', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] ?? '', NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt') },
  })
  atEnd(() => server.kill())
  const [line] = await once(server.stdout, 'data')
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(String(line))?.[0] ?? ''
  return {
    name: 'the resource server',
    own: async () => scenario.active(await scenario.task({ name: 'own-token' })),
    takes: async (token) => isHeader(token) && (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status !== 401,
  }
}
