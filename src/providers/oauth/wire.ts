// What is said to an authorization server, and nothing else here talks outside. Everything that comes back is JSON of ours to read or a
// failure in our own words: of its text only the codes that RFCs define are looked at, since the rest may quote what was sent.

import { type Json, parseJson } from '../../lib/json.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Http, HttpAnswer } from '../../outbound/http.ts'
import type { OauthParams } from './params.ts'

/** `sent`: it may have been done all the same. `absent`: there is nothing at that URL. */
export interface OauthFailure {
  readonly sentence: string
  readonly sent: boolean
  readonly absent: boolean
}

export interface OauthWire {
  /** A form, as every endpoint takes it. `{}` where there is nothing to say. */
  post(params: OauthParams, url: string, form: Readonly<Record<string, string>>, limit: number | (() => number)): Answer
  /** A document that anybody may read. */
  get(params: OauthParams, url: string, limit: number): Answer
}
type Answer = Promise<Result<Json, OauthFailure>>

/** RFC 6749 section 5.2, RFC 7009 section 2.2.1, RFC 8707 section 2. */
const codes: Readonly<Record<string, string>> = {
  invalid_client:
    'it does not know the client by its assertion: are `clientId` and the client\u2019s keys registered there, and is `audience` its issuer?',
  invalid_grant: 'it does not take the token that says which task it is: does it trust the issuer of logins?',
  invalid_request: 'it takes the request for malformed',
  invalid_scope: 'it does not know a scope, or this client may not have it',
  invalid_target: 'it does not know the audience or the resource, or this client may not have it',
  unauthorized_client: 'this client may not use that grant: allow it there',
  unsupported_grant_type: 'it does not know that grant',
  unsupported_token_type: 'it cannot revoke tokens of that kind',
  access_denied: 'it refuses this client or this task',
}

const statuses: Readonly<Record<number, string>> = {
  401: codes['invalid_client'] ?? '',
  403: 'it refuses this client',
  404: 'there is nothing at that URL',
  405: 'what is at that URL takes no such call',
  429: 'it is asked too often',
  503: 'it is busy, or down for maintenance',
}

function judge(answer: HttpAnswer): Result<Json, OauthFailure> {
  const { status } = answer
  const refused = status >= 400 && status < 500
  const no = (sentence: string): Result<never, OauthFailure> => fail({ sentence, sent: !refused, absent: status === 404 })
  const value = parseJson(answer.body)
  if (status === 200) return value === undefined ? no('its answer is no JSON object: is it an authorization server?') : ok(value)
  if (status >= 300 && status < 400) return no('it answers with a redirect, which is not followed')
  const code = refused ? value?.['error'] : undefined
  const known = typeof code === 'string' && Object.hasOwn(codes, code) ? codes[code] : statuses[status]
  return no(known ?? `it answers with status ${status}`)
}

export function createOauthWire(http: Pick<Http, 'call'>): OauthWire {
  async function call(
    { caBundle, allowedAddresses }: OauthParams,
    request: {
      readonly method: 'GET' | 'POST'
      readonly url: string
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: string
    },
    limit: number | (() => number),
  ): Answer {
    const answer = await http.call({ ...request, caBundle, allowedAddresses, limit })
    return answer.ok ? judge(answer.value) : fail({ ...answer.failure, absent: false })
  }
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return {
    post: (params, url, form, limit) => call(params, { method: 'POST', url, headers, body: new URLSearchParams(form).toString() }, limit),
    get: (params, url, limit) => call(params, { method: 'GET', url }, limit),
  }
}
