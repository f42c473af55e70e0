// How long what a provider gives may live: the same for every provider, whatever its source. Pure.

import { type Duration, earliest, type Instant, plus, seconds, toSeconds, wholeSecond } from '../lib/instant.ts'
import type { CredentialRequest, Failure, Order } from './provider.ts'

/** A kubelet needs up to 90 s to refresh a volume, so nothing shorter can be renewed in time. */
export const minTtl: Duration = seconds(300)

/** What is wrong with a provider's `maxTTLSeconds`, or `undefined`. */
export const judgeMaxTtl = (maxTtl: Duration): string | undefined =>
  maxTtl < minTtl ? `\`maxTTLSeconds\` is below ${toSeconds(minTtl)}, the shortest life that can be renewed in time` : undefined

/** Whether a provider with this ceiling can give the life that is asked for. */
export function judgeTtl(
  { name, ttl }: Pick<CredentialRequest, 'name' | 'ttl'>,
  maxTtl: Duration,
  least: Duration = minTtl,
): Failure | undefined {
  if (ttl >= least && ttl <= maxTtl) return undefined
  const range = `${toSeconds(least)} to ${toSeconds(maxTtl)}`
  const message = `credential \`${name}\` asks for a life of ${toSeconds(ttl)} seconds: set \`ttlSeconds\` to a value from ${range}`
  return { reason: 'TtlOutOfRange', message }
}

/** When what is ordered dies: in whole seconds, and never beyond what the provider may give. */
export const lifeEnd = (order: Pick<Order, 'issuedAt' | 'expiresAt'>, maxTtl: Duration): Instant =>
  wholeSecond(earliest(order.expiresAt, plus(order.issuedAt, maxTtl)) ?? order.expiresAt)
