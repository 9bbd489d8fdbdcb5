//! What templates learn of the cluster and of Helm: `.Capabilities`.

use crate::text::quoted;

/// The cluster's version and APIs, and what Helm reports of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The version of Kubernetes.
    pub kube_version: KubeVersion,
    /// `group/version` and, from a live cluster, `group/version/Kind`, in order.
    pub api_versions: Vec<String>,
    /// `.Capabilities.HelmVersion`.
    pub helm_version: HelmVersion,
}

/// A version of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    /// The full version: `v1.31.2-gke.1`.
    pub version: String,
    /// `v1.31.2`: what a chart's `kubeVersion` is checked against. A live cluster has none: the full version counts.
    pub normalized: Option<String>,
    /// `1`.
    pub major: String,
    /// `31`.
    pub minor: String,
}

/// Which Helm templates believe to run in: charts ask for the version to switch features on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelmVersion {
    /// `v4.3.1`.
    pub version: String,
    /// Empty unless known.
    pub git_commit: String,
    /// Empty unless known.
    pub git_tree_state: String,
    /// `go1.26`.
    pub go_version: String,
    /// `v1.37`.
    pub kube_client_version: String,
}

impl Default for HelmVersion {
    /// The Helm whose behaviour this crate has.
    fn default() -> Self {
        Self {
            version: "v4.3.1".into(),
            git_commit: String::new(),
            git_tree_state: String::new(),
            go_version: "go1.26.8".into(),
            kube_client_version: "v1.37".into(),
        }
    }
}

impl Default for Capabilities {
    /// What Helm assumes without a cluster.
    fn default() -> Self {
        Self {
            kube_version: KubeVersion {
                version: "v1.37.0".into(),
                normalized: Some("v1.37.0".into()),
                major: "1".into(),
                minor: "37".into(),
            },
            api_versions: KNOWN.iter().map(|version| (*version).to_owned()).collect(),
            helm_version: HelmVersion::default(),
        }
    }
}

impl KubeVersion {
    /// Reads a version as `--kube-version` takes it: at least `major.minor`, a `v` and any suffix allowed.
    ///
    /// # Errors
    /// Kubernetes' text, for instance `could not parse "foo" as version`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let unreadable = || format!("could not parse {} as version", quoted(text));
        let start = text.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let start = start.strip_prefix('v').unwrap_or(start);
        let (components, suffix) = numbers(start);
        if components.is_empty() || suffix.contains('\n') {
            return Err(unreadable());
        }
        let [major, minor, ..] = components[..] else {
            return Err(format!("illegal version string {}", quoted(text)));
        };
        if major.len() > 1 && major.starts_with('0') {
            return Err(format!(
                "illegal zero-prefixed version component {} in {}",
                quoted(major),
                quoted(text)
            ));
        }
        let mut parsed = Vec::with_capacity(components.len());
        for component in &components {
            parsed.push(component.parse::<u64>().map_err(|_| {
                format!(
                    "illegal non-numeric version component {} in {}: strconv.ParseUint: parsing {}: value out of range",
                    quoted(component),
                    quoted(text),
                    quoted(component)
                )
            })?);
        }
        let normalized = parsed.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
        let number = |text: &str| text.parse::<u64>().map_or_else(|_| text.to_owned(), |n| n.to_string());
        Ok(Self {
            version: if text.starts_with('v') { text.to_owned() } else { format!("v{text}") },
            normalized: Some(format!("v{normalized}")),
            major: number(major),
            minor: number(minor),
        })
    }

    /// The form that constraints are compared with.
    #[must_use]
    pub fn comparable(&self) -> &str {
        self.normalized.as_deref().unwrap_or(&self.version)
    }
}

/// The numbers with single dots between them that a text begins with, and the rest.
fn numbers(text: &str) -> (Vec<&str>, &str) {
    let mut components = Vec::new();
    let mut rest = text;
    loop {
        let next = if components.is_empty() { Some(rest) } else { rest.strip_prefix('.') };
        let digits = next.unwrap_or_default();
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let (number, after) = digits.split_at(end);
        if number.is_empty() {
            return (components, rest);
        }
        components.push(number);
        rest = after;
    }
}

/// The APIs that Helm's client library knows, in its order.
const KNOWN: [&str; 57] = [
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "lifecycle.k8s.io/v1alpha1",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_kubernetes_reads_them() {
        for (text, version, normalized) in [
            ("1.25", "v1.25", "v1.25"),
            ("v1.31.2-gke.1", "v1.31.2-gke.1", "v1.31.2"),
            ("v1.2.3.4", "v1.2.3.4", "v1.2.3.4"),
            ("1.30+", "v1.30+", "v1.30"),
        ] {
            let parsed = KubeVersion::parse(text).expect(text);
            assert_eq!((parsed.version.as_str(), parsed.comparable()), (version, normalized));
        }
        for (text, error) in [
            ("foo", "could not parse \"foo\" as version"),
            ("", "could not parse \"\" as version"),
            ("1.x", "illegal version string \"1.x\""),
            ("1", "illegal version string \"1\""),
            ("01.2", "illegal zero-prefixed version component \"01\" in \"01.2\""),
        ] {
            assert_eq!(KubeVersion::parse(text), Err(error.to_owned()));
        }
    }
}
