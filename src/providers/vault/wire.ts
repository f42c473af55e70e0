// What is said to a Vault or an OpenBao, and nothing else here talks outside. Everything that comes back is JSON of ours to read or a
// failure in our own words: the server's text is compared with what is known, and never shown, since it may quote what was sent.

import { type Json, parseJson } from '../../lib/json.ts'
import type { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Http, HttpAnswer } from '../../outbound/http.ts'
import type { VaultParams } from './params.ts'

/**
 * `denied`: it knows who asks, or not, and says no. `absent`: there is nothing at that path, or no such server. `gone`: it says itself that
 * the token or lease that was named is not there. `silent`: no answer. `broken`: anything else, such as sealed. `sent`: it may have been done all the same.
 */
export interface VaultFailure {
  readonly kind: 'denied' | 'absent' | 'gone' | 'silent' | 'broken'
  readonly sentence: string
  readonly sent: boolean
}

export interface VaultCall {
  readonly method: 'GET' | 'POST' | 'PUT'
  /** below `/v1/` */
  readonly path: string
  readonly token?: Material
  readonly body?: Json
  readonly limit: number | (() => number)
}

export interface Wire {
  /** The answer's JSON; `{}` where there is nothing to say. */
  call(params: VaultParams, call: VaultCall): Promise<Result<Json, VaultFailure>>
}

const sentences: Readonly<Record<number, string>> = {
  404: 'it knows nothing at that path: is the engine mounted there, in that `vaultNamespace`?',
  405: 'what is at that path cannot be read',
  412: 'it has not caught up with its primary yet',
  429: 'it has had too many requests: a quota of it is used up',
  472: 'it is a standby of another cluster: let `address` be that of the active one',
  473: 'it is a standby: let `address` be that of the active server',
  501: 'it was never initialised',
  503: 'it is sealed, or down for maintenance: unseal it',
}

/** What servers say of an accessor or a lease that is not there. A proxy's 404 says nothing of the kind. */
const goneWords = ['invalid accessor', 'invalid lease']

const text = (material: Material): string => new TextDecoder().decode(material.reveal())

function judge(answer: HttpAnswer): Result<Json, VaultFailure> {
  const { status } = answer
  const no = (kind: VaultFailure['kind'], sentence: string): Result<never, VaultFailure> => fail({ kind, sentence, sent: true })
  const value = parseJson(answer.body)
  if (status === 200 || status === 204)
    return value === undefined ? no('broken', 'its answer is no JSON: is it a Vault, and does the URL fit?') : ok(value)
  if (status >= 300 && status < 400)
    return no('broken', 'it sends elsewhere, which is not followed: let `address` be that of the active server')
  const errors = Array.isArray(value?.['errors']) ? value['errors'].filter((entry) => typeof entry === 'string').join(' ') : ''
  if ([400, 403, 404].includes(status) && goneWords.some((words) => errors.includes(words)))
    return no('gone', 'it does not exist there any more')
  if (status === 403) return no('denied', 'it refuses: a policy or the role there does not allow it')
  if (status === 404) return no('absent', sentences[404] ?? '')
  if (status === 400)
    return no(
      'denied',
      'it does not take the request: the role, its `bound_claims`, its `bound_audiences` or the keys that it trusts do not fit',
    )
  return no('broken', sentences[status] ?? `it answered with status ${status}`)
}

export function createWire(http: Pick<Http, 'call'>): Wire {
  return {
    async call({ address, caBundle, allowedAddresses, vaultNamespace }, { method, path, token, body, limit }) {
      const answer = await http.call({
        method,
        url: `${address}/v1/${path}`,
        caBundle,
        allowedAddresses,
        headers: {
          'x-vault-request': 'true',
          ...(token === undefined ? {} : { 'x-vault-token': text(token) }),
          ...(vaultNamespace === undefined ? {} : { 'x-vault-namespace': vaultNamespace }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        limit,
      })
      return answer.ok ? judge(answer.value) : fail({ kind: 'silent', ...answer.failure })
    },
  }
}
