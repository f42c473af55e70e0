// The issuer, put together: its certificate, its keys, its status lists, and what is signed by them. Decides nothing.

import { isIP } from 'node:net'
import type { Settings } from '../config/settings.ts'
import { systemClock as clock, systemEntropy as entropy } from '../config/system.ts'
import { type Certificate, createCertificate } from '../http/certificate.ts'
import { createLeaderClient, type LeaderAddress } from '../http/oidc/leader.ts'
import { oidcRoutes } from '../http/oidc/routes.ts'
import { createClientAssertions } from '../issuer/client-assertions.ts'
import { generateKeyDocument } from '../issuer/key-document.ts'
import { loadOrCreate } from '../issuer/key-store.ts'
import { createKeyring } from '../issuer/keyring.ts'
import { createLogins, loginIdentity } from '../issuer/logins.ts'
import { accessTokenClaims } from '../issuer/profiles/access-token.ts'
import { jwtSvidClaims } from '../issuer/profiles/jwt-svid.ts'
import { createStatusLists, defaultStatusListSettings } from '../issuer/statuslist/statuslist.ts'
import type { KubeClient } from '../kube/client.ts'
import type { Profile } from '../ports/signer.ts'
import { createJwtProvider } from '../providers/jwt/provider.ts'
import type { Operator } from '../runtime/operator.ts'
import { createDocument, createKeyStore, createListStore, names, publish } from '../runtime/storage.ts'
import { must } from './basics.ts'

/** On the KubeLease: where the other replicas find the leader's issuer. */
export const addressAnnotation = 'taskbound.dev/issuer-address'

/** The certificate of the issuer's own TLS, published for verifiers; none where something in front of it holds one. */
export async function buildCertificate(settings: Settings, client: KubeClient): Promise<Certificate | undefined> {
  if (settings.issuer.tls === 'Plain') return undefined
  const { namespace } = settings
  const certificate = must(
    await createCertificate({
      store: createKeyStore(client, namespace, names.ca),
      clock,
      entropy,
      host: new URL(settings.issuer.url).hostname,
      alsoKnownAs: [`taskbound-issuer.${namespace}.svc`],
    }),
  )
  must(await publish(client, namespace, names.caPublished, { 'ca.crt': certificate.authority }))
  return certificate
}

/** Keys, status lists and the provider that issues under them. `operator` is asked late: it is built after. */
export async function buildIssuer(
  settings: Settings,
  client: KubeClient,
  certificate: Certificate | undefined,
  operator: () => Operator | undefined,
) {
  const { namespace, issuer } = settings
  const identity = { url: issuer.url, trustDomain: issuer.trustDomain }
  const make = () => generateKeyDocument(clock.now(), issuer.signingAlgorithm)
  const keyring = must(await createKeyring(must(await loadOrCreate(createKeyStore(client, namespace, names.keys), make))))
  const keyringOf = async <P extends Profile>(name: string, profile: P) => {
    const document = await loadOrCreate<P>(
      createKeyStore(client, namespace, name),
      () => generateKeyDocument(clock.now(), issuer.signingAlgorithm, [profile]),
      [profile],
    )
    return must(await createKeyring(must(document)))
  }
  const loginKeyring = await keyringOf(names.loginKeys, 'Login')
  const clientKeyring = await keyringOf(names.clientKeys, 'ClientAssertion')
  const host = new URL(issuer.url).hostname
  const leader = (): LeaderAddress | undefined => {
    const holder = operator()?.elector.holder()
    const origin = holder?.annotations[addressAnnotation]
    if (origin === undefined || holder?.identity === settings.replica) return undefined
    return {
      origin,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(certificate === undefined ? {} : { ca: certificate.authority }),
    }
  }
  const statusLists = createStatusLists({
    clock,
    entropy,
    signer: keyring,
    keys: () => keyring.jwks(),
    identity,
    term: () => (operator()?.elector.isLeader() === true ? operator()?.elector.term() : undefined),
    store: createListStore(createDocument(client, namespace, names.lists)),
    fetchFromLeader: createLeaderClient(leader),
    settings: { ...defaultStatusListSettings, ttl: issuer.statusListTtl },
  })
  const claims = { accessToken: accessTokenClaims, jwtSvid: jwtSvidClaims }
  const jwt = createJwtProvider({ signer: keyring, statuses: statusLists, claims, identity, entropy, listTtl: issuer.statusListTtl })
  const logins = { identity: loginIdentity(identity), keyring: () => loginKeyring }
  return {
    statusLists,
    jwt,
    logins: createLogins({ signer: loginKeyring, identity, clock, entropy }),
    clientAssertions: createClientAssertions({ signer: clientKeyring, clock, entropy }),
    routes: oidcRoutes({ identity, keyring: () => keyring, logins, clientKeyring: () => clientKeyring, statuses: statusLists }),
  }
}
