// Measures how deeply a Cedar text nests, from its tokens alone, before Cedar sees it: its parser and evaluator are recursive, and
// running out of stack inside WebAssembly leaves the whole engine unusable. Must never answer less than what Cedar will nest.

/**
 * Deepest nesting that is handed to Cedar, in the weights below. Cedar 4.13 runs out at about 368 of them, measured for each kind of
 * nesting with the smallest text that does it; this is half.
 */
export const maxDepth = 180
const bracketWeight = 3

/** Words that make an expression one deeper, as an operator does. */
const words = new Set(['in', 'like', 'is', 'has', 'if', 'then', 'else', 'when', 'unless'])

interface Level {
  /** the deepest of the parts between commas that are finished */
  widest: number
  operators: number
  /** the deepest operand of the present part */
  deepest: number
  /** the operand that is being read: its selectors, calls and brackets */
  chain: number
}

const token = /\/\/[^\n\r]*|"(?:[^"\\]|\\[\s\S])*"?|[A-Za-z_][A-Za-z0-9_]*|::|&&|\|\||[=!<>]=|\s+|[\s\S]/gu

/** The depth of the deepest policy of a text, whether or not it is Cedar. */
export function depthOf(text: string): number {
  const levels: Level[] = [{ widest: 0, operators: 0, deepest: 0, chain: 0 }]
  let most = 0
  for (const [found] of text.matchAll(token)) {
    const level = levels[levels.length - 1] as Level
    if ('([{'.includes(found)) {
      levels.push({ widest: 0, operators: 0, deepest: 0, chain: 0 })
    } else if (')]}'.includes(found)) {
      const inner = depthOfLevel(level)
      if (levels.length > 1) levels.pop()
      const outer = levels[levels.length - 1] as Level
      outer.chain += bracketWeight + inner
      most = Math.max(most, inner)
    } else if (found === ',') {
      level.widest = depthOfLevel(level)
      Object.assign(level, { operators: 0, deepest: 0, chain: 0 })
    } else if (found === ';' && levels.length === 1) {
      most = Math.max(most, depthOfLevel(level))
      levels[0] = { widest: 0, operators: 0, deepest: 0, chain: 0 }
    } else if (found === '.') {
      level.chain += 1
    } else if (words.has(found) || /^(?:&&|\|\||[=!<>]=?|[-+*/%@])$/.test(found)) {
      level.operators += 1
      level.deepest = Math.max(level.deepest, level.chain)
      level.chain = 0
    }
  }
  // a bracket that is never closed nests all the same
  let open = 0
  for (const level of levels.reverse()) {
    level.chain += open
    open = depthOfLevel(level) + bracketWeight
  }
  return Math.max(most, open - bracketWeight)
}

function depthOfLevel({ widest, operators, deepest, chain }: Level): number {
  return Math.max(widest, operators + Math.max(deepest, chain))
}
