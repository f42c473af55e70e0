{{- /* Settings as variables: every one is called like its flag. A whole number is written as one, however large. */}}
{{- define "taskbound.env" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- name: TASKBOUND_SERVICE_ACCOUNT
  value: {{ include "taskbound.serviceAccountName" . | quote }}
- name: TASKBOUND_ISSUER_LISTEN
  value: ":{{ .Values.ports.issuer }}"
- name: TASKBOUND_HEALTH_LISTEN
  value: ":{{ .Values.ports.health }}"
- name: TASKBOUND_METRICS_LISTEN
  value: ":{{ .Values.ports.metrics }}"
{{- with .Values.watchNamespaces }}
- name: TASKBOUND_WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
{{- range $name, $value := .Values.settings }}
{{- $text := ternary (int64 $value) $value (kindIs "float64" $value) | toString }}
{{- /* an `off` without quotes is a boolean to YAML */}}
{{- if kindIs "bool" $value }}{{ $text = ternary "on" "off" $value }}{{ end }}
{{- if and (ne $text "") (not (kindIs "invalid" $value)) }}
- name: TASKBOUND_{{ $name | snakecase | upper }}
  value: {{ $text | quote }}
{{- end }}
{{- end }}
{{- with .Values.nodeOptions }}
- name: NODE_OPTIONS
  value: {{ . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
