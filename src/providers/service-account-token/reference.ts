// What a row of the ledger says of a token's anchor: by which it is ended. Nobody can do anything with it who may not delete Secrets.

import { fail, ok, type Result } from '../../lib/result.ts'
import type { Anchor } from '../../ports/anchored.ts'

/** One anchor a handle, and a handle is used once: so its name is never that of another. No task's own Secret has a dot in its name. */
export const anchorName = (handle: string): string => `taskbound-${handle}.anchor`

export const writeReference = ({ namespace, name, uid }: Anchor): string => JSON.stringify({ namespace, name, uid })

/** A failure is a sentence: whoever wrote that, nothing may be taken for dead. */
export function readReference(handle: string, text: string): Result<Anchor, string> {
  const no = fail('its row in the ledger holds a reference that is none of its anchor')
  try {
    const { namespace, name, uid } = JSON.parse(text) as Readonly<Record<string, unknown>>
    if (typeof namespace !== 'string' || typeof uid !== 'string' || namespace === '' || uid === '') return no
    return name === anchorName(handle) ? ok({ namespace, name, uid }) : no
  } catch {
    return no
  }
}
