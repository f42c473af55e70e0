import type { Material } from '../lib/material.ts'
import type { Result } from '../lib/result.ts'
import type { Order } from './provider.ts'

/** Tokens by which the source of a provider knows who asks. Each is for one audience and lives a minute. A failure is a sentence. */
export interface Logins {
  /**
   * On behalf of one task; with the handle of the row, where the source is to know it.
   * @param tags of the session that AWS makes of it: nothing but the token can give a session its tags
   */
  task(order: Order, audience: string, handle?: string, tags?: Readonly<Record<string, string>>): Promise<Result<Material, string>>
  /** of the operator itself: to end what it made, and to see whether the source answers */
  operator(audience: string): Promise<Result<Material, string>>
}

/** JWTs by which the operator authenticates as a client of an authorization server (RFC 7523). Each is used once and lives a minute. */
export interface ClientAssertions {
  of(clientId: string, audience: string): Promise<Result<Material, string>>
}
