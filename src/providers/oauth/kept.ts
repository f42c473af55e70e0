// What is kept of an answer until it is dead, since a server ends a token only for whoever shows it: the tokens, and which of a row they are.

import { at, type Instant } from '../../lib/instant.ts'
import { Material } from '../../lib/material.ts'
import { textOf } from './client.ts'
import type { OauthParams } from './params.ts'

export interface KeptTokens {
  /** of the entry in the row */
  readonly number: number
  /** in the order in which they are ended */
  readonly tokens: readonly Material[]
  /** they have expired everywhere by then */
  readonly until: Instant
}

export const writeKept = ({ number, tokens, until }: KeptTokens): Material =>
  new Material(JSON.stringify({ number, until, tokens: tokens.map(textOf) }))

/** It was sealed by us, so it is as we wrote it. */
export function readKept(kept: Material): KeptTokens {
  const { number, until, tokens } = JSON.parse(textOf(kept)) as { number: number; until: number; tokens: readonly string[] }
  return { number, until: at(until), tokens: tokens.map((token) => new Material(token)) }
}

/** Where kept tokens may be sent: whoever changes an endpoint of the provider is not sent those that were given before. */
export function originOf({ issuer, tokenEndpoint, revocationEndpoint, introspectionEndpoint }: OauthParams): string {
  const urls = [issuer, tokenEndpoint, revocationEndpoint, introspectionEndpoint].filter((url) => url !== undefined)
  return [...new Set(urls.map((url) => new URL(url).origin))].sort().join(' ')
}
