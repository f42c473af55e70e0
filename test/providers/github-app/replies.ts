// What GitHub answers, field by field, held against the types that it publishes of its REST API.

import type { components, operations } from '@octokit/openapi-types'

type Schemas = components['schemas']
type Answered<Name extends keyof operations> = operations[Name]['responses'] extends {
  200: { content: { 'application/json': infer Body } }
}
  ? Body
  : never
type Permissions = Schemas['app-permissions']

const web = 'https://github.com'
const api = 'https://api.github.com'

const ownerOf = (login: string) =>
  ({
    login,
    id: 9919,
    node_id: 'MDEyOk9yZ2FuaXphdGlvbjk5MTk=',
    avatar_url: `${web}/images/${login}.png`,
    gravatar_id: '',
    url: `${api}/users/${login}`,
    html_url: `${web}/${login}`,
    followers_url: `${api}/users/${login}/followers`,
    following_url: `${api}/users/${login}/following{/other_user}`,
    gists_url: `${api}/users/${login}/gists{/gist_id}`,
    starred_url: `${api}/users/${login}/starred{/owner}{/repo}`,
    subscriptions_url: `${api}/users/${login}/subscriptions`,
    organizations_url: `${api}/users/${login}/orgs`,
    repos_url: `${api}/users/${login}/repos`,
    events_url: `${api}/users/${login}/events{/privacy}`,
    received_events_url: `${api}/users/${login}/received_events`,
    type: 'Organization',
    site_admin: false,
  }) satisfies Schemas['simple-user']

function repositoryOf(account: string, name: string, index: number) {
  const full_name = `${account}/${name}`
  const url = `${api}/repos/${full_name}`
  return {
    id: 1000 + index,
    node_id: 'MDEwOlJlcG9zaXRvcnkxMjk2MjY5',
    name,
    full_name,
    license: null,
    owner: ownerOf(account),
    private: true,
    html_url: `${web}/${full_name}`,
    description: null,
    fork: false,
    url,
    archive_url: `${url}/{archive_format}{/ref}`,
    assignees_url: `${url}/assignees{/user}`,
    blobs_url: `${url}/git/blobs{/sha}`,
    branches_url: `${url}/branches{/branch}`,
    collaborators_url: `${url}/collaborators{/collaborator}`,
    comments_url: `${url}/comments{/number}`,
    commits_url: `${url}/commits{/sha}`,
    compare_url: `${url}/compare/{base}...{head}`,
    contents_url: `${url}/contents/{+path}`,
    contributors_url: `${url}/contributors`,
    deployments_url: `${url}/deployments`,
    downloads_url: `${url}/downloads`,
    events_url: `${url}/events`,
    forks_url: `${url}/forks`,
    git_commits_url: `${url}/git/commits{/sha}`,
    git_refs_url: `${url}/git/refs{/sha}`,
    git_tags_url: `${url}/git/tags{/sha}`,
    git_url: `git://github.com/${full_name}.git`,
    issue_comment_url: `${url}/issues/comments{/number}`,
    issue_events_url: `${url}/issues/events{/number}`,
    issues_url: `${url}/issues{/number}`,
    keys_url: `${url}/keys{/key_id}`,
    labels_url: `${url}/labels{/name}`,
    languages_url: `${url}/languages`,
    merges_url: `${url}/merges`,
    milestones_url: `${url}/milestones{/number}`,
    notifications_url: `${url}/notifications{?since,all,participating}`,
    pulls_url: `${url}/pulls{/number}`,
    releases_url: `${url}/releases{/id}`,
    ssh_url: `git@github.com:${full_name}.git`,
    stargazers_url: `${url}/stargazers`,
    statuses_url: `${url}/statuses/{sha}`,
    subscribers_url: `${url}/subscribers`,
    subscription_url: `${url}/subscription`,
    tags_url: `${url}/tags`,
    teams_url: `${url}/teams`,
    trees_url: `${url}/git/trees{/sha}`,
    clone_url: `${web}/${full_name}.git`,
    mirror_url: null,
    hooks_url: `${url}/hooks`,
    svn_url: `${web}/${full_name}`,
    homepage: null,
    language: null,
    forks: 0,
    forks_count: 0,
    stargazers_count: 0,
    watchers: 0,
    watchers_count: 0,
    size: 108,
    default_branch: 'main',
    open_issues: 0,
    open_issues_count: 0,
    has_issues: true,
    has_projects: true,
    has_wiki: true,
    has_pages: false,
    has_downloads: true,
    archived: false,
    disabled: false,
    pushed_at: '2026-01-26T19:06:43Z',
    created_at: '2026-01-26T19:01:12Z',
    updated_at: '2026-01-26T19:14:43Z',
  } satisfies Schemas['repository']
}

/** Of POST /app/installations/{installation_id}/access_tokens, with 201. */
export const tokenOf = (account: string, token: string, repositories: readonly string[], permissions: Permissions, expires: Date) =>
  ({
    token,
    expires_at: expires.toISOString().replace(/\.\d+Z$/, 'Z'),
    permissions,
    repository_selection: 'selected' as const,
    repositories: repositories.map((name, index) => repositoryOf(account, name, index)),
  }) satisfies Schemas['installation-token']

/** Of GET /installation/repositories. */
export const repositoriesOf = (account: string, repositories: readonly string[]) =>
  ({
    total_count: repositories.length,
    repositories: repositories.map((name, index) => repositoryOf(account, name, index)),
    repository_selection: 'selected',
  }) satisfies Answered<'apps/list-repos-accessible-to-installation'>

/** Of GET /app/installations/{installation_id}. */
export const installationOf = (
  { account, clientId, installationId }: { readonly account: string; readonly clientId: string; readonly installationId: number },
  permissions: Permissions,
  suspended_at: string | null,
) =>
  ({
    id: installationId,
    account: ownerOf(account),
    repository_selection: 'selected' as const,
    access_tokens_url: `${api}/app/installations/${installationId}/access_tokens`,
    repositories_url: `${api}/installation/repositories`,
    html_url: `${web}/organizations/${account}/settings/installations/${installationId}`,
    app_id: 1,
    client_id: clientId,
    target_id: 9919,
    target_type: 'Organization',
    permissions,
    events: [],
    created_at: '2026-01-26T19:01:12Z',
    updated_at: '2026-01-26T19:01:12Z',
    single_file_name: null,
    app_slug: 'taskbound',
    suspended_by: suspended_at === null ? null : ownerOf(account),
    suspended_at,
  }) satisfies Schemas['installation']

/** With 401, of whoever shows a token that is not known, has expired or was ended. */
export const badCredentials = {
  message: 'Bad credentials',
  documentation_url: 'https://docs.github.com/rest',
  status: '401',
} satisfies Schemas['basic-error']
