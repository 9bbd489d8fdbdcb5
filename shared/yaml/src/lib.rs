//! YAML and JSON as Kubernetes, kustomize and Helm read and write them.
