// The few objects of the operator's own namespace: signing keys, the records of status lists, and since when admission vouches for
// requesters. Each is created by POST and changed by compare-and-set only.

import type { KeyStore } from '../issuer/key-store.ts'
import { type ListRecord, type ListStore, parseRecords } from '../issuer/statuslist/records.ts'
import type { KubeClient } from '../kube/client.ts'
import { type ApiError, describeError, isAlreadyExists, isConflict, isNotFound } from '../kube/errors.ts'
import { type KubeObject, pathOf, type Resource } from '../kube/objects.ts'
import { Material } from '../lib/material.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { record, text } from './objects/fields.ts'

const secrets: Resource = { group: '', version: 'v1', plural: 'secrets' }
export const configMaps: Resource = { group: '', version: 'v1', plural: 'configmaps' }

export const names = {
  keys: 'taskbound-issuer-keys',
  loginKeys: 'taskbound-login-keys',
  clientKeys: 'taskbound-client-keys',
  ca: 'taskbound-issuer-ca',
  caPublished: 'taskbound-issuer-ca-bundle',
  lists: 'taskbound-status-lists',
  vouched: 'taskbound-requester-check',
  passwordKey: 'taskbound-password-key',
  sealKeys: 'taskbound-seal-keys',
} as const

const managed = { 'app.kubernetes.io/managed-by': 'taskbound', 'app.kubernetes.io/part-of': 'taskbound' }

/** One document under one key of a Secret. */
export function createKeyStore(client: Pick<KubeClient, 'request'>, namespace: string, name: string, key = 'document'): KeyStore {
  return {
    async read() {
      const found = await client.request<KubeObject>({ method: 'GET', path: pathOf(secrets, { namespace, name }) })
      if (!found.ok)
        return isNotFound(found.failure) ? ok(undefined) : fail(`Secret \`${name}\` cannot be read: ${describeError(found.failure)}`)
      const value = text(record(found.value.body['data'])[key])
      return value === undefined ? fail(`Secret \`${name}\` has no key \`${key}\``) : ok(new Material(Buffer.from(value, 'base64')))
    },
    async create(document) {
      const body = {
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'Opaque',
        metadata: { name, namespace, labels: managed },
        data: { [key]: Buffer.from(document.reveal()).toString('base64') },
      }
      const created = await client.request({ method: 'POST', path: pathOf(secrets, { namespace }), body })
      if (created.ok) return ok('created')
      return isAlreadyExists(created.failure) ? ok('exists') : fail(`Secret \`${name}\` cannot be made: ${describeError(created.failure)}`)
    },
  }
}

/** A login that an administrator put into the operator's namespace, with the server that it is for. A failure is a sentence. */
export function createLoginReader(client: Pick<KubeClient, 'request'>, namespace: string) {
  return async (
    name: string,
  ): Promise<Result<{ readonly username: string; readonly password: Material; readonly origin: string | undefined }, string>> => {
    const found = await client.request<KubeObject>({ method: 'GET', path: pathOf(secrets, { namespace, name }) })
    if (!found.ok)
      return fail(
        isNotFound(found.failure)
          ? `Secret \`${name}\` does not exist in namespace \`${namespace}\`: make it with the keys \`username\` and \`password\``
          : `Secret \`${name}\` cannot be read: ${describeError(found.failure)}`,
      )
    const data = record(found.value.body['data'])
    const [username, password] = [text(data['username']), text(data['password'])]
    if (username === undefined || password === undefined) return fail(`Secret \`${name}\` must have the keys \`username\` and \`password\``)
    return ok({
      username: Buffer.from(username, 'base64').toString(),
      password: new Material(Buffer.from(password, 'base64')),
      origin: found.value.body.metadata.annotations?.['taskbound.dev/origin'],
    })
  }
}

/**
 * All of a Secret that an administrator put into the operator's namespace, and its origin. A failure is a sentence.
 * @returns a function of the Secret's name, and of what it is to have, for the sentence
 */
export function createValueReader(client: Pick<KubeClient, 'request'>, namespace: string) {
  return async (
    name: string,
    having = '',
  ): Promise<Result<{ readonly data: Readonly<Record<string, Material>>; readonly origin: string | undefined }, string>> => {
    const found = await client.request<KubeObject>({ method: 'GET', path: pathOf(secrets, { namespace, name }) })
    if (!found.ok)
      return fail(
        isNotFound(found.failure)
          ? `Secret \`${name}\` does not exist in namespace \`${namespace}\`: make it${having}`
          : `Secret \`${name}\` cannot be read: ${describeError(found.failure)}`,
      )
    const entries = Object.entries(record(found.value.body['data'])).filter(
      (entry): entry is [string, string] => text(entry[1]) !== undefined,
    )
    return ok({
      data: Object.fromEntries(entries.map(([key, value]) => [key, new Material(Buffer.from(value, 'base64'))])),
      origin: found.value.body.metadata.annotations?.['taskbound.dev/origin'],
    })
  }
}

