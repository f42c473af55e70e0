{{- /* Names, labels and checks that several templates share. */}}

{{- define "taskbound.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "taskbound.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "taskbound.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "taskbound.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "taskbound.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "taskbound.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "`serviceAccount.name` must be set when `serviceAccount.create` is false: the admission policies bind that name" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "taskbound.selectorLabels" -}}
app.kubernetes.io/name: {{ include "taskbound.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "taskbound.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "taskbound.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: taskbound
{{- with merge (dict) .Values.commonLabels ((.Values.global).commonLabels | default dict) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Of the kinds and their guards, which stay when the release goes. */}}
{{- define "taskbound.keptMetadata" -}}
labels:
  {{- include "taskbound.labels" . | nindent 2 }}
{{- if .Values.crds.keep }}
annotations:
  helm.sh/resource-policy: keep
{{- end }}
{{- end }}

{{- define "taskbound.image" -}}
{{- $registry := default .Values.image.registry (.Values.global).imageRegistry -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end -}}
{{- end }}

{{- define "taskbound.imagePullSecrets" -}}
{{- with concat .Values.imagePullSecrets ((.Values.global).imagePullSecrets | default list) -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ ternary . (get (ternary dict . (kindIs "string" .)) "name") (kindIs "string" .) }}
  {{- end }}
{{- end -}}
{{- end }}

{{- /* Whether an object of a kind that the cluster may lack is made: with `context`, `api`, `mode` and `path`, the value that asks. */}}
{{- define "taskbound.renders" -}}
{{- if or (eq .mode "alwaysRender") (.context.Capabilities.APIVersions.Has .api) -}}
true
{{- else if eq .mode "failIfMissing" -}}
{{- fail (printf "`%s.enabled` is set, but the cluster has no %s: install its CRD first, or set `%s.renderMode`" .path .api .path) -}}
{{- end -}}
{{- end }}

{{- define "taskbound.stamps" -}}
{{- $has := .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
{{- if or (eq .Values.requesterStamp "always") (and (eq .Values.requesterStamp "auto") $has) -}}
true
{{- end -}}
{{- end }}

{{- /* What a schema cannot say. */}}
{{- define "taskbound.validate" -}}
{{- if and (eq .Release.Namespace "default") (not .Values.watchNamespaces) -}}
{{- fail "install into a namespace of its own, such as `--namespace taskbound-system --create-namespace`: in `default` the operator cannot tell whether its fence is in force" -}}
{{- end -}}
{{- if has .Release.Namespace .Values.watchNamespaces -}}
{{- fail (printf "`watchNamespaces` must not have `%s`, the operator's own namespace: its keys are there" .Release.Namespace) -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled -}}
{{- fail "enable `metrics.serviceMonitor` or `metrics.podMonitor`, not both: every series would be there twice" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service.enabled) -}}
{{- fail "`metrics.serviceMonitor` needs `metrics.service.enabled`" -}}
{{- end -}}
{{- if .Values.crds.enabled }}{{ include "taskbound.alone" . }}{{ end -}}
{{- end }}

{{- /* The guards of a cluster bind one operator. A second one would take them from the first, which then could do nothing. */}}
{{- define "taskbound.alone" -}}
{{- $guard := lookup "admissionregistration.k8s.io/v1" "ValidatingAdmissionPolicy" "" "taskbound-operator-fence" | default dict -}}
{{- $annotations := ($guard.metadata).annotations | default dict -}}
{{- $release := get $annotations "meta.helm.sh/release-name" -}}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" -}}
{{- if and $release (or (ne $release .Release.Name) (ne $namespace .Release.Namespace)) -}}
{{- range (lookup "apps/v1" "Deployment" $namespace "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- if and (eq (get $labels "app.kubernetes.io/part-of") "taskbound") (eq (get $labels "app.kubernetes.io/instance") $release) -}}
{{- fail (printf "Taskbound is installed already, as the release `%s` in the namespace `%s`, and there is one installation a cluster: upgrade that, or uninstall it first" $release $namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
