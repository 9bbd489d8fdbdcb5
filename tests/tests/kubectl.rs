//! kubectl, scripted, against both servers: `kubectl/transcript.txt` holds the commands and what a real API server lets
//! kubectl print, where times, identifiers and addresses are replaced. `SLUICE_RECORD=1` writes it anew from the real
//! server:
//!
//! ```text
//! SLUICE_RECORD=1 cargo test -p sluice-tests --features real-cluster --test kubectl on_a_real_server
//! ```
//!
//! kubectl is one of the binaries that `tests/controlplane/build` makes, so both halves need the feature.

#![cfg(feature = "real-cluster")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use regex::Regex;
use sluice_tests::{Cluster, on_both_servers, oracle};

on_both_servers!(the_transcript_holds);

async fn the_transcript_holds(cluster: &Cluster) -> Result<()> {
    cluster.install_crds().await?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubectl");
    let file = folder.join("transcript.txt");
    let expected =
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    // A copy, because the script sets its namespace.
    let kubeconfig = cluster.folder().join("kubectl-config");
    std::fs::copy(cluster.kubeconfig(), &kubeconfig)?;
    let session = Session { program: oracle::find("kubectl")?, folder, kubeconfig, replace: replacements()? };
    let mut seen = String::new();
    let mut differences = String::new();
    for step in steps(&expected) {
        let (command, wanted) = step.split_once('\n').unwrap_or((step, ""));
        let session = session.clone();
        let line = command.to_owned();
        let got = tokio::task::spawn_blocking(move || session.run(&line)).await??;
        if got != wanted {
            writeln!(differences, "{command}\n--- wanted\n{wanted}--- got\n{got}")?;
        }
        writeln!(seen, "{command}\n{got}")?;
    }
    if std::env::var_os("SLUICE_RECORD").is_some() && cluster.is_real() {
        std::fs::write(&file, seen.trim_end().to_owned() + "\n")?;
        return Ok(());
    }
    ensure!(differences.is_empty(), "kubectl prints something else:\n{differences}");
    Ok(())
}

/// The steps of a transcript: a command with its output, each output without its last empty line.
fn steps(transcript: &str) -> impl Iterator<Item = &str> {
    let starts = transcript
        .match_indices("$ kubectl")
        .filter_map(|(at, _)| (at == 0 || transcript[..at].ends_with('\n')).then_some(at));
    let starts: Vec<usize> = starts.chain([transcript.len()]).collect();
    starts
        .windows(2)
        .map(|pair| &transcript[pair[0]..pair[1]])
        .map(|step| step.strip_suffix("\n\n").map_or(step, |_| &step[..step.len() - 1]))
        .collect::<Vec<_>>()
        .into_iter()
}

#[derive(Clone)]
struct Session {
    program: PathBuf,
    folder: PathBuf,
    kubeconfig: PathBuf,
    replace: Vec<(Regex, &'static str)>,
}

impl Session {
    /// Runs a command and returns what it prints on both streams, and its exit status if that is not 0.
    fn run(&self, line: &str) -> Result<String> {
        let arguments = line.trim_start_matches("$ kubectl").split_whitespace();
        let output = Command::new(&self.program)
            .args(arguments)
            .current_dir(&self.folder)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", self.kubeconfig.with_extension("cache"))
            .env("TZ", "UTC")
            .output()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            writeln!(text, "[exit {}]", output.status.code().unwrap_or(-1))?;
        }
        if line.starts_with("$ kubectl explain") {
            text = without_prose(&text);
        }
        for (pattern, replacement) in &self.replace {
            text = pattern.replace_all(&text, *replacement).into_owned();
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text)
    }
}

/// What `kubectl explain` says of types and fields, without their descriptions: the embedded server has none for the
/// built-in kinds.
fn without_prose(text: &str) -> String {
    let facts = ["GROUP:", "KIND:", "VERSION:", "FIELD:", "error:", "[exit"];
    let is_fact = |line: &&str| facts.iter().any(|fact| line.starts_with(fact)) || line.contains("\t<");
    text.lines().filter(is_fact).map(|line| format!("{line}\n")).collect()
}

/// What differs from run to run.
fn replacements() -> Result<Vec<(Regex, &'static str)>> {
    [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000", "TIME"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000( UTC)?", "TIME"),
        (r#"(resourceVersion"?: "?)\d+"#, "${1}VERSION"),
        (r"(Resource Version: +)\d+", "${1}VERSION"),
        (r"\b10\.\d+\.\d+\.\d+\b", "ADDRESS"),
        (r"\b127\.0\.0\.1:\d+\b", "SERVER"),
        (r"/[^ ]*/(LIVE|MERGED)-\d+/", "${1}/"),
        (r"-[0-9a-f]{7,10}-[a-z0-9]{5}\b", "-POD"),
        (r"\bweb-[0-9a-f]{7,10}\b", "web-HASH"),
        (r"\bnode-\d\b", "NODE"),
        (r#"Context "\w+""#, "Context \"NAME\""),
        // How often it says so depends on how fast the pods are.
        (r"(?m)^Waiting for deployment .*\n", ""),
        (r"\b(\d+m)?\d+s\b", "AGE"),
        // Columns are as wide as their widest cell.
        (r"(\S)[ \t]{2,}", "${1}  "),
        (r"[ \t]+\n", "\n"),
    ]
    .into_iter()
    .map(|(pattern, replacement)| Ok((Regex::new(pattern)?, replacement)))
    .collect()
}
