//! From a chart and values to the parts of a revision, on the blocking pool.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};
use sluice_helm::release::{StoredChart, StoredHook};
use sluice_helm::{Capabilities, Release, RenderOptions};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::chart::LoadedChart;
use crate::cluster::Cluster;
use crate::error::ActionError;
use crate::log::Log;
use crate::lookup::FromCluster;
use crate::options::PostRender;
use crate::post_render;

/// What is rendered, and how.
pub(crate) struct Request<'a> {
    pub(crate) chart: &'a LoadedChart,
    pub(crate) values: &'a Map<String, Value>,
    pub(crate) release: Release,
    pub(crate) skip_schema_validation: bool,
    pub(crate) dns: bool,
    pub(crate) post_render: &'a PostRender,
    pub(crate) origin: &'a BTreeMap<String, String>,
}

/// What a revision is made of.
pub(crate) struct Parts {
    pub(crate) chart: StoredChart,
    pub(crate) manifest: String,
    pub(crate) hooks: Vec<StoredHook>,
    pub(crate) notes: String,
}

/// Renders, post-renders, splits and sorts.
pub(crate) async fn run(
    cluster: &Cluster,
    request: Request<'_>,
    cancel: &CancellationToken,
    log: &Arc<Log>,
) -> Result<Parts, ActionError> {
    let capabilities = cluster.capabilities(request.chart.asks_for_apis()).await;
    let capabilities = capabilities.map_err(|error| {
        ActionError::Failed(format!("could not get server version and APIs from Kubernetes: {error}"))
    })?;
    let canceled = Arc::new(AtomicBool::new(false));
    let options = options(cluster, &request, capabilities, canceled.clone(), log);
    let (renderer, values) = (request.chart.renderer().clone(), request.values.clone());
    let (release, log) = (request.release, log.clone());
    let (steps, origin) = (request.post_render.clone(), request.origin.clone());
    let work = tokio::task::spawn_blocking(move || {
        let rendered = renderer.render(&release, &values, &options).map_err(ActionError::failed)?;
        let files = post_render::run(&rendered.files, &steps, &origin).map_err(ActionError::failed)?;
        let (manifest, hooks, lines) = post_render::manifests(&files).map_err(ActionError::Failed)?;
        for line in lines {
            log.line(line.message, []);
        }
        Ok(Parts {
            chart: renderer.stored_chart(&values).map_err(ActionError::failed)?,
            manifest,
            hooks,
            notes: rendered.notes.unwrap_or_default(),
        })
    });
    tokio::select! {
        done = work => done.map_err(|error| ActionError::Failed(format!("rendering ended: {error}")))?,
        () = cancel.cancelled() => {
            // The thread ends soon, and nobody waits for it.
            canceled.store(true, Ordering::Relaxed);
            Err(ActionError::Canceled)
        }
    }
}

fn options(
    cluster: &Cluster,
    request: &Request<'_>,
    capabilities: Arc<Capabilities>,
    canceled: Arc<AtomicBool>,
    log: &Arc<Log>,
) -> RenderOptions {
    let log = log.clone();
    RenderOptions {
        capabilities,
        skip_schema_validation: request.skip_schema_validation,
        lookup: Some(Arc::new(FromCluster { cluster: cluster.clone(), runtime: Handle::current() })),
        dns: request.dns,
        log: Some(Arc::new(move |line| log.line(line.message, []))),
        canceled: Some(canceled),
        ..RenderOptions::default()
    }
}
