// The Cedar schema that every policy is validated against, as the text that is shown to people.
// Names say who wrote a value: `context.claimed` is the task's author, `principal` the Agent's, `resource` the provider's, the rest is fact.
// Open sets of keys (labels, attributes) are tags: `principal.hasTag("team") && principal.getTag("team") == "payroll"`.

export const schemaText = `namespace Taskbound {
  // Who asked for the task. kind: "User", "ServiceAccount", "Agent" or "Unknown"; if Unknown, the name and the groups are empty.
  type Requester = { username: String, groups: Set<String>, kind: String };

  // What the task's author says. It may be a lie; attributes are tags: context.claimed.attributes.hasTag("ticket").
  type Claimed = {
    action: String,
    purpose?: String,
    destination?: String,
    destinations: Set<String>,
    dataSensitivity?: String,
    tools: Set<String>,
    attributes: Claims,
  };

  // word: "Public", "Internal", "Confidential" or "Restricted"; level: 0 to 3 in that order.
  type Sensitivity = { word: String, level: Long };

  // Names of agents are "<namespace>/<name>". depth is 1 for a direct child.
  type Delegation = { depth: Long, chain: Set<String>, root: String };

  // What a token of a GitHub App is for. permissions: "contents:read". A level says nothing of a lower one: name each that is meant.
  type Github = { repositories: Set<String>, permissions: Set<String> };

  type Request = {
    claimed: Claimed,
    // The higher of what the provider declares and what the task claims. A provider that declares nothing counts as Restricted.
    sensitivity: Sensitivity,
    scopes: Set<String>,
    github?: Github,
    audience?: String,
    ttlSeconds: Long,
    requestedBy: Requester,
    approved: Bool,
    approvers: Set<String>,
    delegation?: Delegation,
    now: datetime,
  };

  // class: "Immediate", "Checked" or "ExpireOnly"; boundSeconds: the longest time a dead task's credential can still work.
  type Revocation = { class: String, boundSeconds: Long };

  // id: the name. Tags: labels under policy.taskbound.dev/, without that prefix; environment is the one of that name.
  entity Namespace = { name: String, environment?: String } tags String;

  // id: "<namespace>/<name>". Tags: spec.attributes.
  entity Agent in [Namespace] = {
    name: String,
    namespace: Namespace,
    uid: String,
    owner?: String,
    serviceAccount: String,
  } tags String;

  // id: the name. Tags: labels.
  entity ClusterProvider = {
    name: String,
    uid: String,
    type: String,
    sensitivity: String,
    destinations: Set<String>,
    revocation: Revocation,
  } tags String;

  // id: "<namespace>/<name>". Tags: labels.
  entity Provider in [Namespace] = {
    name: String,
    namespace: Namespace,
    uid: String,
    type: String,
    sensitivity: String,
    destinations: Set<String>,
    revocation: Revocation,
  } tags String;

  // What context.claimed.attributes names.
  entity Claims tags String;

  action issue, renew, exchange, delegate, selfInitiate appliesTo {
    principal: [Agent],
    resource: [ClusterProvider, Provider],
    context: Request,
  };
}
`
