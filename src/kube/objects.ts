// The parts of a Kubernetes object that every kind has, its key, its path, and the order of resourceVersions.

/** `metadata` as the API server writes it. */
export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid: string
  readonly resourceVersion: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly {
    readonly apiVersion: string
    readonly kind: string
    readonly name: string
    readonly uid: string
    readonly controller?: boolean
  }[]
}

/** An object as it came over the wire; only its metadata was looked at. */
export interface KubeObject {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata: ObjectMeta
  readonly [field: string]: unknown
}

/** What a kind is called in a path. The core group is the empty string. */
export interface Resource {
  readonly group: string
  readonly version: string
  readonly plural: string
}

/** `<namespace>/<name>`, or `<name>` for a cluster-scoped object. */
export function keyOf(metadata: { readonly namespace?: string; readonly name: string }): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`
}

/** The URL path of a collection, an object or its subresource. */
export function pathOf(
  resource: Resource,
  at: { readonly namespace?: string | undefined; readonly name?: string; readonly subresource?: string } = {},
): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`
  const namespace = at.namespace === undefined ? '' : `/namespaces/${encodeURIComponent(at.namespace)}`
  const name = at.name === undefined ? '' : `/${encodeURIComponent(at.name)}`
  const subresource = at.subresource === undefined ? '' : `/${at.subresource}`
  return `${root}${namespace}/${resource.plural}${name}${subresource}`
}

/** Whether `value` is an object with the metadata that a store needs. */
export function isKubeObject(value: unknown): value is KubeObject {
  if (typeof value !== 'object' || value === null) return false
  const metadata = (value as { metadata?: Partial<ObjectMeta> | null }).metadata
  return (
    typeof metadata === 'object' &&
    metadata !== null &&
    typeof metadata.name === 'string' &&
    typeof metadata.uid === 'string' &&
    typeof metadata.resourceVersion === 'string'
  )
}

/**
 * Negative, zero or positive as `a` is older than, equal to or newer than `b`. resourceVersions are decimal numbers of any length
 * (KEP-5504), compared without rounding. One that is no decimal number is older than any that is.
 */
export function compareVersions(a: string, b: string): number {
  const left = digits(a)
  const right = digits(b)
  if (left.length !== right.length) return left.length - right.length
  return left === right ? 0 : left < right ? -1 : 1
}

function digits(version: string): string {
  if (!/^\d+$/.test(version)) return ''
  return version.startsWith('0') ? version.replace(/^0+/, '') : version
}
