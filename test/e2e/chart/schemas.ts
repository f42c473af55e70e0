// Turns the OpenAPI of a running API server into the files that kubeconform reads, one a kind. Nothing is added but that a field which
// the server does not know is an error.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

interface Definition {
  readonly $ref?: string
  readonly type?: string
  readonly format?: string
  readonly properties?: Readonly<Record<string, Definition>>
  readonly additionalProperties?: Definition | boolean
  readonly items?: Definition
  readonly required?: readonly string[]
  readonly enum?: readonly unknown[]
  readonly 'x-kubernetes-group-version-kind'?: readonly { readonly group: string; readonly version: string; readonly kind: string }[]
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
  readonly 'x-kubernetes-int-or-string'?: boolean
}

export interface OpenApi {
  readonly definitions: Readonly<Record<string, Definition>>
}

const shared = 'definitions.json'
/** Where kubeconform finds a kind, relative to the folder. */
export const location = '{{.ResourceKind}}{{.KindSuffix}}.json'

function strict(definition: Definition): object {
  const { $ref, type, format, properties, additionalProperties, items, required } = definition
  if ($ref !== undefined) return { $ref: $ref.replace('#/', `${shared}#/`) }
  if (format === 'int-or-string' || definition['x-kubernetes-int-or-string'] === true) return { type: ['integer', 'string'] }
  const open = definition['x-kubernetes-preserve-unknown-fields'] === true
  return {
    ...(type === undefined ? {} : { type }),
    ...(required === undefined ? {} : { required }),
    ...(definition.enum === undefined ? {} : { enum: definition.enum }),
    ...(items === undefined ? {} : { items: strict(items) }),
    ...(properties === undefined
      ? {}
      : { properties: Object.fromEntries(Object.entries(properties).map(([name, member]) => [name, strict(member)])) }),
    ...(typeof additionalProperties === 'object'
      ? { additionalProperties: strict(additionalProperties) }
      : properties === undefined || open
        ? {}
        : { additionalProperties: false }),
  }
}

/** Writes the schemas of all kinds into a folder. */
export async function writeSchemas({ definitions }: OpenApi, folder: string): Promise<void> {
  const quantity = 'io.k8s.apimachinery.pkg.api.resource.Quantity'
  const all = Object.fromEntries(Object.entries(definitions).map(([name, definition]) => [name, strict(definition)]))
  all[quantity] = { type: ['string', 'number'] }
  await writeFile(join(folder, shared), JSON.stringify({ definitions: all }))
  for (const [name, definition] of Object.entries(definitions)) {
    const kinds = definition['x-kubernetes-group-version-kind'] ?? []
    const [one] = kinds
    if (one === undefined || kinds.length > 1) continue // options of requests belong to every group
    const group = one.group === '' ? '' : `-${one.group.split('.')[0]}`
    const file = `${one.kind.toLowerCase()}${group}-${one.version}.json`
    await writeFile(join(folder, file), JSON.stringify({ $ref: `${shared}#/definitions/${name}` }))
  }
}
