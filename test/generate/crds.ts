// Reads crds/*.yaml, the source of truth for the API, in an order that does not depend on the file system.

import { readdir, readFile } from 'node:fs/promises'
import { parse } from 'yaml'

/** A CEL rule as a structural schema carries it. */
export interface Rule {
  readonly rule: string
  readonly message?: string
  readonly fieldPath?: string
  readonly reason?: string
}

/** The part of a structural schema that our CRDs use. */
export interface Schema {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'boolean'
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly enum?: readonly string[]
  readonly default?: unknown
  readonly format?: string
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly maxProperties?: number
  readonly 'x-kubernetes-list-type'?: 'map' | 'set' | 'atomic'
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  readonly 'x-kubernetes-validations'?: readonly Rule[]
}

export interface Crd {
  /** relative to the root of the repository */
  readonly file: string
  readonly text: string
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly namespaced: boolean
  readonly hasStatus: boolean
  readonly schema: Schema
}

interface CrdText {
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly group: string
    readonly scope: 'Namespaced' | 'Cluster'
    readonly names: {
      readonly kind: string
      readonly plural: string
      readonly shortNames?: readonly string[]
      readonly categories?: readonly string[]
    }
    readonly versions: readonly [
      {
        readonly name: string
        readonly subresources?: { readonly status?: object }
        readonly schema: { readonly openAPIV3Schema: Schema }
      },
    ]
  }
}

/** @param root the repository, with a slash at its end */
export async function readCrds(root: string): Promise<readonly Crd[]> {
  const names = (await readdir(`${root}crds`)).filter((name) => name.endsWith('.yaml')).sort()
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(`${root}crds/${name}`, 'utf8')
      const { spec } = parse(text) as CrdText
      const [version] = spec.versions
      return {
        file: `crds/${name}`,
        text,
        group: spec.group,
        version: version.name,
        kind: spec.names.kind,
        plural: spec.names.plural,
        shortNames: spec.names.shortNames ?? [],
        categories: spec.names.categories ?? [],
        namespaced: spec.scope === 'Namespaced',
        hasStatus: version.subresources?.status !== undefined,
        schema: version.schema.openAPIV3Schema,
      }
    }),
  )
}

/** Every schema within one, itself included, with its path as `kubectl explain` would write it (`[]` for items, `{}` for values). */
export function walk(schema: Schema, path = ''): readonly { readonly path: string; readonly schema: Schema }[] {
  const inner = Object.entries(schema.properties ?? {}).flatMap(([name, member]) => walk(member, `${path}.${name}`))
  const items = schema.items === undefined ? [] : walk(schema.items, `${path}[]`)
  const values = schema.additionalProperties === undefined ? [] : walk(schema.additionalProperties, `${path}{}`)
  return [{ path, schema }, ...inner, ...items, ...values]
}
