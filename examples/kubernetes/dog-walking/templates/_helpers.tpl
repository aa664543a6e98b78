{{- define "dog-walking.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end }}

{{- define "dog-walking.fullname" -}}
{{- $name := include "dog-walking.name" . -}}
{{- $name = contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "dog-walking.selector" -}}
app.kubernetes.io/name: {{ include "dog-walking.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What scrape jobs and dashboards find it by, whatever the chart, the release or a parent chart's alias is called. */}}
{{- define "dog-walking.podLabels" -}}
{{ include "dog-walking.selector" . }}
app.kubernetes.io/part-of: dog-walking
{{- end }}

{{/* Not for pods: their template must not change with the chart's version alone. */}}
{{- define "dog-walking.labels" -}}
{{ include "dog-walking.podLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "dog-walking.metricsSecret" -}}
{{- .Values.metrics.auth.existingSecret | default (printf "%s-metrics" (include "dog-walking.fullname" .)) -}}
{{- end }}

{{- define "dog-walking.databaseSecret" -}}
{{- .Values.database.existingSecret | default (printf "%s-database" (include "dog-walking.fullname" .)) -}}
{{- end }}

{{- define "dog-walking.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "dog-walking.fullname" .) "default") -}}
{{- end }}

{{- define "dog-walking.nginx" -}}
{{- tpl (.Files.Get "files/nginx.conf") . -}}
{{- end }}

{{/*
Another for each other password. Everybody who may see the Deployment sees it, so it is made with scrypt, salted with the release: each guess of a password costs
what one does here, about 0.1 s.
*/}}
{{- define "dog-walking.secretsChecksum" -}}
{{- $secrets := toJson (list .Values.metrics.auth.username .Values.metrics.auth.password .Values.database.password) -}}
{{- derivePassword 1 "maximum" $secrets .Release.Name .Release.Namespace | sha256sum -}}
{{- end }}

{{/*
The {SHA} of a password for nginx. Not bcrypt: it has another salt at each rendering, so that no two upgrades give the same Secret, and costs nginx 50 ms a scrape;
the password stands in the same Secret anyway. Not {PLAIN}: nginx ends that at a ':'. Three hexadecimal digits are two of base64, and 42 are 28.
*/}}
{{- define "dog-walking.sha" -}}
{{- $alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" -}}
{{- $hex := printf "%s00" (sha1sum .) -}}
{{- $digits := list -}}
{{- range $at := untilStep 0 42 3 -}}
  {{- $bits := printf "0x%s" (substr $at (add $at 3 | int) $hex) | int -}}
  {{- range list (div $bits 64) (mod $bits 64) -}}
    {{- $digits = append $digits (substr (int .) (add1 . | int) $alphabet) -}}
  {{- end -}}
{{- end -}}
{SHA}{{ join "" $digits | trunc 27 }}=
{{- end }}
