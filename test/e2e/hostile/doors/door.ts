// Somebody who takes only what is meant for him.

export interface Door {
  readonly name: string
  /** Has made what is meant for it, as its rightful holder has it. */
  own(): Promise<string>
  takes(word: string): Promise<boolean>
}

/** Whether it can be sent in a header. */
export const isHeader = (word: string): boolean => /^[\x21-\x7e]+$/.test(word)
