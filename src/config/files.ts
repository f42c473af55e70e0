// Reads a file that a setting names. Whoever asked decides what it means.

import { readFileSync } from 'node:fs'
import { Material } from '../lib/material.ts'
import { fail, ok, type Result } from '../lib/result.ts'

/** A failure is a sentence. */
export function readSecretFile(path: string): Result<Material, string> {
  try {
    return ok(new Material(readFileSync(path)))
  } catch (error) {
    return fail(`the file \`${path}\` cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`)
  }
}
