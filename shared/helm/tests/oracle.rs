//! Every case below `cases/` renders to what the real Helm prints, or fails with its text.
//!
//! A file holds cases of one topic:
//!
//! ```text
//! === name of the case
//! args: --set a=1 -f more.yaml        (optional)
//! --- c/templates/x.yaml              (files; the chart is the folder c, with a plain Chart.yaml unless given)
//! a: {{ .Values.a }}
//! --- out                             (what `helm template r c ARGS` prints)
//! --- log                             (lines of its log, where there are any)
//! --- err                             (its error instead of out)
//! --- ours                            (stands in for out or err where we differ on purpose; written by hand)
//! ```
//!
//! `args` may begin with `notes`: then `out` is what `helm install --dry-run=client` prints under NOTES. A file name
//! that ends in ` -> target` is a symbolic link, one that ends in ` (tgz)` is packed from the files below it.
//!
//! `SLUICE_REGENERATE=1 cargo test -p sluice-helm --test oracle` writes out, log and err anew with the `helm` on PATH
//! (`tests/controlplane/build` makes it).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use sluice_helm::chart::LoadOptions;
use sluice_helm::manifest::{KindOrder, Manifests, Selection, template_output};
use sluice_helm::values::Sources;
use sluice_helm::{Chart, LogLine, Release, RenderOptions, Renderer};

const PLAIN_CHART: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\n";

#[derive(Debug, Default, Clone)]
struct Case {
    name: String,
    args: Vec<String>,
    files: Vec<(String, String)>,
    out: Option<String>,
    log: Option<String>,
    err: Option<String>,
    ours: Option<String>,
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut section: Option<String> = None;
    let mut body = String::new();
    for line in text.lines().chain(["=== end"]) {
        let header = line.strip_prefix("--- ").filter(|_| !cases.is_empty());
        let next_case = line.strip_prefix("=== ");
        if header.is_none() && next_case.is_none() {
            match (&section, line.strip_prefix("args: "), cases.last_mut()) {
                (None, Some(args), Some(case)) => case.args = words(args),
                (Some(_), _, _) => {
                    body.push_str(line);
                    body.push('\n');
                }
                _ => {}
            }
            continue;
        }
        if let (Some(section), Some(case)) = (section.take(), cases.last_mut()) {
            let body = std::mem::take(&mut body);
            match section.as_str() {
                "out" => case.out = Some(body),
                "log" => case.log = Some(body),
                "err" => case.err = Some(body),
                "ours" => case.ours = Some(body),
                _ => case.files.push((section, body)),
            }
        }
        section = header.map(str::to_owned);
        if let Some(name) = next_case {
            cases.push(Case { name: name.to_owned(), ..Case::default() });
        }
    }
    cases.pop();
    cases
}

