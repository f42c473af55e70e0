// Speaks the contract of docs/reference/webhook.openapi.yaml: JSON over HTTPS, each call with a login token. Believes no answer that is not
// exactly of the shape that was asked for, and shows nothing of one that is not.

import { type Instant, parseTime } from '../../lib/instant.ts'
import { Material } from '../../lib/material.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Http } from '../../outbound/http.ts'
import type { WebhookParams } from './params.ts'
import type { Proof } from './proofs.ts'

type Call = 'ready' | 'issue' | 'renew' | 'revoke' | 'inspect' | 'forget' | 'list'

export interface Made {
  readonly fields: Readonly<Record<string, Material>>
  readonly expiresAt: Instant
}

export type State = 'Live' | 'Revoked' | 'Unknown'

export interface WebhookWire {
  ready(params: WebhookParams, proof: Proof): Promise<Result<undefined, string>>
  make(params: WebhookParams, proof: Proof, call: 'issue' | 'renew', body: object, limit: () => number): Promise<Result<Made, string>>
  revoke(params: WebhookParams, proof: Proof, handle: string): Promise<Result<undefined, string>>
  inspect(params: WebhookParams, proof: Proof, handle: string): Promise<Result<State, string>>
  forget(params: WebhookParams, proof: Proof, handle: string, effectBy: Instant): Promise<Result<undefined, string>>
  list(params: WebhookParams, proof: Proof, prefix: string): Promise<Result<readonly string[], string>>
}

const patience = 10_000
const fieldName = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/
const mostFields = 16
/** A Secret holds a mebibyte, and several credentials may share it. */
const mostCharacters = 65_536
const states: readonly string[] = ['Live', 'Revoked', 'Unknown'] satisfies readonly State[]

/** What a status code means of itself; its text is the source's and stays there. */
const meanings: Readonly<Record<number, string>> = {
  400: 'it takes the call for malformed',
  401: 'it does not accept the login: does it trust the issuer of logins, and is `audience` what it expects?',
  403: 'it refuses this task or this operator',
  404: 'it does not know the call: is `url` right?',
  409: 'it has the handle already, or has ended it',
  410: 'the call came too late by its clock',
  429: 'it is asked too often',
}

const bearer = ({ login }: Proof): Readonly<Record<string, string>> =>
  login === undefined ? {} : { authorization: `Bearer ${new TextDecoder().decode(login.reveal())}` }

type Fields = Readonly<Record<string, unknown>>

export function createWebhookWire(http: Http): WebhookWire {
  async function ask(
    params: WebhookParams,
    proof: Proof,
    call: Call,
    body: object,
    limit: number | (() => number) = patience,
  ): Promise<Result<Fields, string>> {
    const answer = await http.call({
      method: 'POST',
      url: `${params.url.replace(/\/+$/, '')}/v1/${call}`,
      caBundle: params.caBundle,
      allowedAddresses: params.allowedAddresses,
      identity: proof.identity,
      headers: { ...bearer(proof), 'content-type': 'application/json' },
      body: JSON.stringify(body),
      limit,
    })
    if (!answer.ok) return fail(answer.failure.sentence)
    const { status, body: text } = answer.value
    if (status >= 300 && status < 400) return fail('it answers with a redirect, which is not followed: set `url` to where it leads')
    if (status !== 200) return fail(meanings[status] ?? `it answers with status ${status}`)
    try {
      const value: unknown = JSON.parse(text)
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return ok(value as Fields)
    } catch {
      // said below
    }
    return fail('its answer is no JSON object')
  }

  const done = (answer: Result<Fields, string>): Result<undefined, string> => (answer.ok ? ok(undefined) : answer)

  return {
    async ready(params, proof) {
      const answer = await ask(params, proof, 'ready', {})
      if (!answer.ok) return answer
      return answer.value['contract'] === 'v1' ? ok(undefined) : fail('it does not say that it follows the contract `v1`')
    },
    async make(params, proof, call, body, limit) {
      const answer = await ask(params, proof, call, body, limit)
      return answer.ok ? readMade(answer.value) : answer
    },
    revoke: async (params, proof, handle) => done(await ask(params, proof, 'revoke', { handle })),
    async inspect(params, proof, handle) {
      const answer = await ask(params, proof, 'inspect', { handle })
      if (!answer.ok) return answer
      const state = answer.value['state']
      return typeof state === 'string' && states.includes(state) ? ok(state as State) : fail('it says no state that the contract knows')
    },
    forget: async (params, proof, handle, effectBy) =>
      done(await ask(params, proof, 'forget', { handle, notBefore: new Date(effectBy).toISOString() })),
    async list(params, proof, prefix) {
      const answer = await ask(params, proof, 'list', { prefix })
      if (!answer.ok) return answer
      const handles = answer.value['handles']
      return Array.isArray(handles) && handles.every((handle) => typeof handle === 'string') ? ok(handles) : fail('it lists no handles')
    },
  }
}

function readMade(answer: Fields): Result<Made, string> {
  const { fields, expiresAt } = answer
  const time = typeof expiresAt === 'string' ? parseTime(expiresAt) : undefined
  if (time === undefined) return fail('its answer has no time in `expiresAt`')
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return fail('its answer has no `fields`')
  const entries = Object.entries(fields as Fields)
  if (entries.length === 0 || entries.length > mostFields) return fail(`its answer has no fields, or more than ${mostFields}`)
  if (entries.some(([name]) => !fieldName.test(name))) return fail('its answer has a field whose name cannot be a key of a Secret')
  if (entries.some(([, value]) => typeof value !== 'string' || value === ''))
    return fail('its answer has a field that is no text, or empty')
  const size = entries.reduce((sum, [, value]) => sum + String(value).length, 0)
  if (size > mostCharacters) return fail(`its answer has fields of more than ${mostCharacters} characters`)
  return ok({ fields: Object.fromEntries(entries.map(([name, value]) => [name, new Material(String(value))])), expiresAt: time })
}
