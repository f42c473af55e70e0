// `webhook`: keys of the reference server of examples/webhook, which is asked what is alive.

import { startHttpsProxy } from '../../../support/faults/httpsproxy.ts'
import { createHooked } from '../../support/hooked.ts'
import { outside, source } from '../points.ts'
import type { Fields, StartSubject } from '../subject.ts'

const to = 'webhook'
const keyOf = (fields: Fields): string => fields['key'] ?? ''

export const startWebhook: StartSubject = async ({ scenario, gate, issuer }) => {
  let close = async (): Promise<void> => undefined
  const {
    server,
    name,
    credential,
    close: closeServer,
  } = await createHooked(scenario, `${issuer}/login`, async (reached) => {
    const proxy = await startHttpsProxy(gate, to, reached.address, reached.caBundle)
    close = proxy.close
    return proxy
  })
  const call = (step: 'issue' | 'renew' | 'end', path: string) => source(to, step, `POST /v1/${path}`, `^POST /v1/${path} .*HANDLE`)
  return {
    type: 'webhook',
    provider: name,
    server: 'the reference server of examples/webhook',
    credential,
    points: outside([call('issue', 'issue'), call('renew', 'renew'), call('end', 'revoke'), call('end', 'inspect')]),
    renewal: 'InPlace',
    alive: async () => server.alive(),
    idOf: (_fields, handle) => handle,
    works: async (fields) => server.scopesOf(keyOf(fields)) !== undefined,
    async close() {
      await closeServer()
      await close()
    },
  }
}
