// Reads all objects of a kind consistently: in pages, or as the initial events of a watch. Never at resourceVersion 0, which may be old.
// It hands on each object as it comes and keeps none.

import { type Duration, seconds } from '../lib/instant.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { Breathe } from './breather.ts'
import type { KubeClient } from './client.ts'
import { type ApiError, isGone, transportError } from './errors.ts'
import { readEvent } from './events.ts'
import { isKubeObject, type KubeObject } from './objects.ts'
import { metadataListOnly, metadataOnly } from './patch.ts'

/** One collection: a kind in one namespace or in all. */
export interface Source {
  readonly path: string
  readonly labelSelector: string | undefined
  readonly fieldSelector?: string | undefined
  readonly metadataOnly: boolean
}

export interface ListSink {
  add(object: KubeObject): void
  drop(object: KubeObject): void
  /** An entry that is no Kubernetes object at all. */
  garbage(): void
  /** Forgets what was added: the list begins again. */
  restart(): void
}

export interface ListDeps {
  readonly client: Pick<KubeClient, 'request' | 'stream'>
  readonly source: Source
  readonly signal: AbortSignal
  readonly breathe: Breathe
}

interface ListBody {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string }
  readonly items?: readonly unknown[]
}

const pageLimit = seconds(60)

/** Answers the resourceVersion at which the list was made. A continue token that expired begins it again, at last without pages. */
export async function listInPages(deps: ListDeps, pageSize: number, sink: ListSink): Promise<Result<string, ApiError>> {
  for (let attempt = 1; ; attempt++) {
    const listed = await onePass(deps, attempt < 3 ? pageSize : undefined, sink)
    if (listed.ok || !isGone(listed.failure) || attempt === 3) return listed
    sink.restart()
  }
}

async function onePass(deps: ListDeps, pageSize: number | undefined, sink: ListSink): Promise<Result<string, ApiError>> {
  const { client, source, signal, breathe } = deps
  let token: string | undefined
  let resourceVersion: string | undefined
  do {
    const page = await client.request<ListBody>({
      method: 'GET',
      path: source.path,
      query: { labelSelector: source.labelSelector, fieldSelector: source.fieldSelector, limit: pageSize, continue: token },
      ...(source.metadataOnly ? { accept: metadataListOnly } : {}),
      timeout: pageLimit,
      signal,
    })
    if (!page.ok) return page
    const { metadata, items } = page.value.body
    resourceVersion ??= metadata?.resourceVersion
    for (const item of items ?? []) {
      if (isKubeObject(item)) sink.add(item)
      else sink.garbage()
      await breathe()
    }
    token = metadata?.continue === '' ? undefined : metadata?.continue
  } while (token !== undefined)
  return versioned(resourceVersion)
}

/** The same as initial events of a watch (KEP-3157), closed at their end. A server without it answers 4xx. */
export async function listAsStream(deps: ListDeps, idleTimeout: Duration, sink: ListSink): Promise<Result<string, ApiError>> {
  const { client, source, signal, breathe } = deps
  const opened = await client.stream({
    path: source.path,
    query: {
      watch: true,
      sendInitialEvents: true,
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: true,
      labelSelector: source.labelSelector,
      fieldSelector: source.fieldSelector,
      timeoutSeconds: 300,
    },
    ...(source.metadataOnly ? { accept: metadataOnly } : {}),
    idleTimeout,
    signal,
  })
  if (!opened.ok) return opened
  for await (const lines of opened.value.batches) {
    for (const line of lines) {
      const event = readEvent(line)
      if (event.type === 'set') sink.add(event.object)
      else if (event.type === 'deleted') sink.drop(event.object)
      else if (event.type === 'error') return fail(event.error)
      else if (event.type === 'garbage') return fail(transportError('connection', 'a line of the list cannot be read', true))
      else if (event.type === 'bookmark' && event.complete) return versioned(event.resourceVersion)
      await breathe()
    }
  }
  const end = opened.value.ended()
  return fail(transportError('connection', end?.message ?? 'the list broke off', true))
}

function versioned(resourceVersion: string | undefined): Result<string, ApiError> {
  return resourceVersion === undefined || resourceVersion === '' || resourceVersion === '0'
    ? fail(transportError('connection', 'the list carries no resourceVersion', true))
    : ok(resourceVersion)
}
