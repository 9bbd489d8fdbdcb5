//! Renders charts with the real `helm` and with `sluice helm`, as processes: time, processor time and peak memory of
//! each.
//!
//! A process pays for its start, for reading the chart, for rendering once and for printing. The runs of the two
//! programs alternate, so that a busy machine slows both.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// Arguments of `helm`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The real helm
    #[arg(long, default_value = "helm")]
    helm: PathBuf,

    /// sluice
    #[arg(long, default_value = "target/release/sluice")]
    sluice: PathBuf,

    /// Runs of each program per chart
    #[arg(long, default_value_t = 15)]
    runs: usize,

    /// Templates of the generated charts
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100])]
    templates: Vec<usize>,

    /// More charts: a folder or an archive, with a values file behind a comma
    charts: Vec<String>,
}

/// Arguments of `measure-one`: a program and its arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// What a run of a program took.
#[derive(Debug, Clone, Copy)]
struct Sample {
    time: Duration,
    /// Of all processors, in the program and in the kernel for it.
    processor: Duration,
    /// Resident memory at its peak, in KiB.
    peak: u64,
}

/// What is rendered.
struct Subject {
    name: String,
    arguments: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a folder for the generated charts")?;
    let mut subjects = Vec::new();
    for count in &args.templates {
        let chart = folder.path().join(format!("generated-{count}"));
        generate(&chart, *count)?;
        let name = format!("generated, {count} templates");
        subjects.push(Subject { name, arguments: vec!["r".into(), chart.into()] });
    }
    for chart in &args.charts {
        let (path, values) = chart.split_once(',').map_or((chart.as_str(), None), |(p, v)| (p, Some(v)));
        let mut arguments: Vec<OsString> = vec!["r".into(), path.into()];
        if let Some(values) = values {
            arguments.extend(["-f".into(), Path::new(path).join(values).into()]);
        }
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
        subjects.push(Subject { name, arguments });
    }
    let mut text = format!(
        "{:<28} {:>10} {:>10} {:>7} {:>10} {:>10} {:>7} {:>10} {:>10} {:>7}\n",
        "median of the runs",
        "helm ms",
        "sluice ms",
        "ratio",
        "helm cpu",
        "sluice cpu",
        "ratio",
        "helm MiB",
        "sluice MiB",
        "ratio"
    );
    for subject in &subjects {
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..args.runs.max(1) {
            theirs.push(measure(&[&args.helm], &subject.arguments)?);
            ours.push(measure(&[&args.sluice, Path::new("helm")], &subject.arguments)?);
        }
        text.push_str(&row(&subject.name, median(&theirs), median(&ours)));
    }
    use std::io::Write as _;
    std::io::stdout().lock().write_all(text.as_bytes()).context("cannot print the table")
}

fn row(name: &str, theirs: Sample, ours: Sample) -> String {
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    #[expect(clippy::cast_precision_loss, reason = "memory in MiB, with one digit")]
    let mib = |sample: Sample| sample.peak as f64 / 1024.0;
    format!(
        "{name:<28} {:>10.1} {:>10.1} {:>6.1}x {:>10.1} {:>10.1} {:>6.1}x {:>10.1} {:>10.1} {:>6.1}x\n",
        millis(theirs.time),
        millis(ours.time),
        millis(theirs.time) / millis(ours.time),
        millis(theirs.processor),
        millis(ours.processor),
        millis(theirs.processor) / millis(ours.processor),
        mib(theirs),
        mib(ours),
        mib(theirs) / mib(ours)
    )
}

/// The medians, each number for itself.
fn median(samples: &[Sample]) -> Sample {
    fn middle<T: Ord + Copy + Default>(numbers: impl Iterator<Item = T>) -> T {
        let mut numbers: Vec<T> = numbers.collect();
        numbers.sort_unstable();
        numbers.get(numbers.len() / 2).copied().unwrap_or_default()
    }
    Sample {
        time: middle(samples.iter().map(|sample| sample.time)),
        processor: middle(samples.iter().map(|sample| sample.processor)),
        peak: middle(samples.iter().map(|sample| sample.peak)),
    }
}

/// Runs a program once in a process of its own below a small one, which alone knows its peak of memory.
fn measure(program: &[&Path], arguments: &[OsString]) -> Result<Sample> {
    let this = std::env::current_exe().context("cannot find this program")?;
    let output = Command::new(this)
        .args(["measure-one", "--"])
        .args(program)
        .arg("template")
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start this program again")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    match (output.status.success(), numbers.next(), numbers.next(), numbers.next()) {
        (true, Some(Ok(nanos)), Some(Ok(micros)), Some(Ok(peak))) => {
            Ok(Sample { time: Duration::from_nanos(nanos), processor: Duration::from_micros(micros), peak })
        }
        _ => bail!("{} template {arguments:?} failed", program.first().unwrap_or(&Path::new("")).display()),
    }
}

/// Runs a program, and prints its nanoseconds, its microseconds of processors and its peak of memory in KiB.
pub(crate) fn one(args: &One) -> Result<()> {
    let (program, arguments) = args.command.split_first().context("no program to run")?;
    let begin = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let time = begin.elapsed();
    if !status.success() {
        bail!("{} failed: {status}", program.display());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot read the use of memory")?;
    use std::io::Write as _;
    let processor = [usage.user_time(), usage.system_time()].map(|time| time.num_microseconds());
    let processor: i64 = processor.into_iter().sum();
    writeln!(std::io::stdout(), "{} {processor} {}", time.as_nanos(), usage.max_rss())
        .context("cannot print the numbers")
}

/// A chart as many are written: helpers, values with defaults, one Deployment, Service and ConfigMap per template.
fn generate(chart: &Path, templates: usize) -> Result<()> {
    let write = |name: &str, text: &str| {
        let path = chart.join(name);
        let folder = path.parent().unwrap_or(chart);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text))
            .with_context(|| format!("cannot write {}", path.display()))
    };
    write("Chart.yaml", "apiVersion: v2\nname: generated\nversion: 1.0.0\nappVersion: \"1.0\"\n")?;
    write(
        "values.yaml",
        "replicas: 2\nimage: {repository: example.com/app, tag: \"\"}\nlabels: {team: web}\nresources: {limits: {cpu: 100m, memory: 64Mi}}\nconfig: {level: info, features: [a, b, c]}\n",
    )?;
    write("templates/_helpers.tpl", HELPERS)?;
    (0..templates).try_for_each(|index| write(&format!("templates/app-{index}.yaml"), &app(index)))
}

const HELPERS: &str = r#"{{- define "generated.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- range $key, $value := .Values.labels }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end -}}
"#;

fn app(index: usize) -> String {
    TEMPLATE.replace("INDEX", &index.to_string())
}

const TEMPLATE: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ printf "%s-INDEX" .Release.Name | trunc 63 }}
  labels: {{- include "generated.labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {app: app-INDEX}
  template:
    metadata:
      labels: {app: app-INDEX}
      annotations:
        checksum/config: {{ .Values.config | toJson | sha256sum }}
    spec:
      containers:
      - name: app
        image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
        {{- with .Values.resources }}
        resources: {{- toYaml . | nindent 10 }}
        {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}-INDEX
  labels: {{- include "generated.labels" . | nindent 4 }}
spec:
  ports: [{port: 80}]
  selector: {app: app-INDEX}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-INDEX
data:
  level: {{ .Values.config.level | upper | quote }}
  {{- range $i, $feature := .Values.config.features }}
  feature-{{ $i }}: {{ $feature }}
  {{- end }}
"#;
