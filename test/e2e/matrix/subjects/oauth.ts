// `oauth`: tokens of a real Keycloak, which a resource server asks at every call.

import { letsIn, setUpKeycloak } from '../../../providers/oauth/real.ts'
import { startKeycloak } from '../../../support/keycloak/server.ts'
import { createAuthorized } from '../../support/authorized.ts'
import type { SourceType } from '../subject.ts'

export const oauth: SourceType = {
  async start({ scenario, issuer }) {
    const authorized = createAuthorized(scenario)
    const keycloak = await startKeycloak(await authorized.authority())
    await setUpKeycloak(keycloak, issuer)
    await authorized.provide({ issuer: keycloak.issuer, caBundle: keycloak.ca })
    const version = /Keycloak (\d\S*) on /.exec(keycloak.log())?.[1] ?? 'of an unknown version'
    return {
      provider: String((authorized.credential['providerRef'] as { name: string }).name),
      server: `Keycloak ${version}, by introspection`,
      credential: authorized.credential,
      works: (fields) => letsIn(keycloak, fields['api'] ?? ''),
      async close() {
        await authorized.close()
        await keycloak.stop()
      },
    }
  },
}
