{{- define "labels" }}
app: {{ .Release.Name }}
{{- range $k, $v := .Values.labels }}
{{ $k }}: {{ printf "%q" $v }}
{{- end }}
{{- end }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
  labels: {{- include "labels" . }}
spec:
  replicas: {{ .Values.replicas }}
  template:
    spec:
      containers:
        - name: app
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
          ports:
          {{- range $i, $p := .Values.ports }}
            {{- if and (gt $i -1) $p.name }}
            - name: {{ $p.name }}
              containerPort: {{ printf "%v" $p.port }}
            {{- end }}
          {{- end }}
          env:
          {{- range $name, $value := .Values.env }}
            - name: {{ $name }}
              value: {{ $value | printf "%q" }}
          {{- end }}
          {{- with .Values.resources }}
          {{- if .enabled }}
          resources:
            limits: {cpu: {{ .cpu }}, memory: {{ .memory }}}
          {{- else if eq .cpu "" }}
          resources: {}
          {{- end }}
          {{- end }}
          {{- if not .Values.hostNetwork }}
          hostNetwork: false
          {{- end }}
