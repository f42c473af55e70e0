// Reads one line of a watch. What cannot be read is a value of its own, so that nobody takes it for silence.

import { type HttpError, httpError } from './errors.ts'
import { isKubeObject, type KubeObject } from './objects.ts'

export type WatchEvent =
  | { readonly type: 'set' | 'deleted'; readonly object: KubeObject }
  /** `complete` marks the end of a streaming list */
  | { readonly type: 'bookmark'; readonly resourceVersion: string; readonly complete: boolean }
  | { readonly type: 'error'; readonly error: HttpError }
  | { readonly type: 'garbage' }

const garbage: WatchEvent = { type: 'garbage' }

export function readEvent(line: Buffer): WatchEvent {
  let event: { readonly type?: unknown; readonly object?: unknown } | null
  try {
    event = JSON.parse(line.toString('utf8'))
  } catch {
    return garbage
  }
  switch (event?.type) {
    case 'ADDED':
    case 'MODIFIED':
      return isKubeObject(event.object) ? { type: 'set', object: event.object } : garbage
    case 'DELETED':
      return isKubeObject(event.object) ? { type: 'deleted', object: event.object } : garbage
    case 'BOOKMARK':
      return readBookmark(event.object)
    case 'ERROR': {
      const code = (event.object as { code?: unknown } | undefined)?.code
      return { type: 'error', error: httpError(typeof code === 'number' ? code : 500, event.object) }
    }
    default:
      return garbage
  }
}

function readBookmark(object: unknown): WatchEvent {
  const metadata = (object as { metadata?: { resourceVersion?: unknown; annotations?: Record<string, string> } } | undefined)?.metadata
  if (typeof metadata?.resourceVersion !== 'string' || metadata.resourceVersion === '') return garbage
  return {
    type: 'bookmark',
    resourceVersion: metadata.resourceVersion,
    complete: metadata.annotations?.['k8s.io/initial-events-end'] === 'true',
  }
}
