// What the operator does at an authorization server as its client: it asks for tokens, ends them, and asks whether they are dead. Each call
// carries an assertion of its own.

import type { Json } from '../../lib/json.ts'
import type { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { ClientAssertions } from '../../ports/login.ts'
import { readActive } from './answers.ts'
import type { Discovery } from './endpoints.ts'
import { audienceOf, isChecked, type OauthParams } from './params.ts'
import type { OauthFailure, OauthWire } from './wire.ts'

export interface ClientDeps {
  readonly wire: OauthWire
  readonly assertions: ClientAssertions
  readonly discovery: Discovery
}

export type Endpoint = 'token' | 'revocation' | 'introspection'

export interface OauthClient {
  /** `undefined` where there is no such endpoint. */
  call(
    params: OauthParams,
    endpoint: Endpoint,
    form: Readonly<Record<string, string>>,
    limit?: number | (() => number),
  ): Promise<Result<Json, OauthFailure> | undefined>
  /**
   * Revokes one token and asks whether it is dead. Repeatable. A failure is a sentence: it is to be tried again.
   * @returns `undefined` when it is dead, or why nobody can know: a sentence
   */
  end(params: OauthParams, token: Material): Promise<Result<string | undefined, string>>
}

const patience = 5_000
export const textOf = (material: Material): string => new TextDecoder().decode(material.reveal())

export function createOauthClient({ wire, assertions, discovery }: ClientDeps): OauthClient {
  const client: OauthClient = {
    async call(params, endpoint, form, limit = patience) {
      const unsent = (sentence: string): Result<never, OauthFailure> => fail({ sentence, sent: false, absent: false })
      const endpoints = await discovery.find(params)
      if (!endpoints.ok) return unsent(endpoints.failure.sentence)
      const url = endpoints.value[endpoint]
      if (url === undefined) return undefined
      const assertion = await assertions.of(params.clientId, audienceOf(params))
      if (!assertion.ok) return unsent(assertion.failure)
      const authentication = {
        client_id: params.clientId,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: textOf(assertion.value),
      }
      return wire.post(params, url, { ...form, ...authentication }, limit)
    },
    async end(params, token) {
      const revoked = await client.call(params, 'revocation', { token: textOf(token) })
      if (revoked?.ok === false) return fail(`revocation: ${revoked.failure.sentence}`)
      // that the call succeeded says nothing
      const said = isChecked(params) ? await client.call(params, 'introspection', { token: textOf(token) }) : undefined
      if (said === undefined)
        return ok(
          revoked === undefined ? 'the server cannot revoke it' : 'the server was asked to revoke it, and cannot be asked whether it did',
        )
      if (!said.ok) return fail(`introspection: ${said.failure.sentence}`)
      const active = readActive(said.value)
      if (active === undefined) return fail('introspection does not say whether it is active')
      return active ? fail('the server says that it revoked it, and then that it is active') : ok(undefined)
    },
  }
  return client
}

/** Whether its endpoints take the client: they are asked about a token that nobody has. */
export async function knock(client: OauthClient, params: OauthParams, nobodys: string): Promise<Result<undefined, string>> {
  const endpoint = isChecked(params) ? 'introspection' : 'revocation'
  const answer = await client.call(params, endpoint, { token: nobodys })
  if (answer === undefined) return ok(undefined)
  if (!answer.ok) return fail(`${endpoint}: ${answer.failure.sentence}`)
  return endpoint === 'introspection' && readActive(answer.value) !== false
    ? fail('introspection does not say of a token that nobody has that it is not active')
    : ok(undefined)
}
