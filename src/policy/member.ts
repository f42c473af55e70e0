// One policy in force, as sets and slices hold it.

import type { DecidingPolicy } from '../ports/authorizer.ts'
import type { Rule } from './compile.ts'

/** A policy as the engine holds it. */
export interface Member {
  /** as in `DecidingPolicy` */
  readonly id: string
  /** differs whenever the text differs, and is never used again */
  readonly serial: number
  readonly rule: Rule
  readonly source: Pick<DecidingPolicy, 'scope' | 'source'>
}
