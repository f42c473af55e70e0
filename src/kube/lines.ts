// Cuts a byte stream into lines at 0x0A without decoding it: a character split between two chunks stays whole.

export interface LineSplitter {
  /** Complete lines, without their line feed; empty lines are left out. `undefined` when a line is longer than the limit. */
  push(chunk: Buffer): readonly Buffer[] | undefined
}

export function createLineSplitter(limit: number): LineSplitter {
  let pending: Buffer[] = []
  let pendingLength = 0
  return {
    push(chunk) {
      const lines: Buffer[] = []
      let start = 0
      for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
        const tail = chunk.subarray(start, end)
        const line = pendingLength === 0 ? tail : Buffer.concat([...pending, tail])
        pending = []
        pendingLength = 0
        start = end + 1
        if (line.length > 0) lines.push(line)
      }
      if (start < chunk.length) {
        pending.push(chunk.subarray(start))
        pendingLength += chunk.length - start
      }
      return pendingLength > limit ? undefined : lines
    },
  }
}
