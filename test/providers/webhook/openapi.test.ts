// The contract as it is written down, the calls that are made, and the answers of the reference server say the same.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { type Asked, fakeWorld, referenceWorld } from './world.ts'

interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly format?: string
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema
  readonly propertyNames?: Schema
  readonly items?: Schema
  readonly minItems?: number
}
const document = parse(readFileSync(resolve(import.meta.dirname, '../../../docs/reference/webhook.openapi.yaml'), 'utf8'))
const resolved = <T extends { $ref?: string }>(node: T): T =>
  node.$ref === undefined
    ? node
    : (node.$ref
        .slice(2)
        .split('/')
        .reduce((at, key) => at[key], document) as T)

/** As much of JSON Schema as the document uses. A property that it does not name is wrong. */
function misfits(value: unknown, given: Schema, at = ''): readonly string[] {
  const schema = resolved(given)
  if (schema.const !== undefined) return value === schema.const ? [] : [`${at} is not ${schema.const}`]
  if (schema.enum !== undefined) return schema.enum.includes(value) ? [] : [`${at} is none of ${schema.enum}`]
  if (schema.type === 'integer') return Number.isInteger(value) ? [] : [`${at} is no integer`]
  if (schema.type === 'string') {
    if (typeof value !== 'string') return [`${at} is no text`]
    if (schema.format === 'date-time' && Number.isNaN(Date.parse(value))) return [`${at} is no time`]
    return new RegExp(schema.pattern ?? '').test(value) ? [] : [`${at} does not match`]
  }
  if (schema.type === 'array') {
    if (!Array.isArray(value) || value.length < (schema.minItems ?? 0)) return [`${at} is no list, or too short`]
    return value.flatMap((item, i) => misfits(item, schema.items ?? {}, `${at}[${i}]`))
  }
  if (typeof value !== 'object' || value === null) return [`${at} is no object`]
  const entries = Object.entries(value)
  return [
    ...(schema.required ?? []).filter((name) => !(name in value)).map((name) => `${at}.${name} is missing`),
    ...entries.flatMap(([name, member]) => {
      const known = schema.properties?.[name] ?? schema.additionalProperties
      return known === undefined ? [`${at}.${name} is not in the contract`] : misfits(member, known, `${at}.${name}`)
    }),
    ...entries.flatMap(([name]) =>
      schema.propertyNames === undefined ? [] : misfits(name, { type: 'string', ...schema.propertyNames }, name),
    ),
  ]
}

const operation = (call: string) => document.paths[call.replace(/^POST /, '')]?.post
const worlds: { close(): Promise<void> }[] = []
afterAll(async () => {
  await Promise.all(worlds.map((world) => world.close()))
})

/** All seven calls, at the reference server by way of one that sees them. */
async function talk(): Promise<readonly (Asked & { readonly status: number; readonly answer: unknown })[]> {
  const reference = await referenceWorld()
  const seen: Asked[] = []
  const spy = await fakeWorld((asked) => {
    seen.push(asked)
    if (asked.call.endsWith('/ready')) return { body: { contract: 'v1' } }
    if (asked.call.endsWith('/inspect')) return { body: { state: 'Revoked' } }
    if (asked.call.endsWith('/list')) return { body: { handles: [] } }
    return { body: { fields: { key: 'k' }, expiresAt: asked.body['expiresAt'] } }
  })
  worlds.push(reference, spy)
  const { provider, params, prefix } = spy
  const [order, lease] = [spy.order(), spy.lease()]
  await provider.ready(params)
  await provider.issue(params, order, { lease })
  await provider.renew(params, order, { lease })
  await provider.outside?.list(params, prefix)
  await provider.revoke(params, { lease })
  await provider.outside?.clean(params, { ...lease, effectBy: order.issuedAt })
  const { createHttp } = await import('../../../src/outbound/http.ts')
  const http = createHttp()
  const talked = []
  for (const asked of seen) {
    const { caBundle, allowedAddresses, url } = reference.params
    const answer = await http.call({
      method: 'POST',
      url: url + asked.call.replace('POST ', ''),
      caBundle,
      allowedAddresses,
      headers: { authorization: asked.authorization },
      body: JSON.stringify(asked.body),
      limit: 2_000,
    })
    if (!answer.ok) throw new Error(answer.failure.sentence)
    talked.push({ ...asked, status: answer.value.status, answer: JSON.parse(answer.value.body) as unknown })
  }
  http.close()
  return talked
}

test('every call that is made is in the contract, and all of the contract is called', async () => {
  const talked = await talk()
  expect([...new Set(talked.map(({ call }) => call.replace('POST ', '')))].sort()).toEqual(Object.keys(document.paths).sort())
  for (const { call, body, status, answer } of talked) {
    expect([call, misfits(body, operation(call).requestBody.content['application/json'].schema)]).toEqual([call, []])
    expect([call, status]).toEqual([call, 200])
    const { schema } = resolved(operation(call).responses['200']).content['application/json']
    expect([call, misfits(answer, schema)]).toEqual([call, []])
  }
})

test('the check of the shapes finds what is wrong', () => {
  const order = document.components.schemas.Order as Schema
  expect(misfits({ handle: 'x', scopes: [] }, order)).toEqual(
    expect.arrayContaining(['.effectBy is missing', '.handle does not match', '.scopes is no list, or too short']),
  )
  expect(misfits({ prefix: 'a', more: 1 }, operation('/v1/list').requestBody.content['application/json'].schema)).toEqual([
    '.more is not in the contract',
  ])
})
