/** Works on each, some at a time, and answers in their order. */
export async function inTurn<T, R>(all: readonly T[], work: (one: T) => Promise<R>, width = 4): Promise<readonly R[]> {
  const answers: R[] = []
  const entries = all.entries()
  const worker = async (): Promise<void> => {
    for (const [i, one] of entries) answers[i] = await work(one)
  }
  await Promise.all(Array.from({ length: width }, worker))
  return answers
}
