//! The kubeconfig text that lets kubectl and client libraries reach a server.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Writes a kubeconfig with one cluster, one user with a bearer token, and one context.
pub(crate) fn render(name: &str, url: &str, ca_pem: &str, user: &str, token: &str) -> String {
    let ca = STANDARD.encode(ca_pem);
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: {url}
    certificate-authority-data: {ca}
users:
- name: {user}
  user:
    token: {token}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {user}
current-context: {name}
"
    )
}
