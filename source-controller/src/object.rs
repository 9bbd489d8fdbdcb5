//! Access to the parts that the resources of all source kinds have in common.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sluice_api::meta::Condition;
use sluice_api::source::{Artifact, Bucket, GitRepository, HelmChart, HelmRepository, OCIRepository};
use sluice_api::{ArtifactSource, Reconcilable};

/// A resource that the machinery reconciles.
pub trait SourceObject:
    ArtifactSource
    + Reconcilable
    + kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Condition types in the order in which Ready is chosen from them (sources.md 3.2).
    const SUMMARY: &'static [&'static str];

    /// How often the source is looked at.
    fn interval(&self) -> Duration;
    /// Bound of network operations.
    fn timeout(&self) -> Duration;
    /// Conditions, to change; makes a status where there is none.
    fn conditions_mut(&mut self) -> &mut Vec<Condition>;
    /// Sets or clears the artifact.
    fn set_artifact(&mut self, artifact: Option<Artifact>);
    /// `status.url`, for kinds that have it.
    fn status_url(&self) -> Option<&str>;
    /// Sets or clears `status.url`; nothing for kinds that do not have it.
    fn set_status_url(&mut self, url: Option<String>);
    /// Sets the generation that the status speaks of.
    fn set_observed_generation(&mut self, generation: i64);
    /// Records the reconcile request that was acted on.
    fn set_last_handled_reconcile_at(&mut self, value: String);
}

/// Interval and timeout of a HelmRepository that names none.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

macro_rules! impl_source_object {
    ($kind:ty, url: $has_url:tt, interval: |$i:ident| $interval:expr, timeout: |$t:ident| $timeout:expr, [$($summary:expr),+ $(,)?]) => {
        impl SourceObject for $kind {
            const SUMMARY: &'static [&'static str] = &[$($summary),+];

            fn interval(&self) -> Duration {
                let $i = self;
                $interval
            }

            fn timeout(&self) -> Duration {
                let $t = self;
                $timeout
            }

            fn conditions_mut(&mut self) -> &mut Vec<Condition> {
                &mut self.status.get_or_insert_default().conditions
            }

            fn set_artifact(&mut self, artifact: Option<Artifact>) {
                self.status.get_or_insert_default().artifact = artifact;
            }

            impl_source_object!(@url $has_url);

            fn set_observed_generation(&mut self, generation: i64) {
                self.status.get_or_insert_default().observed_generation = generation;
            }

            fn set_last_handled_reconcile_at(&mut self, value: String) {
                self.status.get_or_insert_default().last_handled_reconcile_at = Some(value);
            }
        }
    };
    (@url yes) => {
        fn status_url(&self) -> Option<&str> {
            self.status.as_ref()?.url.as_deref()
        }

        fn set_status_url(&mut self, url: Option<String>) {
            self.status.get_or_insert_default().url = url;
        }
    };
    (@url no) => {
        fn status_url(&self) -> Option<&str> {
            None
        }

        fn set_status_url(&mut self, _: Option<String>) {}
    };
}

use crate::kind::{
    ARTIFACT_IN_STORAGE as STORED, ARTIFACT_OUTDATED as OUTDATED, BUILD_FAILED, FETCH_FAILED,
    INCLUDE_UNAVAILABLE, SOURCE_VERIFIED as VERIFIED, STORAGE_OPERATION_FAILED as STORAGE,
};
use sluice_runtime::conditions::{RECONCILING, STALLED};

fn or_default(timeout: Option<&sluice_api::meta::Duration>) -> Duration {
    timeout.map_or(DEFAULT_TIMEOUT, sluice_api::meta::Duration::to_std)
}

impl_source_object!(
    GitRepository,
    url: no,
    interval: |o| o.spec.interval.to_std(),
    timeout: |o| or_default(o.spec.timeout.as_ref()),
    [STORAGE, FETCH_FAILED, INCLUDE_UNAVAILABLE, OUTDATED, STORED, VERIFIED, STALLED, RECONCILING]
);
impl_source_object!(
    OCIRepository,
    url: yes,
    interval: |o| o.spec.interval.to_std(),
    timeout: |o| or_default(o.spec.timeout.as_ref()),
    [STORAGE, FETCH_FAILED, OUTDATED, STORED, VERIFIED, STALLED, RECONCILING]
);
impl_source_object!(
    HelmRepository,
    url: yes,
    interval: |o| o.spec.interval.as_ref().map_or(DEFAULT_INTERVAL, sluice_api::meta::Duration::to_std),
    timeout: |o| or_default(o.spec.timeout.as_ref()),
    [STORAGE, FETCH_FAILED, OUTDATED, STORED, STALLED, RECONCILING]
);
impl_source_object!(
    HelmChart,
    url: yes,
    interval: |o| o.spec.interval.to_std(),
    timeout: |_o| DEFAULT_TIMEOUT,
    [STORAGE, FETCH_FAILED, BUILD_FAILED, OUTDATED, STORED, VERIFIED, STALLED, RECONCILING]
);
impl_source_object!(
    Bucket,
    url: yes,
    interval: |o| o.spec.interval.to_std(),
    timeout: |o| or_default(o.spec.timeout.as_ref()),
    [STORAGE, FETCH_FAILED, OUTDATED, STORED, STALLED, RECONCILING]
);
