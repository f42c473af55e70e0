// Identifiers as branded strings, so that a name is never taken for a UID.

declare const uid: unique symbol
declare const taskKey: unique symbol

/** `metadata.uid` of some object. */
export type Uid = string & { readonly [uid]: true }
/** `<namespace>/<name>` of an AgentTask. */
export type TaskKey = string & { readonly [taskKey]: true }

export const asUid = (text: string): Uid => text as Uid
export const toTaskKey = (namespace: string, name: string): TaskKey => `${namespace}/${name}` as TaskKey

export function splitKey(key: TaskKey): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf('/')
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

/**
 * What a provider object is called wherever one word has to do: `<name>` of one of the cluster, `<namespace>/<name>` of one of a namespace.
 * No name has a slash, so neither is ever taken for the other.
 */
export const providerKey = ({ kind, name }: { readonly kind: string; readonly name: string }, namespace: string): string =>
  kind === 'CredentialProvider' ? `${namespace}/${name}` : name

/** Name of the Secret through which a task's pods see its credentials. */
export const secretName = (task: string): string => `taskbound-${task}`
