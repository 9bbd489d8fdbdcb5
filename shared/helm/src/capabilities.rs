//! What templates learn of the cluster and of Helm: `.Capabilities`.

/// The cluster's version and APIs, and the version that Helm reports of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The version of Kubernetes.
    pub kube_version: KubeVersion,
    /// `group/version` and, from a live cluster, `group/version/Kind`, in order.
    pub api_versions: Vec<String>,
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

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            kube_version: KubeVersion {
                version: "v1.37.0".into(),
                normalized: Some("v1.37.0".into()),
                major: "1".into(),
                minor: "37".into(),
            },
            api_versions: Vec::new(),
        }
    }
}
