// Names and texts inside SQL that takes no parameters. What comes from outside is restricted before, and quoted all the same.

/** An identifier. PostgreSQL cuts at 63 bytes without an error, so what is longer is a bug. */
export function identifier(name: string): string {
  if (name.length === 0 || Buffer.byteLength(name) > 63 || name.includes('\0')) throw new Error('not a PostgreSQL identifier')
  return `"${name.replaceAll('"', '""')}"`
}

/** A string, whatever `standard_conforming_strings` is. */
export function literal(text: string): string {
  if (text.includes('\0')) throw new Error('not a PostgreSQL string')
  const quoted = text.replaceAll("'", "''")
  return text.includes('\\') ? ` E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}

export const textArray = (texts: readonly string[]): string => `array[${texts.map(literal).join(', ')}]::text[]`
