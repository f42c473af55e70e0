// The four writes that the operator makes, each with the condition that keeps a stale writer from doing harm.
// It decides nothing: a conflict or a lost answer goes back to the caller as a value. It repeats only what a broken server has answered to a
// compare-and-set, once and at once: where that was done all the same, the second is a conflict.

import type { Uid } from '../core/names.ts'
import type { Duration } from '../lib/instant.ts'
import { ok, type Result } from '../lib/result.ts'
import type { KubeClient, RequestOptions } from './client.ts'
import type { ApiError } from './errors.ts'
import type { Priority } from './lanes.ts'
import { type KubeObject, pathOf, type Resource } from './objects.ts'

/** Asks the API server to answer a write with the object's metadata alone: a Secret's data is not sent back. */
export const metadataOnly = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1'
/** The same for a list. */
export const metadataListOnly = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'

export interface WriteOptions {
  readonly priority?: Priority
  readonly timeout?: Duration
  readonly signal?: AbortSignal
  /** what the answer holds; default is the whole object */
  readonly echo?: 'metadata'
}

/** Where one object is. `namespace` is left out for a cluster-scoped kind. */
export interface Place {
  readonly resource: Resource
  readonly namespace?: string
  readonly name: string
}

export interface Writes {
  /**
   * Merge patch (RFC 7386) of the status subresource, by compare-and-set: a 409 means that the object changed, so gather again.
   * The resourceVersion is what protects an object re-created under the same name; a UID in a status patch is ignored.
   */
  patchStatus(
    place: Place,
    resourceVersion: string,
    status: Readonly<Record<string, unknown>>,
    options?: WriteOptions,
  ): Promise<Result<KubeObject, ApiError>>
  /** Creates. `AlreadyExists` is the collision check, so no read goes before it. */
  create(place: Place, object: unknown, options?: WriteOptions): Promise<Result<KubeObject, ApiError>>
  /** Replaces without UID and resourceVersion: an admission policy decides whether it may. */
  replace(place: Place, object: unknown, options?: WriteOptions): Promise<Result<KubeObject, ApiError>>
  /** Deletes exactly that object, in the background. An object of another UID or version answers 409 and stays. */
  remove(
    place: Place,
    preconditions: { readonly uid: Uid | string; readonly resourceVersion?: string },
    options?: WriteOptions,
  ): Promise<Result<undefined, ApiError>>
}

const isBroken = (error: ApiError): boolean => error.kind === 'http' && error.status >= 500

export function createWrites(client: Pick<KubeClient, 'request'>): Writes {
  async function send(request: RequestOptions, options: WriteOptions | undefined): Promise<Result<KubeObject, ApiError>> {
    const answer = await client.request<KubeObject>({
      ...request,
      ...(options?.priority === undefined ? {} : { priority: options.priority }),
      ...(options?.timeout === undefined ? {} : { timeout: options.timeout }),
      ...(options?.signal === undefined ? {} : { signal: options.signal }),
      ...(options?.echo === undefined ? {} : { accept: metadataOnly }),
    })
    return answer.ok ? ok(answer.value.body) : answer
  }

  return {
    async patchStatus(place, resourceVersion, status, options) {
      const path = pathOf(place.resource, { namespace: place.namespace, name: place.name, subresource: 'status' })
      const body = { metadata: { resourceVersion }, status }
      const patch = { method: 'PATCH', path, contentType: 'application/merge-patch+json', body } as const
      const first = await send(patch, options)
      return !first.ok && isBroken(first.failure) ? send(patch, options) : first
    },
    create(place, object, options) {
      return send({ method: 'POST', path: pathOf(place.resource, { namespace: place.namespace }), body: object }, options)
    },
    replace(place, object, options) {
      return send({ method: 'PUT', path: pathOf(place.resource, { namespace: place.namespace, name: place.name }), body: object }, options)
    },
    async remove(place, preconditions, options) {
      const answer = await send(
        {
          method: 'DELETE',
          path: pathOf(place.resource, { namespace: place.namespace, name: place.name }),
          // the answer is a Status, or, where a finalizer holds the object, the object itself: never with a Secret's data
          accept: metadataOnly,
          body: {
            apiVersion: 'v1',
            kind: 'DeleteOptions',
            propagationPolicy: 'Background',
            preconditions: {
              uid: preconditions.uid,
              ...(preconditions.resourceVersion === undefined ? {} : { resourceVersion: preconditions.resourceVersion }),
            },
          },
        },
        options,
      )
      return answer.ok ? ok(undefined) : answer
    },
  }
}
