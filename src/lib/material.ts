// Holds secret bytes so that no accident prints them: string conversion, JSON, inspection and spreading all show a placeholder.

const placeholder = '[material]'
const inspect = Symbol.for('nodejs.util.inspect.custom')

/** The bytes of one credential. Only who writes them to their destination calls `reveal`. */
export class Material {
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array | string) {
    this.#bytes = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes
  }

  reveal(): Uint8Array {
    return this.#bytes
  }

  toString(): string {
    return placeholder
  }

  toJSON(): string {
    return placeholder
  }

  [inspect](): string {
    return placeholder
  }
}
