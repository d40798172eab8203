{{- define "karez.name" -}}
{{- if eq .Release.Name "karez" -}}karez{{- else -}}{{ printf "%s-karez" .Release.Name | trunc 50 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "karez.secret" -}}
{{- if .Values.existingSecret -}}{{ .Values.existingSecret }}{{- else -}}{{ include "karez.name" . }}-cluster{{- end -}}
{{- end -}}

{{- define "karez.labels" -}}
app.kubernetes.io/name: karez
{{- if ne .Release.Name "karez" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* What tells the nodes of this release from all other pods. */}}
{{- define "karez.selector" -}}
app.kubernetes.io/name: karez
app.kubernetes.io/component: node
{{- if ne .Release.Name "karez" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- end -}}

{{/* Changes with whatever a node reads only when it starts. */}}
{{- define "karez.checksum" -}}
{{ toYaml .Values.settings | printf "%s %s %s %v %v" .Values.domain .Values.publicUrl (join "," .Values.trustedProxies) .Values.drainSeconds | sha256sum | trunc 16 }}
{{- end -}}
