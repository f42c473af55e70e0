// The issuer's TLS certificate where the operator's own CA makes it: taken into a server at the start and again before it expires.

import { isIP } from 'node:net'
import { type Authority, generateAuthority, issueServing, loadOrCreateAuthority, type Serving } from '../issuer/ca.ts'
import type { KeyStore } from '../issuer/key-store.ts'
import { ok, type Result } from '../lib/result.ts'
import type { Clock } from '../ports/clock.ts'
import type { Entropy } from '../ports/entropy.ts'
import type { TlsMaterial } from './server.ts'

export interface CertificateDeps {
  readonly store: KeyStore
  readonly clock: Clock
  readonly entropy: Entropy
  /** host of the issuer's URL */
  readonly host: string
  /** further names within the cluster */
  readonly alsoKnownAs: readonly string[]
}

export interface Certificate {
  /** PEM of the authority, for those who verify */
  readonly authority: string
  tls(): TlsMaterial
  /** Makes a new one if it is time; answers it then. */
  renew(): TlsMaterial | undefined
}

export async function createCertificate({
  store,
  clock,
  entropy,
  host,
  alsoKnownAs,
}: CertificateDeps): Promise<Result<Certificate, string>> {
  const all = [...new Set([host, ...alsoKnownAs])]
  const names = { dns: all.filter((name) => isIP(name) === 0), ips: all.filter((name) => isIP(name) === 4) }
  const loaded = await loadOrCreateAuthority(store, () => generateAuthority(names, clock.now(), entropy))
  if (!loaded.ok) return loaded
  const authority: Authority = loaded.value
  let serving: Serving = issueServing(authority, names, clock.now(), entropy)
  const tls = (): TlsMaterial => ({ cert: serving.certificate, key: new TextDecoder().decode(serving.key.reveal()) })
  return ok({
    authority: authority.certificate,
    tls,
    renew() {
      if (clock.now() < serving.renewAt) return undefined
      serving = issueServing(authority, names, clock.now(), entropy)
      return tls()
    },
  })
}
