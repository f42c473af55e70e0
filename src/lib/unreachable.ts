// Closes every switch over a tagged union: a new tag that nobody handles is a compile error.

/** Throws, because the type system says this line cannot be reached. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
