/** Randomness, given from outside so that tests can repeat it. */
export interface Entropy {
  /** Cryptographically strong bytes. */
  bytes(count: number): Uint8Array
  /** A random (version 4) UUID. */
  uuid(): string
  /** A number in [0, 1) for jitter; not for secrets. */
  unit(): number
}
