//! `sluice helm` as a user runs it, case by case: it prints what the real Helm prints, fails where that fails, with its
//! words.
//!
//! A file of cases holds one topic:
//!
//! ```text
//! === name of the case
//! --- c/templates/x.yaml          (files; c/Chart.yaml is there unless given; a `\` at the end: no final newline)
//! a: {{ .Values.a }}
//! $ template r c --set a=1        (commands, run one after the other; may begin with VARIABLE=value)
//! --- stdout
//! --- stderr                      (without the lines of the log)
//! --- ours                        (instead of both, where we differ on purpose; only the beginning counts)
//! --- exit 1                      (where it is not 0)
//! ```
//!
//! What Helm says on standard error is the beginning of what we say: hints follow. With `SLUICE_REGENERATE` set, stdout,
//! stderr and exit are written anew with the real `helm`, which `tests/controlplane/build` makes.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The chart of a case that brings none.
const PLAIN_CHART: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\n";

#[derive(Debug, Default)]
struct Case {
    name: String,
    files: Vec<(String, String)>,
    runs: Vec<Run>,
}

#[derive(Debug, Default)]
struct Run {
    line: String,
    stdout: String,
    stderr: String,
    ours: Option<String>,
    exit: i32,
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut sink: Option<&mut String> = None;
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        if let Some(name) = line.strip_prefix("=== ") {
            sink = None;
            cases.push(Case { name: name.to_owned(), ..Case::default() });
            continue;
        }
        let is_mark = line.starts_with("$ ") || line.starts_with("--- ");
        if !is_mark {
            if let Some(sink) = &mut sink {
                sink.push_str(line);
                sink.push('\n');
            }
            continue;
        }
        let case = cases.last_mut().expect("a file begins with the name of a case");
        if let Some(line) = line.strip_prefix("$ ") {
            sink = None;
            case.runs.push(Run { line: line.to_owned(), ..Run::default() });
            continue;
        }
        let mark = line.strip_prefix("--- ").expect("a mark");
        sink = match case.runs.last_mut() {
            None => {
                case.files.push((mark.to_owned(), String::new()));
                case.files.last_mut().map(|(_, body)| body)
            }
            Some(run) => match mark.split_once(' ') {
                Some(("exit", code)) => {
                    run.exit = code.parse().expect("a number");
                    None
                }
                _ => Some(match mark {
                    "stdout" => &mut run.stdout,
                    "stderr" => &mut run.stderr,
                    "ours" => run.ours.insert(String::new()),
                    // Output of Helm that looks like a mark.
                    other => {
                        let _ = writeln!(run.stdout, "--- {other}");
                        &mut run.stdout
                    }
                }),
            },
        };
    }
    cases
}

fn print(cases: &[Case]) -> String {
    let mut out = String::new();
    let section = |out: &mut String, name: &str, body: &str| {
        let end = if body.ends_with('\n') { "" } else { "\n" };
        let _ = write!(out, "--- {name}\n{body}{end}");
    };
    for case in cases {
        let _ = writeln!(out, "=== {}", case.name);
        for (name, body) in &case.files {
            let _ = write!(out, "--- {name}\n{body}");
        }
        for run in &case.runs {
            let _ = writeln!(out, "$ {}", run.line);
            for (name, body) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
                if !body.is_empty() {
                    section(&mut out, name, body);
                }
            }
            if let Some(ours) = &run.ours {
                section(&mut out, "ours", ours);
            }
            if run.exit != 0 {
                let _ = writeln!(out, "--- exit {}", run.exit);
            }
        }
    }
    out
}

fn write_files(case: &Case, dir: &Path) {
    let write = |name: &str, body: &str| {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, body.strip_suffix("\\\n").unwrap_or(body)).expect("a file");
    };
    fs::create_dir_all(dir.join("c")).expect("a folder");
    write("c/Chart.yaml", PLAIN_CHART);
    for (name, body) in &case.files {
        write(name, body);
    }
}

/// Splits a line at blanks that are not in single or double quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote, mut begun) = (String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None, ' ') => {
                if begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (_, c) => word.push(c),
        }
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    words
}

/// Standard output, standard error without the log, and the exit status.
fn run(
    program: &Path,
    before: &[&str],
    line: &str,
    dir: &Path,
    kubeconfig: Option<&Path>,
) -> (String, String, i32) {
    let mut command = Command::new(program);
    command.env_clear().current_dir(dir).stdin(Stdio::null());
    command.env("HOME", dir).env("TZ", "UTC").env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(kubeconfig.map(|file| ("KUBECONFIG", file))).args(before);
    let mut words = words(line).into_iter().peekable();
    while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
        if !name.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
            break;
        }
        command.env(name, value);
        words.next();
    }
    let output = command.args(words).output().expect("the program runs");
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&dir.display().to_string(), "<dir>");
    let stderr = shown(&output.stderr);
    let said = stderr.split_inclusive('\n').filter(|line| !line.starts_with("level="));
    (shown(&output.stdout), said.collect(), output.status.code().unwrap_or(-1))
}

/// The files of cases of a folder below `tests`.
fn case_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("the cases").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// Writes what the real Helm prints into the cases of a folder.
pub(crate) fn regenerate(folder: &str, helm: &Path, kubeconfig: Option<&Path>) {
    for file in case_files(folder) {
        let mut cases = parse(&fs::read_to_string(&file).expect("a file of cases"));
        for case in &mut cases {
            let dir = tempfile::tempdir().expect("a folder");
            write_files(case, dir.path());
            for command in &mut case.runs {
                (command.stdout, command.stderr, command.exit) =
                    run(helm, &[], &command.line, dir.path(), kubeconfig);
            }
        }
        fs::write(&file, print(&cases)).expect("written");
    }
}

/// Runs the commands of a folder's cases; how many, and those that print something else than Helm.
pub(crate) fn differences(folder: &str, kubeconfig: Option<&Path>) -> (usize, String) {
    let (mut count, mut different) = (0, String::new());
    for file in case_files(folder) {
        let text = fs::read_to_string(&file).expect("a file of cases");
        let cases = parse(&text);
        assert_eq!(print(&cases), text, "{} is not written as it is read", file.display());
        for case in cases {
            let dir = tempfile::tempdir().expect("a folder");
            write_files(&case, dir.path());
            for command in &case.runs {
                count += 1;
                let program = Path::new(env!("CARGO_BIN_EXE_sluice"));
                let (stdout, stderr, exit) = run(program, &["helm"], &command.line, dir.path(), kubeconfig);
                let same = match &command.ours {
                    Some(ours) => format!("{stdout}{stderr}").starts_with(ours.trim_end_matches('\n')),
                    None => {
                        stdout.trim_end_matches('\n') == command.stdout.trim_end_matches('\n')
                            && stderr.starts_with(command.stderr.trim_end_matches('\n'))
                    }
                };
                if !same || exit != command.exit {
                    let _ = writeln!(
                        different,
                        "=== {}: {}\n$ {}\n--- want\n{}{}exit {}\n--- got\n{stdout}{stderr}exit {exit}",
                        file.display(),
                        case.name,
                        command.line,
                        command.stdout,
                        command.ours.as_ref().unwrap_or(&command.stderr),
                        command.exit,
                    );
                }
            }
        }
    }
    (count, different)
}
