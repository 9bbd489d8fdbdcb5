//! Renders real public charts with the real Helm and with this crate, and compares.
//!
//! Does nothing where the charts (`../shared/charts` beside the checkout, or `SLUICE_CHARTS`) or a `helm` of version 4
//! on PATH are missing; `tests/oracle.rs` does its work everywhere. What Helm printed is kept in Cargo's folder for
//! temporary files, because Helm is the slow one.
//!
//! Each chart is rendered with its defaults and with every file in its `ci/`, and then again with each of the flags that
//! turn other branches of templates over. Text is compared; where two runs of Helm differ in a line (passwords,
//! certificates), that line is compared by what stands before its value. Of errors the first line is compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sluice_helm::capabilities::KubeVersion;
use sluice_helm::chart::LoadOptions;
use sluice_helm::manifest::{KindOrder, Manifests, Selection, template_output};
use sluice_helm::values::Sources;
use sluice_helm::{Chart, Release, RenderOptions, Renderer};

/// The flags of one run, beside the values file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    Plain,
    Crds,
    Upgrade,
    NoHooks,
    OldCluster,
    Monitoring,
    Notes,
}

const VARIANTS: [Variant; 7] = [
    Variant::Plain,
    Variant::Crds,
    Variant::Upgrade,
    Variant::NoHooks,
    Variant::OldCluster,
    Variant::Monitoring,
    Variant::Notes,
];

impl Variant {
    fn args(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &["template", "--kube-version", "v1.36.0"],
            Self::Crds => &["template", "--kube-version", "v1.36.0", "--include-crds"],
            Self::Upgrade => &["template", "--kube-version", "v1.36.0", "--is-upgrade"],
            Self::NoHooks => &["template", "--kube-version", "v1.36.0", "--no-hooks"],
            Self::OldCluster => &["template", "--kube-version", "v1.25.0"],
            Self::Monitoring => {
                &["template", "--kube-version", "v1.36.0", "--api-versions", "monitoring.coreos.com/v1"]
            }
            Self::Notes => &["install", "--dry-run=client"],
        }
    }
}

struct Run<'c> {
    chart: &'c Path,
    renderer: &'c Renderer,
    values: Option<PathBuf>,
    variant: Variant,
}

impl Run<'_> {
    fn label(&self) -> String {
        let file = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let values = self.values.as_deref().and_then(file).unwrap_or_else(|| "defaults".into());
        format!("{} {values} {:?}", file(self.chart).unwrap_or_default(), self.variant)
    }

    fn ours(&self) -> Result<String, String> {
        let mut options = RenderOptions::default();
        let version = match self.variant {
            Variant::OldCluster => Some("v1.25.0"),
            Variant::Notes => None,
            _ => Some("v1.36.0"),
        };
        let capabilities = Arc::make_mut(&mut options.capabilities);
        if let Some(version) = version {
            capabilities.kube_version = KubeVersion::parse(version).expect("a version");
        }
        if self.variant == Variant::Monitoring {
            capabilities.api_versions.push("monitoring.coreos.com/v1".into());
        }
        let release = Release {
            name: "rel".into(),
            namespace: "ns".into(),
            revision: 1,
            is_upgrade: self.variant == Variant::Upgrade,
        };
        let files = self.values.iter().map(|path| path.display().to_string()).collect();
        let sources = Sources { files, ..Sources::default() };
        let mut read = |name: &str| fs::read(name).map_err(|error| error.to_string());
        let values = sources.merge(&mut read).map_err(|error| error.to_string())?;
        let rendered =
            self.renderer.render(&release, &values, &options).map_err(|error| error.to_string())?;
        if self.variant == Variant::Notes {
            return Ok(rendered.notes.unwrap_or_default().trim().to_owned());
        }
        let manifests =
            Manifests::new(&rendered.files, KindOrder::Install).map_err(|error| error.to_string())?;
        let selection = Selection {
            include_crds: self.variant == Variant::Crds,
            no_hooks: self.variant == Variant::NoHooks,
            ..Selection::default()
        };
        Ok(template_output(&manifests, &rendered.crds, selection))
    }

    /// What Helm prints, from the cache where it was asked before. `again` tells one asking from another.
    fn helm(&self, cache: &Path, again: usize) -> Result<String, String> {
        let kept = cache.join(format!("{} {again}", self.label()));
        let text = fs::read_to_string(&kept).unwrap_or_else(|_| {
            let text = self.ask_helm();
            fs::write(&kept, &text).expect("the cache");
            text
        });
        match text.strip_prefix("Error: ") {
            Some(error) => Err(error.strip_prefix("INSTALLATION FAILED: ").unwrap_or(error).to_owned()),
            None => Ok(text),
        }
    }

    fn ask_helm(&self) -> String {
        let mut command = Command::new("helm");
        let (first, rest) = self.variant.args().split_first().expect("a subcommand");
        command.arg(first).arg("rel").arg(self.chart).args(["--namespace", "ns"]).args(rest);
        if let Some(values) = &self.values {
            command.arg("-f").arg(values);
        }
        let output = command.env("TZ", "UTC").output().expect("helm runs");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            let error = stderr.find("Error: ").map_or(stderr.as_str(), |at| &stderr[at..]);
            let error = error.replace("\n\nUse --debug flag to render out invalid YAML", "");
            return error.trim_end().replace("Error: INSTALLATION FAILED: ", "Error: ");
        }
        match self.variant {
            Variant::Notes => {
                stdout.split_once("\nNOTES:\n").map_or("", |(_, notes)| notes).trim().to_owned()
            }
            _ => stdout,
        }
    }

    fn difference(&self, cache: &Path) -> Option<String> {
        let (got, want) = (self.ours(), self.helm(cache, 0));
        if got == want {
            return None;
        }
        match (&got, &want) {
            (Err(got), Err(want)) if got.lines().next() == want.lines().next() => None,
            (Ok(got), Ok(first)) => {
                // Helm orders objects of equal weight by chance now and then.
                let others: Vec<_> = (1..6).filter_map(|again| self.helm(cache, again).ok()).collect();
                if others.contains(got) {
                    return None;
                }
                let other = others.iter().find(|other| *other != first);
                different_line(got, first, other.map(String::as_str))
            }
            _ => Some(format!("got  {}\nwant {}", shown(&got), shown(&want))),
        }
    }
}

