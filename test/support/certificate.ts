// A certificate for a server that a test starts at loopback: a stand-in, or what stands between the operator and somebody, where TLS ends
// and begins again, so that what is lost is a reply and not a connection.

import { generateAuthority, issueServing } from '../../src/issuer/ca.ts'
import { at } from '../../src/lib/instant.ts'
import { entropy } from '../issuer/world.ts'

export interface OwnCertificate {
  readonly cert: string
  readonly key: string
  /** PEM of the authority that signed it */
  readonly ca: string
}

export function ownCertificate(): OwnCertificate {
  const names = { dns: ['localhost'], ips: ['127.0.0.1'] }
  const now = at(Date.now())
  const authority = generateAuthority(names, now, entropy)
  const { certificate, key } = issueServing(authority, names, now, entropy)
  return { cert: certificate, key: new TextDecoder().decode(key.reveal()), ca: authority.certificate }
}
