// Every reason that a condition, an event, an audit line or a metric of Taskbound can carry, with the sentence that explains it.
// docs/reference/reasons.md is generated from this table: one anchor a reason.

export const reasons = {
  // the one word of Ready
  Active: 'The task is running and its credentials are live.',
  Pending: 'The task was accepted and is waiting for something before credentials are issued; the message says for what.',
  Denied: 'Policy does not allow what the task asks for; nothing of it is live. It is judged again whenever policy changes.',
  Suspended: 'The task or its agent is suspended; nothing of it is live. It is decided afresh when resumed.',
  Completed: 'The task is over because its work is done.',
  Failed: 'The task is over because its workload failed, vanished or never appeared.',
  Cancelled: 'The task is over because somebody cancelled or deleted it.',
  Expired: 'The task is over because its time ran out.',
  Revoked: 'The task is over because its agent is gone or was replaced.',
  // Authorized
  Allowed: 'Policies allow every credential that the task asks for.',
  PolicyDenied: 'A policy forbids at least one of the credentials.',
  NoPolicyMatched: 'No policy permits at least one of the credentials; nothing is allowed by default.',
  PolicyError: 'A policy could not be evaluated, which counts as a denial.',
  PolicyInvalid: 'A policy in force for this task never had a valid version, which denies every issue in its scope.',
  NotJudged: 'Policy was not asked, because something that it needs is missing.',
  AgentNotFound: 'The Agent that the task names does not exist.',
  AgentSuspended: 'The Agent is suspended.',
  ServiceAccountNotFound: "The Agent's ServiceAccount does not exist.",
  // providers and requests
  ProviderNotFound: 'The provider that a credential names does not exist.',
  ProviderNotReady: 'The provider is not ready; its own Ready condition says why.',
  ProviderNotForNamespace: 'The provider does not serve this namespace.',
  AudienceMissing: 'The provider needs an audience and the credential names none.',
  AudienceNotListed: 'The provider does not list the audience that the credential asks for.',
  AudienceTaken: 'Another provider lists the same audience; an audience belongs to one provider.',
  ScopeNotListed: 'The provider does not list a scope that the credential asks for.',
  TtlOutOfRange: 'The credential asks for a life that the provider cannot give.',
  ProviderConfigInvalid: 'The provider object is not usable as it is.',
  ProviderUnreachable: 'The source of the provider cannot be reached, or refuses the operator.',
  GroupCanOutliveTask:
    'A group role of the database could make something that outlives a task, so it is given to none; the message says what and the SQL that mends it.',
  TooManyProviders: 'The namespace has more CredentialProviders than are used; the oldest are.',
  ProviderReady: 'The provider can issue.',
  // Issued
  Issued: 'Every credential is issued and in the Secret of the task.',
  Withdrawn: 'The Secret of the task is deleted.',
  Waiting: 'Nothing is issued yet.',
  SecretConflict: 'A Secret with the name that the task needs exists and is not ours; it is left untouched.',
  SecretStillMounted:
    'A pod that is older than the task carries its label and could receive its credentials; nothing is issued while it lives.',
  IssueFailed: 'Issuing a credential failed; it is tried again.',
  WriteFailed: 'The API server did not take a write; it is tried again.',
  FencesMissing: 'The admission policies that bind the operator are not in force, so it issues nothing.',
  StaleView: 'The view of the cluster that a decision needs made no progress for too long, so nothing is issued.',
  // Revoked
  NothingIssued: 'Nothing was issued that could still be used.',
  StillLive: 'The task is not over and its credentials are live.',
  AllRevoked: 'Nothing of this task can be used any more.',
  ExpiresAt: 'A source cannot revoke; what it issued dies by itself at the time in the message.',
  ValueRemains: 'What was given is a value that existed before the task and works until it is changed at its source: nobody can revoke it.',
  Irrevocable: 'An administrator gave up the revocation of a credential, with a reason; it may still work at its source.',
  LedgerFull:
    'Too many credentials of this namespace at this provider are not known to be dead; no more are issued until some are. What ends them goes on.',
  RevocationUnconfirmed: 'Revocation was asked for and is not confirmed yet; it is tried until it is.',
  // what ended it
  WorkloadSucceeded: 'The workload finished and succeeded.',
  WorkloadFailed: 'The workload finished and failed.',
  WorkloadGone: 'The workload was deleted.',
  WorkloadReplaced: 'Another object took the name of the workload.',
  WorkloadNeverSeen: 'The workload did not appear within `startingDeadlineSeconds`.',
  WorkloadUnwatchable: 'The kind of the workload cannot be watched: it does not exist here or the operator has no right to.',
  DeadlineExceeded: '`activeDeadlineSeconds` are over.',
  EndCompleted: 'Somebody set `spec.end` to `Completed`.',
  EndCancelled: 'Somebody set `spec.end` to `Cancelled`.',
  TaskDeleted: 'The task was deleted.',
  NamespaceTerminating: 'The namespace is being deleted.',
  AgentGone: 'The Agent was deleted.',
  AgentReplaced: 'Another Agent took the name of the one that the task was bound to.',
  ServiceAccountGone: "The Agent's ServiceAccount was deleted.",
  RevokedExternally:
    'Somebody else ended a credential of the task at its source. Unless the provider says `onExternalRevocation: Reissue`, the task is over.',
  ServiceAccountReplaced: 'Another ServiceAccount took the name of the one that the task was bound to, or the Agent names another.',
  SuspendedByUser: '`spec.suspend` is true.',
  Draining:
    'An administrator has the operator take everything back before it is removed; it is decided afresh once an operator serves again.',
  Renewed: 'The credentials were renewed before they expired.',
  NotFinished: 'The task is not over.',
  // policies
  PolicyInForce: 'The policy is valid and in force.',
  PolicySyntax: 'The text is not Cedar; the last valid version stays in force.',
  PolicySchema: 'The text does not fit the Taskbound schema; the last valid version stays in force.',
} as const satisfies Record<string, string>

export type Reason = keyof typeof reasons
