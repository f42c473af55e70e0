// The documents by which verifiers find the issuer's keys. Built from configuration and keys alone, never from a request.

import type { JSONWebKeySet } from 'jose'
import { type Duration, toSeconds } from '../lib/instant.ts'
import type { IssuerIdentity } from '../ports/signer.ts'

/** Paths below the issuer's URL. */
export const paths = {
  discovery: '/.well-known/openid-configuration',
  keys: '/keys',
  clientKeys: '/client/keys',
  bundle: '/spiffe/bundle',
  statusLists: '/status-lists',
} as const

const tokenClaims = ['iss', 'sub', 'aud', 'client_id', 'exp', 'iat', 'jti', 'scope', 'status', 'taskbound']
export const loginClaimNames = ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'taskbound']

/**
 * OpenID Connect Discovery 1.0, as much of it as an issuer without login pages has (like the one of a Kubernetes API server).
 * The algorithms are those of the keys that are published.
 */
export function discoveryDocument(
  identity: IssuerIdentity,
  keys: JSONWebKeySet,
  claims: readonly string[] = tokenClaims,
): Readonly<Record<string, unknown>> {
  return {
    issuer: identity.url,
    jwks_uri: identity.url + paths.keys,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [...new Set(keys.keys.map((key) => key.alg))].filter((alg) => alg !== undefined),
    claims_supported: claims,
  }
}

/**
 * SPIFFE trust domain bundle.
 * @param sequence grows with every change of the keys
 * @param refreshHint how often to look for a change
 */
export function bundleDocument(keys: JSONWebKeySet, sequence: number, refreshHint: Duration): Readonly<Record<string, unknown>> {
  return { keys: keys.keys, spiffe_sequence: sequence, spiffe_refresh_hint: toSeconds(refreshHint) }
}
