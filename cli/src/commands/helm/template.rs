//! `helm template`.

use std::sync::Arc;

use sluice_helm::manifest::{KindOrder, Manifests, Selection, select, template_output};
use sluice_helm::render::Lookup;
use sluice_helm::{Chart, Release, RenderError, RenderOptions, Rendered, Renderer};

use sluice_gotemplate::fmt::quoted;

use super::arguments::TemplateOptions;
use super::cluster::Cluster;
use super::{
    Failure, capabilities, load, log, log_line, merge, name, namespace, output_dir, print, wrong_count,
};
use crate::arguments::Global;

/// The name that a release has where none is given.
pub(super) const DEFAULT_NAME: &str = "release-name";

/// What Helm adds to failures behind the checks of chart and values.
const DEBUG: &str = "\n\nUse --debug flag to render out invalid YAML";

pub(super) fn run(options: &TemplateOptions, global: &Global) -> Result<(), Failure> {
    if options.arguments.is_empty() {
        return Err(wrong_count("template", "at least 1 argument", "[NAME] [CHART] [flags]"));
    }
    let offline = capabilities(options.kube_version.as_deref(), &options.api_versions)?;
    let ask = asks_cluster(options)?;
    refuse_what_is_not_done(options)?;
    let (name, chart) = name_and_chart(options)?;
    let chart = super::locate(&chart)?.display().to_string();
    let values = merge(&options.values)?;
    let chart = load(&chart)?;
    chart.advice.iter().for_each(|advice| log("WARN", advice));
    check_installable(&chart)?;
    let cluster = if ask { Some(Arc::new(Cluster::connect(global)?)) } else { None };
    let release = Release { name, namespace: namespace(global), revision: 1, is_upgrade: options.is_upgrade };
    let render = RenderOptions {
        capabilities: cluster.as_ref().map_or(offline, |cluster| cluster.capabilities()).into(),
        skip_schema_validation: options.skip_schema_validation,
        lookup: cluster.clone().map(|cluster| cluster as Arc<dyn Lookup>),
        log: Some(Arc::new(log_line)),
        ..RenderOptions::default()
    };
    let renderer = Renderer::new(Arc::new(chart));
    if ask && !options.skip_crds && renderer.has_crds(&values) {
        log(
            "WARN",
            "This chart or one of its subcharts contains CRDs. Rendering may fail or contain inaccuracies.",
        );
    }
    let rendered =
        renderer.render(&release, &values, &render).map_err(|error| render_failure(&error, options.debug))?;
    let manifests = match Manifests::new(&rendered.files, KindOrder::Install) {
        Ok(manifests) => manifests,
        Err(error) if options.debug => {
            print(&raw(&rendered))?;
            return Err(Failure::new(error.to_string()));
        }
        Err(error) => {
            let lines =
                format!("this was rendered; the problem is near the line that is named:\n{}", error.numbered);
            return Err(Failure::new(format!("{error}{DEBUG}")).hint(lines.trim_end()));
        }
    };
    for line in &manifests.log {
        log(line.level, &line.message);
    }
    if let Some(cluster) = cluster {
        let crds = if options.include_crds { rendered.crds.as_slice() } else { &[] };
        cluster.check(&manifests, crds, &release, options.take_ownership)?;
    }
    let written = write(options, &release.name, &rendered, &manifests);
    // The process ends now: taking its memory apart piece by piece would be time for nothing.
    std::mem::forget((renderer, rendered, manifests));
    written
}

fn write(
    options: &TemplateOptions,
    name: &str,
    rendered: &Rendered,
    manifests: &Manifests,
) -> Result<(), Failure> {
    let selection = Selection {
        include_crds: options.include_crds,
        no_hooks: options.no_hooks,
        skip_tests: options.skip_tests,
    };
    if let Some(folder) = &options.output_dir {
        let release = options.release_name.then_some(name);
        return output_dir::write(folder, release, rendered, manifests, selection, &options.show_only);
    }
    let output = template_output(manifests, &rendered.crds, selection);
    if options.show_only.is_empty() {
        return print(&output);
    }
    print(&select(&output, &options.show_only).map_err(Failure::new)?)
}

