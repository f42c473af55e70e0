// What is said to GitHub, and nothing else here talks outside. Everything that comes back is JSON of ours to read or a failure in our own
// words: the server's text is compared with what is known, and never shown, since it may quote what was sent.

import { type Json, parseJson } from '../../lib/json.ts'
import type { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Http, HttpAnswer } from '../../outbound/http.ts'
import type { GithubAppParams } from './params.ts'

/**
 * `dead`: it does not know the token that was shown. `refused`: it has understood, and says no, so nothing was done. `silent`: no answer.
 * `broken`: anything else. `done`: what was asked for may have been done all the same.
 */
export interface GithubFailure {
  readonly kind: 'dead' | 'refused' | 'silent' | 'broken'
  readonly sentence: string
  readonly done: boolean
}

export interface GithubCall {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** below the base URL, without a slash at its beginning */
  readonly path: string
  /** the App's JWT, or an installation token */
  readonly bearer: Material
  readonly body?: Json
  readonly limit: number | (() => number)
}

export interface GithubWire {
  /** The answer's JSON; `{}` where there is nothing to say. */
  call(params: GithubAppParams, call: GithubCall): Promise<Result<Json, GithubFailure>>
}

const meanings: Readonly<Record<number, string>> = {
  401: "it does not take the App's word: do `clientId` or `appId` and the private key belong together, and is the clock right?",
  403: 'it refuses: is the installation suspended, or does an allow-list of addresses there keep the operator out?',
  404: 'it knows no such installation of this App: do `apiUrl`, `installationId` and the App belong together?',
  422: 'it does not take the request: the installation lacks one of the repositories or permissions',
}

const text = (material: Material): string => new TextDecoder().decode(material.reveal())

/** How GitHub says that it is asked too often: by its status, or by headers of a refusal. */
function busy({ status, headers }: HttpAnswer): string | undefined {
  const after = headers['retry-after']
  const limited = status === 429 || (status === 403 && (after !== undefined || headers['x-ratelimit-remaining'] === '0'))
  if (!limited) return undefined
  const wait = after !== undefined && /^[0-9]{1,6}$/.test(after) ? `; it wants ${after} seconds without` : ''
  return `it has had too many requests of this App${wait}`
}

function judge(answer: HttpAnswer): Result<Json, GithubFailure> {
  const { status, body } = answer
  const broken = (sentence: string): Result<never, GithubFailure> => fail({ kind: 'broken', sentence, done: true })
  const value = parseJson(body)
  if (status >= 200 && status < 300)
    return value === undefined ? broken('its answer is no JSON object: is it GitHub, and does `apiUrl` fit?') : ok(value)
  if (status >= 300 && status < 400) return broken('it sends elsewhere, which is not followed: let `apiUrl` be where it leads')
  // a proxy in between says no in words of its own, and may have handed the request on
  if (status >= 500 || typeof value?.['message'] !== 'string') return broken(`it answered with status ${status}, and not as GitHub does`)
  if (status === 401 && value['message'] === 'Bad credentials') return fail({ kind: 'dead', sentence: meanings[401] ?? '', done: false })
  return fail({ kind: 'refused', sentence: busy(answer) ?? meanings[status] ?? `it refuses with status ${status}`, done: false })
}

export function createGithubWire(http: Pick<Http, 'call'>): GithubWire {
  return {
    async call({ apiUrl, caBundle, allowedAddresses }, { method, path, bearer, body, limit }) {
      const answer = await http.call({
        method,
        url: `${apiUrl}/${path}`,
        caBundle,
        allowedAddresses,
        headers: {
          accept: 'application/vnd.github+json',
          'x-github-api-version': '2022-11-28',
          authorization: `Bearer ${text(bearer)}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        limit,
      })
      return answer.ok ? judge(answer.value) : fail({ kind: 'silent', sentence: answer.failure.sentence, done: answer.failure.sent })
    },
  }
}
