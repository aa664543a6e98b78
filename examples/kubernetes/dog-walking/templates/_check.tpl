{{/* What a schema cannot say, or not well. */}}
{{- define "dog-walking.check" -}}
{{- with .Values.metrics.auth -}}
{{- if and .password .existingSecret }}{{ fail "metrics.auth.password and metrics.auth.existingSecret exclude each other; give one of them" }}{{ end -}}
{{- if not (or .password .existingSecret) }}{{ fail "metrics.auth has no password; give metrics.auth.password, or the name of a Secret with the keys username, password and htpasswd as metrics.auth.existingSecret" }}{{ end -}}
{{- end -}}
{{- with .Values.metrics.serviceMonitor -}}
{{- if gt (include "dog-walking.milliseconds" .scrapeTimeout | int64) (include "dog-walking.milliseconds" .interval | int64) }}{{ fail (printf "metrics.serviceMonitor.scrapeTimeout is %s, longer than metrics.serviceMonitor.interval, %s" .scrapeTimeout .interval) }}{{ end -}}
{{- end -}}
{{- with .Values.database -}}
{{- if and .password .existingSecret }}{{ fail "database.password and database.existingSecret exclude each other; give one of them" }}{{ end -}}
{{- if regexMatch "^[^:]+://[^/?#]*:[^/?#]*@|[?&]password=" .url }}{{ fail "database.url has a password in it, which everybody who may see the Deployment would see; leave it out there, and give database.password or database.existingSecret" }}{{ end -}}
{{- end -}}
{{- with .Values.autoscaling -}}
{{- if gt (int .minReplicas) (int .maxReplicas) }}{{ fail (printf "autoscaling.minReplicas is %d, more than autoscaling.maxReplicas, %d" (int .minReplicas) (int .maxReplicas)) }}{{ end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}{{ fail "ingress.enabled without ingress.hosts; give at least one host" }}{{ end -}}
{{- range .Values.ingress.tls -}}
{{- range .hosts }}{{ if not (has . $.Values.ingress.hosts) }}{{ fail (printf "ingress.tls has the host '%s', which ingress.hosts has not" .) }}{{ end }}{{ end -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}{{ fail "httpRoute.enabled without httpRoute.parentRefs; give at least one gateway" }}{{ end -}}
{{- range list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/part-of" -}}
{{- if hasKey ($.Values.podLabels | default dict) . }}{{ fail (printf "podLabels has '%s', which is set already" .) }}{{ end -}}
{{- end -}}
{{- range list "checksum/nginx" "checksum/secrets" "prometheus.io/scrape" "prometheus.io/path" "prometheus.io/port" -}}
{{- if hasKey ($.Values.podAnnotations | default dict) . }}{{ fail (printf "podAnnotations has '%s', which the chart says by itself" .) }}{{ end -}}
{{- end -}}
{{- $names := list "HOST" "PORT" "DATABASE_URL" "PGPASSWORD" -}}
{{- range .Values.extraEnv -}}
{{- if has .name $names }}{{ fail (printf "extraEnv has '%s', which is set already" .name) }}{{ end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- $volumes := list -}}
{{- range .Values.extraVolumes -}}
{{- if has .name $volumes }}{{ fail (printf "extraVolumes has '%s' twice" .name) }}{{ end -}}
{{- $volumes = append $volumes .name -}}
{{- end -}}
{{- $paths := list "/tmp" -}}
{{- range .Values.extraVolumeMounts -}}
{{- if not (has .name $volumes) }}{{ fail (printf "extraVolumeMounts has '%s', which extraVolumes has not" .name) }}{{ end -}}
{{- if has (clean .mountPath) $paths }}{{ fail (printf "extraVolumeMounts has the mountPath '%s', which is mounted already" .mountPath) }}{{ end -}}
{{- $paths = append $paths (clean .mountPath) -}}
{{- end -}}
{{- end }}

{{/* Of a duration such as 1m30s. */}}
{{- define "dog-walking.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 -}}
{{- $sum = add $sum (mul (regexFind "[0-9]+" . | int64) (get $units (regexFind "[a-z]+" .))) -}}
{{- end -}}
{{- $sum -}}
{{- end }}