/// Splits at blanks outside of single quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut any) = (String::new(), false, false);
    for c in text.chars() {
        match c {
            '\'' => (quoted, any) = (!quoted, true),
            ' ' if !quoted => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

fn print(cases: &[Case]) -> String {
    let mut text = String::new();
    for case in cases {
        text.push_str(&format!("=== {}\n", case.name));
        if !case.args.is_empty() {
            let quote = |arg: &String| {
                if arg.is_empty() || arg.contains([' ']) { format!("'{arg}'") } else { arg.clone() }
            };
            text.push_str(&format!("args: {}\n", case.args.iter().map(quote).collect::<Vec<_>>().join(" ")));
        }
        let sections = [("out", &case.out), ("log", &case.log), ("err", &case.err), ("ours", &case.ours)];
        let sections = sections.iter().filter_map(|(name, body)| Some((*name, body.as_ref()?)));
        for (name, body) in case.files.iter().map(|(name, body)| (name.as_str(), body)).chain(sections) {
            text.push_str(&format!("--- {name}\n{}", body.replace("\r\n", "\\r\n")));
        }
    }
    text
}

/// Writes a case's files; a `\` at the end of the last line of a file means that the file does not end with a newline.
fn write(case: &Case, dir: &Path) {
    let mut packed = Vec::new();
    fs::create_dir_all(dir.join("c")).expect("a folder");
    fs::write(dir.join("c/Chart.yaml"), PLAIN_CHART).expect("a file");
    for (name, body) in &case.files {
        if let Some((link, target)) = name.split_once(" -> ") {
            let link = dir.join(link);
            fs::create_dir_all(link.parent().expect("a parent")).expect("a folder");
            std::os::unix::fs::symlink(target, link).expect("a link");
        } else if let Some(archive) = name.strip_suffix(" (tgz)") {
            packed.push(archive.to_owned());
        } else {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            let body = body.strip_suffix("\\\n").unwrap_or(body);
            fs::write(path, body.replace("\\r\n", "\r\n")).expect("a file");
        }
    }
    for archive in packed {
        let target = dir.join(&archive);
        let source = target.with_extension("");
        let file = fs::File::create(&target).expect("a file");
        let mut builder =
            tar::Builder::new(flate2::write::GzEncoder::new(file, flate2::Compression::default()));
        let base = source.file_name().expect("a name");
        builder.append_dir_all(base, &source).expect("packed");
        builder.into_inner().and_then(|gzip| gzip.finish()).expect("packed");
        fs::remove_dir_all(source).expect("removed");
    }
}

/// What is printed, the log, and whether it is an error.
struct Got {
    text: Result<String, String>,
    log: String,
}

fn ours(case: &Case, dir: &Path) -> Got {
    let lines = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&lines);
    let log = move |line: LogLine| {
        let mut lines = sink.lock().expect("the log");
        lines.push_str(&format!("{} {}\n", line.level, line.message));
    };
    let mut release =
        Release { name: "r".into(), namespace: "default".into(), revision: 1, is_upgrade: false };
    let mut sources = Sources::default();
    let mut options = RenderOptions { log: Some(Arc::new(log)), ..RenderOptions::default() };
    let mut notes = false;
    let mut selection = Selection::default();
    let mut args = case.args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        let mut value = || args.next().expect("a value").to_owned();
        match arg {
            "notes" => notes = true,
            "-f" => sources.files.push(value()),
            "--set" => sources.set.push(value()),
            "--set-string" => sources.set_string.push(value()),
            "--set-json" => sources.set_json.push(value()),
            "--set-file" => sources.set_file.push(value()),
            "--set-literal" => sources.set_literal.push(value()),
            "--include-crds" => selection.include_crds = true,
            "--no-hooks" => selection.no_hooks = true,
            "--is-upgrade" => release.is_upgrade = true,
            "--namespace" => release.namespace = value(),
            "--skip-schema-validation" => options.skip_schema_validation = true,
            "--kube-version" => {
                let version = value();
                match sluice_helm::capabilities::KubeVersion::parse(&version) {
                    Ok(version) => Arc::make_mut(&mut options.capabilities).kube_version = version,
                    Err(error) => {
                        let text = format!("invalid kube version '{version}': {error}");
                        return Got { text: Err(text), log: String::new() };
                    }
                }
            }
            "--api-versions" => {
                let versions = value().split(',').map(str::to_owned).collect::<Vec<_>>();
                Arc::make_mut(&mut options.capabilities).api_versions.extend(versions);
            }
            other => panic!("unknown argument {other}"),
        }
    }
    let run = || -> Result<String, String> {
        let mut read = |name: &str| {
            fs::read(dir.join(name)).map_err(|_| format!("open {name}: no such file or directory"))
        };
        let values = sources.merge(&mut read).map_err(|error| error.to_string())?;
        let load = LoadOptions { links_anywhere: true, ..LoadOptions::default() };
        let chart = Chart::load(&dir.join("c"), &load).map_err(|error| error.to_string())?;
        for warning in &chart.warnings {
            lines.lock().expect("the log").push_str(&format!("INFO {warning}\n"));
        }
        let missing = sluice_helm::dependencies::missing(&chart);
        if chart.is_library() {
            return Err("library charts are not installable".into());
        }
        if !missing.is_empty() {
            return Err(format!(
                "an error occurred while checking for chart dependencies. You may need to run 'helm dependency \
                 build' to fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: {}",
                missing.join(", ")
            ));
        }
        let renderer = Renderer::new(Arc::new(chart));
        let rendered = renderer.render(&release, &values, &options).map_err(|error| error.to_string())?;
        if notes {
            return Ok(format!("{}\n", rendered.notes.unwrap_or_default().trim()));
        }
        let manifests =
            Manifests::new(&rendered.files, KindOrder::Install).map_err(|error| error.to_string())?;
        Ok(template_output(&manifests, &rendered.crds, selection))
    };
    let text = run();
    let log = lines.lock().expect("the log").clone();
    Got { text, log }
}