/// Whether the flags want a cluster to be asked.
fn asks_cluster(options: &TemplateOptions) -> Result<bool, Failure> {
    if options.validate {
        eprintln!("Flag --validate has been deprecated, use '--dry-run=server' instead");
        if options.dry_run.is_some() {
            return Err(Failure::new(
                "if any flags in the group [validate dry-run] are set none of the others can be; [dry-run validate] were all set",
            ));
        }
    }
    match options.dry_run.as_deref() {
        None | Some("client") => Ok(options.validate),
        Some("server") => Ok(true),
        Some("unset") => {
            log("WARN", "--dry-run is deprecated and should be replaced with '--dry-run=client'");
            Ok(false)
        }
        Some("true") => {
            log(
                "WARN",
                "boolean '--dry-run=true' flag is deprecated and must be replaced with '--dry-run=client'",
            );
            Ok(false)
        }
        Some(other) => {
            let wanted = match other {
                "none" | "false" => "\"server\" or \"client\"",
                _ => "\"none\", \"server\", or \"client\"",
            };
            let other = quoted(other.as_bytes());
            Err(Failure::new(format!("invalid dry-run value ({other}). Must be {wanted}")))
        }
    }
}

fn refuse_what_is_not_done(options: &TemplateOptions) -> Result<(), Failure> {
    if let Some(plugin) = &options.post_renderer {
        let shown = quoted(plugin.as_bytes());
        return Err(Failure::new(format!(
            "invalid argument {shown} for \"--post-renderer\" flag: plugin: {{Name:{plugin} Type:postrenderer/v1}} not found"
        ))
        .hint("plugins are not run here: pipe the output into the program, or use a kustomization with helmCharts"));
    }
    if options.dependency_update {
        log("WARN", "subcharts are not fetched here: --dependency-update has no effect");
    }
    Ok(())
}

fn name_and_chart(options: &TemplateOptions) -> Result<(String, String), Failure> {
    match options.arguments.as_slice() {
        [chart] => {
            let name = match &options.name_template {
                Some(template) => name::render(template)?,
                None => DEFAULT_NAME.to_owned(),
            };
            Ok((name, chart.clone()))
        }
        [_, _] if options.generate_name => {
            Err(Failure::new("cannot set --generate-name and also specify a name"))
        }
        [_, _] if options.name_template.is_some() => {
            Err(Failure::new("cannot set --name-template and also specify a name"))
        }
        [name, chart] => Ok((name.clone(), chart.clone())),
        [_, _, more @ ..] => Err(Failure::new(format!(
            "expected at most two arguments, unexpected arguments: {}",
            more.join(", ")
        ))),
        [] => Err(wrong_count("template", "at least 1 argument", "[NAME] [CHART] [flags]")),
    }
}

/// Refuses libraries and charts without their subcharts; warns of those that nobody should use.
pub(super) fn check_installable(chart: &Chart) -> Result<(), Failure> {
    match chart.metadata.kind.as_str() {
        "" | "application" => {}
        kind => return Err(Failure::new(format!("{kind} charts are not installable"))),
    }
    if chart.metadata.deprecated {
        log("WARN", "this chart is deprecated");
    }
    let missing = sluice_helm::dependencies::missing(chart);
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    Err(Failure::new(format!(
        "an error occurred while checking for chart dependencies. You may need to run 'helm dependency build' to fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: {missing}"
    )))
}

fn render_failure(error: &RenderError, debug: bool) -> Failure {
    // Helm knows the release from here on, and then says how to see more.
    let rendering = matches!(error, RenderError::KubeVersion { .. } | RenderError::Template { .. });
    if let RenderError::Name(_) = error {
        let text = error.to_string();
        let inner = text.strip_prefix("release name check failed: ").unwrap_or(&text);
        eprintln!("level=ERROR msg=\"release name check failed\" error={}", quoted(inner.as_bytes()));
    }
    let text = if rendering && !debug { format!("{error}{DEBUG}") } else { error.to_string() };
    let failure = Failure::new(text);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// All rendered files as they are.
fn raw(rendered: &Rendered) -> String {
    let mut out = String::new();
    for file in rendered.files.iter().filter(|file| !file.text.trim().is_empty()) {
        sluice_helm::manifest::document(&mut out, &file.name, &file.text);
    }
    format!("{}\n", out.trim())
}
