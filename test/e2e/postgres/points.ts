// Every point at which the operator waits for somebody while it issues, renews or ends a database role.

export type Step = 'issue' | 'renew' | 'end'

interface Fault {
  readonly when: 'before' | 'after'
  readonly what: 'SIGKILL' | 'SIGSTOP' | 'drop'
}

export interface Point {
  readonly step: Step
  readonly at: string
  /** environment of the preloads that strike there */
  arm(namespace: string, task: string, fault: Fault): Record<string, string>
}

type Match = (namespace: string, task: string) => string

const status: Match = (_namespace, task) => `^PATCH .*/agenttasks/${task}/status$`
const secret =
  (verb: string): Match =>
  (namespace, task) =>
    `^${verb} /api/v1/namespaces/${namespace}/secrets/taskbound-${task}$`
const posted: Match = (namespace) => `^POST /api/v1/namespaces/${namespace}/secrets$`
const row: Match = () => '^POST .*/credentialleases$'
const rowStatus: Match = () => '^PATCH .*/credentialleases/tb[a-z2-7]+/status$'

const request = (step: Step, at: string, match: Match, since?: Match): Point => ({
  step,
  at,
  arm: (namespace, task, fault) => ({
    FAULTPOINT: JSON.stringify({ match: match(namespace, task), since: since?.(namespace, task), nth: 1, ...fault }),
  }),
})
/** @param nth the query of that kind that is meant, counted in the life of the process */
const query = (step: Step, at: string, match: string, nth = 1): Point => ({
  step,
  at,
  arm: (_namespace, _task, fault) => ({ PGFAULT: JSON.stringify({ match, nth, armed: step !== 'end', ...fault }) }),
})

export const points: readonly Point[] = [
  request('issue', 'the status with the intent', status),
  request('issue', 'the row', row),
  query('issue', 'CREATE ROLE', 'create role "tb[a-z2-7]+" login'),
  request('issue', 'the Secret', posted),
  request('issue', 'the status that says Active', status, posted),
  request('issue', 'the row that says Issued', rowStatus),
  query('renew', 'ALTER ROLE ... VALID UNTIL', 'rolcanlogin\\) then'),
  request('renew', 'the Secret', secret('PUT')),
  request('renew', 'the status', status, secret('PUT')),
  request('renew', 'the row', rowStatus, secret('PUT')),
  request('end', 'the deletion of the Secret', secret('DELETE')),
  query('end', 'ALTER ROLE ... NOLOGIN', 'nologin password null'),
  query('end', 'the position in the log', 'pg_current_wal_flush_lsn'),
  query('end', 'the first look for sessions', 'pg_last_wal_replay_lsn'),
  query('end', 'the last look for sessions', 'pg_last_wal_replay_lsn', 2),
  request('end', 'the row that says Revoked', rowStatus, secret('DELETE')),
  request('end', 'the last status', status, secret('DELETE')),
]