fn real(case: &Case, dir: &Path) -> Got {
    let mut command = Command::new("helm");
    match case.args.first().map(String::as_str) {
        Some("notes") => command.args(["install", "--dry-run=client", "r", "c"]).args(&case.args[1..]),
        _ => command.args(["template", "r", "c"]).args(&case.args),
    };
    let output = command.current_dir(dir).env("TZ", "UTC").output().expect("helm is on PATH");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let (mut log, mut error) = (String::new(), None::<String>);
    for line in stderr.lines() {
        match (&mut error, line.strip_prefix("Error: "), line.strip_prefix("level=")) {
            (Some(error), ..) => {
                error.push('\n');
                error.push_str(line);
            }
            (None, Some(first), _) => error = Some(first.to_owned()),
            (None, None, Some(line)) => {
                let (level, rest) = line.split_once(" msg=").expect("a message");
                log.push_str(&format!("{level} {}\n", unquote(rest)));
            }
            _ => {}
        }
    }
    let text = match error {
        Some(error) => Err(error.replace("\n\nUse --debug flag to render out invalid YAML", "")),
        None => {
            let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok(match case.args.first().map(String::as_str) {
                Some("notes") => {
                    let notes = stdout.split_once("\nNOTES:\n").map_or("", |(_, notes)| notes);
                    format!("{}\n", notes.trim())
                }
                _ => stdout,
            })
        }
    };
    Got { text, log }
}

/// `"a \"b\"" k=v` as `a "b" k=v`.
fn unquote(text: &str) -> String {
    let Some(rest) = text.strip_prefix('"') else { return text.to_owned() };
    let mut out = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(c) => out.push(c),
                None => {}
            },
            '"' => break,
            c => out.push(c),
        }
    }
    out + chars.as_str()
}

fn normal(text: &str, dir: &Path) -> String {
    text.trim_end().replace(&dir.display().to_string(), "<dir>")
}

fn case_files() -> Vec<PathBuf> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<PathBuf> =
        fs::read_dir(cases).expect("cases").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn regenerate() {
    for file in case_files() {
        let mut cases = parse(&fs::read_to_string(&file).expect("a file of cases"));
        for case in &mut cases {
            let dir = tempfile::tempdir().expect("a folder");
            write(case, dir.path());
            let got = real(case, dir.path());
            (case.out, case.err) = (None, None);
            let lines = |text: &str| {
                let text = normal(text, dir.path());
                Some(text + "\n").filter(|text| text != "\n")
            };
            case.log = lines(&got.log);
            match got.text {
                Ok(text) => case.out = Some(text),
                Err(text) => case.err = lines(&text),
            }
        }
        fs::write(&file, print(&cases)).expect("written");
    }
}

#[test]
fn cases_render_to_what_helm_prints() {
    if std::env::var_os("SLUICE_REGENERATE").is_some() {
        regenerate();
    }
    let only = std::env::var("SLUICE_CASE").ok();
    let (mut count, mut different) = (0, Vec::new());
    for file in case_files() {
        for case in parse(&fs::read_to_string(&file).expect("a file of cases")) {
            if only.as_ref().is_some_and(|only| !case.name.contains(only.as_str())) {
                continue;
            }
            count += 1;
            let dir = tempfile::tempdir().expect("a folder");
            write(&case, dir.path());
            let got = ours(&case, dir.path());
            let text = match &got.text {
                Ok(text) => text.replace("\r\n", "\\r\n"),
                Err(text) => format!("Error: {}\n", normal(text, dir.path())),
            };
            let want = match (&case.ours, &case.out, &case.err) {
                (Some(ours), ..) => ours.clone(),
                (None, Some(out), _) => out.clone(),
                (None, None, Some(err)) => format!("Error: {err}"),
                (None, None, None) => panic!("{} has no expectation", case.name),
            };
            // Where a case differs on purpose its log may, too.
            let want_log = case.log.clone().filter(|_| case.ours.is_none());
            // Helm walks maps in any order.
            let sorted = |text: &str| {
                let mut lines: Vec<_> = text.trim_end().lines().map(str::to_owned).collect();
                lines.sort();
                lines
            };
            let log = normal(&got.log, dir.path());
            if text.trim_end() != want.trim_end()
                || want_log.is_some_and(|want| sorted(&want) != sorted(&log))
            {
                let file = file.file_stem().expect("a name").to_string_lossy().into_owned();
                let want_log = case.log.unwrap_or_default();
                different.push(format!(
                    "=== {file}: {}\n--- got\n{text}{log}\n--- want\n{want}{want_log}",
                    case.name
                ));
            }
        }
    }
    assert!(different.is_empty(), "{} of {count} differ\n{}", different.len(), different.join("\n"));
    assert!(only.is_some() || count >= 150, "only {count} cases");
}
