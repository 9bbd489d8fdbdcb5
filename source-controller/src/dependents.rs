//! Wakes the charts whose source has a new artifact.
//!
//! The sources are reconciled by this same process, so that no watch is needed: who stores an artifact says so.

use std::sync::Arc;

use sluice_api::source::HelmChart;
use sluice_runtime::controller::Cause;
use sluice_runtime::{Handle, Key};

/// Asks for a pass over each chart that is made of the source and has not seen that revision of it.
pub(crate) fn wake(charts: &Handle<HelmChart>, kind: &str, source: &Key, revision: &str) {
    for chart in affected(&charts.store().list(), kind, source, revision) {
        charts.trigger(chart, Cause::related(kind, &source.namespace, &source.name));
    }
}

fn affected(all: &[Arc<HelmChart>], kind: &str, source: &Key, revision: &str) -> Vec<Key> {
    let uses = |chart: &HelmChart| {
        let reference = &chart.spec.source_ref;
        chart.metadata.namespace.as_deref() == Some(&source.namespace)
            && *reference.name == *source.name
            && reference.kind.as_str() == kind
    };
    let knows = |chart: &HelmChart| {
        let status = chart.status.as_ref();
        status.and_then(|status| status.observed_source_artifact_revision.as_deref()) == Some(revision)
    };
    all.iter().filter(|chart| uses(chart) && !knows(chart)).map(|chart| Key::of(chart.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chart(namespace: &str, name: &str, kind: &str, source: &str, seen: Option<&str>) -> Arc<HelmChart> {
        let object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"chart": "app", "interval": "1m", "sourceRef": {"kind": kind, "name": source}},
            "status": {"observedSourceArtifactRevision": seen},
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_new_revision_wakes_the_charts_that_have_not_seen_it() {
        let all = [
            chart("ns", "never", "GitRepository", "src", None),
            chart("ns", "old", "GitRepository", "src", Some("r1")),
            chart("ns", "new", "GitRepository", "src", Some("r2")),
            chart("ns", "other-kind", "Bucket", "src", None),
            chart("ns", "other-source", "GitRepository", "other", None),
            chart("other", "other-namespace", "GitRepository", "src", None),
        ];
        let keys = affected(&all, "GitRepository", &Key::new("ns", "src"), "r2");
        assert_eq!(keys, [Key::new("ns", "never"), Key::new("ns", "old")]);
    }
}
