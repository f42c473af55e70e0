// `webhook`: keys of the reference server of examples/webhook, which is asked what is alive.

import { startHttpsProxy } from '../../../support/faults/httpsproxy.ts'
import { createReferenceHook } from '../../support/reference-hook.ts'
import { outside, source } from '../points.ts'
import type { Fields, Step, SubjectType } from '../subject.ts'

const to = 'webhook'
const keyOf = (fields: Fields): string => fields['key'] ?? ''

const call = (step: Step, path: string) => source(to, step, `POST /v1/${path}`, `^POST /v1/${path} .*HANDLE`)

export const webhook: SubjectType = {
  points: outside([call('issue', 'issue'), call('renew', 'renew'), call('end', 'revoke'), call('end', 'inspect')]),
  async start({ scenario, gate, issuer }) {
    let close = async (): Promise<void> => undefined
    const {
      server,
      name,
      credential,
      close: closeServer,
    } = await createReferenceHook(scenario, `${issuer}/login`, async (reached) => {
      if (gate === undefined) return reached
      const proxy = await startHttpsProxy(gate, to, reached.address, reached.caBundle)
      close = proxy.close
      return proxy
    })
    return {
      provider: name,
      server: 'the reference server of examples/webhook',
      credential,
      renewal: 'InPlace',
      alive: async () => server.alive(),
      idOf: (_fields, handle) => handle,
      works: async (fields) => server.scopesOf(keyOf(fields)) !== undefined,
      async close() {
        await closeServer()
        await close()
      },
    }
  },
}
