//! Renders the `helmCharts` of kustomizations.

use std::sync::Arc;

use serde_json::{Map, Value};
use sluice_helm::capabilities::KubeVersion;
use sluice_helm::chart::LoadOptions;
use sluice_helm::manifest::{KindOrder, Manifests, Selection, template_output};
use sluice_helm::{Capabilities, Chart, Release, RenderOptions, Renderer, values};
use sluice_kustomize::{ChartRenderer, ChartRequest};

use super::{log_line, name, template};

/// Renders charts that lie inside the root of a build.
pub(crate) struct Inflator;

impl ChartRenderer for Inflator {
    fn render(&self, request: &ChartRequest) -> Result<String, String> {
        let load = LoadOptions { links_within: Some(request.root.clone()), ..LoadOptions::default() };
        let chart = Chart::load(&request.chart, &load).map_err(|error| error.to_string())?;
        template::check_installable(&chart).map_err(|failure| failure.text)?;
        let mut all = Map::new();
        for over in &request.values {
            // Through text, so that numbers are what they are in a values file.
            let text = sluice_yaml::to_string(&Value::Object(over.clone()));
            values::merge(&mut all, values::read_documents(text.as_bytes())?);
        }
        let mut capabilities = Capabilities::default();
        if let Some(version) = &request.kube_version {
            capabilities.kube_version = KubeVersion::parse(version)
                .map_err(|error| format!("invalid kube version '{version}': {error}"))?;
        }
        capabilities.api_versions.extend(request.api_versions.iter().cloned());
        let name = match (&request.release_name, &request.name_template) {
            (Some(_), Some(_)) => return Err("cannot set --name-template and also specify a name".into()),
            (Some(name), None) => name.clone(),
            (None, Some(template)) => name::render(template).map_err(|failure| failure.text)?,
            (None, None) => template::DEFAULT_NAME.to_owned(),
        };
        let namespace = if request.namespace.is_empty() { "default" } else { &request.namespace };
        let release = Release { name, namespace: namespace.to_owned(), revision: 1, is_upgrade: false };
        let options = RenderOptions {
            capabilities: capabilities.into(),
            log: Some(Arc::new(log_line)),
            ..RenderOptions::default()
        };
        let rendered = Renderer::new(Arc::new(chart))
            .render(&release, &all, &options)
            .map_err(|error| error.to_string())?;
        let manifests =
            Manifests::new(&rendered.files, KindOrder::Install).map_err(|error| error.to_string())?;
        let selection = Selection {
            include_crds: request.include_crds,
            no_hooks: request.skip_hooks,
            skip_tests: request.skip_tests,
        };
        Ok(template_output(&manifests, &rendered.crds, selection))
    }
}