/** One value of a Secret that an administrator put into the operator's namespace, with the server that it is for. A failure is a sentence. */
export function createSecretReader(client: Pick<KubeClient, 'request'>, namespace: string) {
  const read = createValueReader(client, namespace)
  return async (name: string, key: string): Promise<Result<{ readonly value: Material; readonly origin: string | undefined }, string>> => {
    const found = await read(name, ` with the key \`${key}\``)
    if (!found.ok) return found
    const value = Object.hasOwn(found.value.data, key) ? found.value.data[key] : undefined
    return value === undefined ? fail(`Secret \`${name}\` has no key \`${key}\``) : ok({ value, origin: found.value.origin })
  }
}

/** One JSON document in a ConfigMap. */
export interface Document {
  read(): Promise<Result<{ readonly value: unknown; readonly version: string | undefined }, string>>
  write(value: unknown, version: string | undefined): Promise<Result<undefined, 'conflict' | { readonly message: string }>>
  /** Removes it, if it is still of that version. */
  remove(version: string): Promise<Result<undefined, 'conflict' | { readonly message: string }>>
}

export function createDocument(client: Pick<KubeClient, 'request'>, namespace: string, name: string): Document {
  const refusal = (error: ApiError): 'conflict' | { readonly message: string } =>
    isConflict(error) || isAlreadyExists(error) || isNotFound(error)
      ? 'conflict'
      : { message: `ConfigMap \`${name}\` cannot be written: ${describeError(error)}` }
  return {
    async read() {
      const found = await client.request<KubeObject>({ method: 'GET', path: pathOf(configMaps, { namespace, name }) })
      if (!found.ok) {
        if (isNotFound(found.failure)) return ok({ value: undefined, version: undefined })
        return fail(`ConfigMap \`${name}\` cannot be read: ${describeError(found.failure)}`)
      }
      const written = text(record(found.value.body['data'])['document']) ?? 'null'
      try {
        return ok({ value: JSON.parse(written) as unknown, version: found.value.body.metadata.resourceVersion })
      } catch {
        return fail(`ConfigMap \`${name}\` holds no JSON; delete it to start anew`)
      }
    },
    async write(value, version) {
      const body = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace, labels: managed, ...(version === undefined ? {} : { resourceVersion: version }) },
        data: { document: JSON.stringify(value) },
      }
      const written =
        version === undefined
          ? await client.request({ method: 'POST', path: pathOf(configMaps, { namespace }), body })
          : await client.request({ method: 'PUT', path: pathOf(configMaps, { namespace, name }), body })
      return written.ok ? ok(undefined) : fail(refusal(written.failure))
    },
    async remove(version) {
      const body = { preconditions: { resourceVersion: version } }
      const removed = await client.request({ method: 'DELETE', path: pathOf(configMaps, { namespace, name }), body })
      return removed.ok || isNotFound(removed.failure) ? ok(undefined) : fail(refusal(removed.failure))
    },
  }
}

export function createListStore(document: Document): ListStore {
  return {
    async read() {
      const found = await document.read()
      return found.ok ? ok({ records: parseRecords(found.value.value), version: found.value.version }) : found
    },
    write: (records: readonly ListRecord[], version) => document.write(records, version),
  }
}

/** A ConfigMap that others read, made or brought up to date. */
export async function publish(
  client: Pick<KubeClient, 'request'>,
  namespace: string,
  name: string,
  data: Readonly<Record<string, string>>,
): Promise<Result<undefined, string>> {
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels: managed }, data }
  const created = await client.request({ method: 'POST', path: pathOf(configMaps, { namespace }), body })
  if (created.ok) return ok(undefined)
  if (!isAlreadyExists(created.failure)) return fail(`ConfigMap \`${name}\` cannot be made: ${describeError(created.failure)}`)
  const replaced = await client.request({ method: 'PUT', path: pathOf(configMaps, { namespace, name }), body })
  return replaced.ok ? ok(undefined) : fail(`ConfigMap \`${name}\` cannot be written: ${describeError(replaced.failure)}`)
}
