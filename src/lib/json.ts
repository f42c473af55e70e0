// JSON that somebody else has written: nothing about it is believed but that it is an object.

/** A JSON object, of whose members nothing is known. */
export type Json = Readonly<Record<string, unknown>>

export const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

/** What is there, where that is an object, else `{}`. */
export const inner = (value: unknown): Json => (isJson(value) ? value : {})

/** The object in a body; `{}` of an empty one, `undefined` of anything else. */
export function parseJson(body: string): Json | undefined {
  if (body === '') return {}
  try {
    const value: unknown = JSON.parse(body)
    return isJson(value) ? value : undefined
  } catch {
    return undefined
  }
}
