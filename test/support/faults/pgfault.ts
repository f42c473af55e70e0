// Loaded before the operator (`--import`): at one chosen query of its own to PostgreSQL the process kills or stops itself, or loses the
// answer. PGFAULT is JSON: {"match": "CREATE ROLE", "nth": 1, "when": "before" | "after", "what": "SIGKILL" | "SIGSTOP" | "drop"}.
// With "armed": false it strikes only after SIGUSR2: at every start what is left of the dead is looked at with the same queries. The operator has
// no part in it: only the client library is wrapped.

import pg from 'pg'

interface Fault {
  /** a regular expression over the text of the query */
  readonly match: string
  readonly nth: number
  readonly when: 'before' | 'after'
  readonly what: 'SIGKILL' | 'SIGSTOP' | 'drop'
  readonly armed?: boolean
}

type Query = (this: pg.Client, ...args: unknown[]) => Promise<unknown>

const fault = JSON.parse(process.env['PGFAULT'] ?? 'null') as Fault | null
let armed = fault?.armed !== false
process.on('SIGUSR2', () => {
  armed = true
})
if (fault !== null) {
  const pattern = new RegExp(fault.match)
  const prototype = pg.Client.prototype as unknown as { query: Query }
  const query = prototype.query
  let seen = 0
  const strike = (): void => {
    process.stderr.write(`fault ${fault.what} ${fault.when} ${fault.match}\n`)
    if (fault.what !== 'drop') process.kill(process.pid, fault.what)
  }
  prototype.query = function (...args) {
    const first = args[0]
    const text = typeof first === 'string' ? first : String((first as { text?: unknown } | undefined)?.text ?? '')
    if (!armed || !pattern.test(text)) return query.apply(this, args)
    seen += 1
    if (seen !== fault.nth) return query.apply(this, args)
    if (fault.when === 'before') strike()
    const asked = query.apply(this, args)
    if (fault.when === 'before') return asked
    // the server has acted, and nobody has read the answer yet
    return asked.then(() => {
      strike()
      throw Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' })
    })
  }
}