fn shown(result: &Result<String, String>) -> String {
    match result {
        Ok(text) => format!("{} lines", text.lines().count()),
        Err(error) => format!("Error: {error}"),
    }
}

/// The first line that differs; lines in which two runs of Helm differ are compared up to their value.
fn different_line(got: &str, want: &str, other: Option<&str>) -> Option<String> {
    let got: Vec<_> = got.lines().collect();
    let want: Vec<_> = want.lines().collect();
    let other: Vec<_> = other.map_or_else(Vec::new, |text| text.lines().collect());
    let key = |line: &str| {
        let key = line.split_once([':', '=']).map_or("", |(key, _)| key);
        key.replace(|c: char| c.is_ascii_digit(), "0")
    };
    let same = |at: usize| {
        let (Some(got), Some(want)) = (got.get(at), want.get(at)) else { return false };
        got == want || (other.get(at).is_some_and(|other| other != want) && key(got) == key(want))
    };
    let at = (0..got.len().max(want.len())).find(|at| !same(*at))?;
    let from = at.saturating_sub(4);
    let part = |lines: &[&str]| lines.iter().skip(from).take(9).copied().collect::<Vec<_>>().join("\n");
    let source = want[..at.min(want.len())].iter().rev().find(|line| line.starts_with("# Source: "));
    Some(format!(
        "line {} {}\n--- got\n{}\n--- want\n{}",
        at + 1,
        source.copied().unwrap_or_default(),
        part(&got),
        part(&want)
    ))
}

fn sorted(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

#[test]
fn real_charts_render_as_helm_renders_them() {
    let charts = std::env::var_os("SLUICE_CHARTS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/charts"), PathBuf::from);
    let version = Command::new("helm").args(["version", "--short"]).output();
    let helm = version.is_ok_and(|output| output.stdout.starts_with(b"v4."));
    let charts: Vec<_> =
        sorted(&charts).into_iter().filter(|path| path.join("Chart.yaml").exists()).collect();
    if !helm || charts.is_empty() {
        eprintln!("no charts or no helm 4: nothing compared");
        return;
    }
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus");
    fs::create_dir_all(&cache).expect("the cache");
    let only = std::env::var("SLUICE_CASE").ok();
    let (runs, mut different) = (AtomicUsize::new(0), Vec::new());
    for path in &charts {
        let options = LoadOptions { links_anywhere: true, ..LoadOptions::default() };
        let chart = Chart::load(path, &options).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let renderer = Renderer::new(Arc::new(chart));
        let files = sorted(&path.join("ci")).into_iter().filter(|file| file.is_file()).map(Some);
        for values in [None].into_iter().chain(files) {
            for variant in VARIANTS {
                let run = Run { chart: path, renderer: &renderer, values: values.clone(), variant };
                if only.as_ref().is_some_and(|only| !run.label().contains(only.as_str())) {
                    continue;
                }
                runs.fetch_add(1, Ordering::Relaxed);
                if let Some(difference) = run.difference(&cache) {
                    different.push(format!("=== {}\n{difference}", run.label()));
                }
            }
        }
    }
    let runs = runs.into_inner();
    assert!(different.is_empty(), "{} of {runs} differ\n{}", different.len(), different.join("\n"));
    assert!(only.is_some() || runs > 1000, "only {runs} runs");
}
