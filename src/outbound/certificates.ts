// Which authorities may vouch for a source, as its provider object says it. Pure.

import { X509Certificate } from 'node:crypto'

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined
  } catch {
    return false
  }
}

/** What is wrong with a provider's `caBundle`, or `undefined`. */
export const judgeCaBundle = (caBundle: string | undefined): string | undefined =>
  caBundle === undefined || isCertificate(caBundle)
    ? undefined
    : '`caBundle` begins with no certificate in PEM (`-----BEGIN CERTIFICATE-----`)'
