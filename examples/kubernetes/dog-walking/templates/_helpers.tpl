{{- define "dog-walking.fullname" -}}
{{- $name := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "dog-walking.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "dog-walking.labels" -}}
{{ include "dog-walking.selector" . }}
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

{{/* What a schema cannot say, or not well. */}}
{{- define "dog-walking.check" -}}
{{- with .Values.metrics.auth -}}
{{- if and .password .existingSecret }}{{ fail "metrics.auth.password and metrics.auth.existingSecret exclude each other; give one of them" }}{{ end -}}
{{- if not (or .password .existingSecret) }}{{ fail "metrics.auth has no password; give metrics.auth.password, or the name of a Secret with the keys username, password and htpasswd as metrics.auth.existingSecret" }}{{ end -}}
{{- end -}}
{{- with .Values.database -}}
{{- if and .password .existingSecret }}{{ fail "database.password and database.existingSecret exclude each other; give one of them" }}{{ end -}}
{{- if regexMatch "^[^:]+://[^/?#]*:[^/?#]*@|[?&]password=" .url }}{{ fail "database.url has a password in it, which everybody who may see the Deployment would see; leave it out there, and give database.password or database.existingSecret" }}{{ end -}}
{{- end -}}
{{- with .Values.autoscaling -}}
{{- if gt (int .minReplicas) (int .maxReplicas) }}{{ fail (printf "autoscaling.minReplicas is %d, more than autoscaling.maxReplicas, %d" (int .minReplicas) (int .maxReplicas)) }}{{ end -}}
{{- end -}}
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
