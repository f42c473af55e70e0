// A real PostgreSQL on this machine that pods reach by the name of a Service, as they reach a database outside of their cluster.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { nodeAddress } from '../../cluster/node/host.ts'
import { createDatabase, type Database } from '../../e2e/support/database.ts'
import type { Scenario } from '../../e2e/support/scenario.ts'

export async function createNodeDatabase(scenario: Scenario): Promise<Database> {
  const host = `database.${scenario.namespace}.svc`
  const sockets = new Set<Socket>()
  const forwarder = createServer()
  const database = await createDatabase(scenario, { names: [host] }, async ({ port }) => {
    // the server listens on loopback alone
    forwarder.on('connection', (near) => {
      const far = connect(port, '127.0.0.1')
      near.pipe(far).pipe(near)
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.add(socket)
        socket.on('error', () => other.destroy())
        socket.on('close', () => {
          sockets.delete(socket)
          other.destroy()
        })
      }
    })
    forwarder.listen(0, nodeAddress)
    await once(forwarder, 'listening')
    const at = (forwarder.address() as AddressInfo).port
    const ports = [{ name: 'postgres', port: at }]
    const services = `/api/v1/namespaces/${scenario.namespace}/services`
    const { spec } = await scenario.kube.must('POST', services, { metadata: { name: 'database' }, spec: { ports } })
    await scenario.kube.must('POST', `/apis/discovery.k8s.io/v1/namespaces/${scenario.namespace}/endpointslices`, {
      metadata: { name: 'database', labels: { 'kubernetes.io/service-name': 'database' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [nodeAddress] }],
      ports,
    })
    return { host, port: at, addresses: [spec.clusterIP as string] }
  })
  return {
    ...database,
    async close() {
      await database.close()
      forwarder.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
