// A Vault that is told of tasks.

import { decodeJwt } from 'jose'
import { paths, startFake } from '../../../providers/vault/fake.ts'
import { credentialOf, type World } from '../world.ts'
import { type Sink, visitor } from './sink.ts'

export async function vaultSink({ scenario, provide, atEnd }: World): Promise<Sink> {
  const fake = await startFake()
  atEnd(fake.close)
  const audience = `https://sink.${scenario.name}.example`
  fake.role['bound_audiences'] = [audience]
  const sent: unknown[] = []
  fake.before = ({ headers, path, body }) => {
    sent.push([headers, { ...body }])
    if (!path.endsWith('/login')) return undefined
    // it reads what it is told as the claims themselves
    const { taskbound } = decodeJwt(String(body['jwt'])) as { taskbound?: { task: object; handle: string } }
    body['jwt'] = JSON.stringify(taskbound === undefined ? {} : { task: taskbound.task, handle: taskbound.handle })
    return undefined
  }
  const provider = await provide('vault-sink', {
    type: 'vault',
    vault: {
      address: `https://localhost:${fake.port}`,
      caBundle: fake.caBundle,
      role: 'tasks',
      operatorRole: 'operator',
      audience,
      paths: [{ path: paths.lease }],
    },
  })
  return { type: 'vault', visit: visitor(scenario, 'vault', credentialOf(provider, paths.lease)), sent: () => sent }
}
