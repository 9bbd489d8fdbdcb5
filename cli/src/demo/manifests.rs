//! What the demo commits to Git, and the two Flux objects that carry it to the cluster.
//!
//! The app is deliberately small (a Deployment, a Service, a ConfigMap), so that a reader who looks around with
//! kubectl recognises every object.

/// Namespace of the two Flux objects and of the app.
pub(super) const NAMESPACE: &str = "flux-system";
/// Name of the `GitRepository`.
pub(super) const SOURCE: &str = "myapp-source";
/// Name of the `Kustomization`.
pub(super) const KUSTOMIZATION: &str = "myapp";
/// Name of the Deployment and of the Service.
pub(super) const APP: &str = "myapp";
/// Name of the ConfigMap that the first commit brings and that a later one removes.
pub(super) const SETTINGS: &str = "myapp-settings";
/// Name of the ConfigMap that the second commit adds.
pub(super) const FEATURES: &str = "myapp-features";
/// Folder of the app in the repository.
pub(super) const PATH: &str = "myapp/manifests";
/// Image of the first commit.
pub(super) const FIRST_IMAGE: &str = "ghcr.io/stefanprodan/podinfo:6.8.0";
/// Image of the second commit.
pub(super) const SECOND_IMAGE: &str = "ghcr.io/stefanprodan/podinfo:6.9.0";
/// Replicas that Git asks for.
pub(super) const REPLICAS: i32 = 2;

/// The `GitRepository` for a repository served at `url`.
pub(super) fn git_repository(url: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: {SOURCE}, namespace: {NAMESPACE}}}
spec: {{interval: 1m, url: {url}, ref: {{branch: main}}}}
"
    )
}

/// The `Kustomization` that applies the app.
pub(super) fn kustomization() -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: {KUSTOMIZATION}, namespace: {NAMESPACE}}}
spec:
  interval: 10m
  sourceRef: {{kind: GitRepository, name: {SOURCE}}}
  path: ./{PATH}
  prune: true
  wait: true
  timeout: 5m
"
    )
}

/// The Deployment of the app, running `image`.
pub(super) fn deployment(image: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {APP}
  namespace: {NAMESPACE}
spec:
  replicas: {REPLICAS}
  selector:
    matchLabels:
      app: {APP}
  template:
    metadata:
      labels:
        app: {APP}
    spec:
      containers:
        - name: web
          image: {image}
          ports:
            - name: http
              containerPort: 9898
"
    )
}

/// The Service of the app.
pub(super) fn service() -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: {APP}
  namespace: {NAMESPACE}
spec:
  selector:
    app: {APP}
  ports:
    - name: http
      port: 80
      targetPort: http
"
    )
}

/// A ConfigMap with one key.
pub(super) fn config_map(name: &str, key: &str, value: &str) -> String {
    format!(
        "apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
  namespace: {NAMESPACE}
data:
  {key}: {value}
"
    )
}

/// A Deployment file with a broken indentation, as a hasty commit leaves it.
pub(super) fn broken_deployment() -> String {
    deployment(SECOND_IMAGE).replace("  replicas:", "   replicas:")
}
