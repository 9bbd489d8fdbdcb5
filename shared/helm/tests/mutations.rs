//! Input that is almost right: whatever is done to it, it is taken or refused.
//!
//! These are the functions of `fuzz/`, on inputs that are changed by a fixed sequence, so that a failure repeats.
#![expect(clippy::expect_used, reason = "a test that cannot read its seeds has failed")]

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a crate of its own, read as a module")]
mod entries;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use sluice_gotemplate::stack::with_large_stack;

/// Pieces that mean something to a reader of templates.
const TEMPLATE: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    "/*",
    "*/",
    "(",
    ")",
    "|",
    ":=",
    "=",
    ",",
    ".",
    "$",
    "$x",
    "\"",
    "`",
    "'",
    "\\",
    "\n",
    " ",
    "nil",
    "true",
    "if",
    "else",
    "end",
    "range",
    "with",
    "define",
    "template",
    "block",
    "break",
    "continue",
    "\"d\"",
    "print",
    "printf",
    "\"%[3]*.[2]*[1]f\"",
    "index",
    "slice",
    "0x",
    "1e",
    "1i",
    "_",
    "é",
    "\u{0}",
    "-1",
    "99999999999",
    "include \"d\" .",
    "tpl",
    "toYaml",
    "fromYaml",
    "until",
    "repeat",
    ".Values.l",
    ".Files",
];
/// Pieces that mean something to `--set`.
const SET: &[&str] = &[
    ".", "=", ",", "[", "]", "{", "}", "\\", "[0]", "[-1]", "[65536]", "null", "true", "1", "\"", ":", "é",
    "a.b", " ",
];
/// Pieces that mean something to YAML.
const YAML: &[&str] = &[
    ": ",
    "- ",
    "\n",
    "  ",
    "? ",
    "# ",
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "!!binary ",
    "!!int ",
    "|\n",
    ">-\n",
    "|2+\n",
    "'",
    "\"",
    "\\x",
    "\\u12",
    "{",
    "}",
    "[",
    "]",
    ",",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "\t",
    "\u{85}",
    "\u{feff}",
    "\r\n",
    "0x1f",
    "017",
    "1_000",
    "190:20:30",
    ".inf",
    "1e400",
    "yes",
    "~",
    "2001-01-01",
    "é",
    "\u{0}",
    "\u{7f}",
];

/// A small generator of numbers (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (end.max(1) as u64)).expect("it is below a usize")
    }

    /// One to five changes: a piece of the data removed, written over, replaced by another piece, or copied.
    fn mutate(&mut self, data: &[u8], pieces: &[&str]) -> Vec<u8> {
        let mut data = data.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(data.len() + 1);
            let end = (at + self.below(6)).min(data.len());
            match self.below(if pieces.is_empty() { 2 } else { 4 }) {
                0 => drop(data.drain(at..end)),
                1 => {
                    let byte = u8::try_from(self.below(256)).expect("a byte");
                    drop(data.splice(at..end, [byte]));
                }
                2 => drop(data.splice(at..end, pieces[self.below(pieces.len())].bytes())),
                _ => {
                    let copy = data[at..end].to_vec();
                    let to = self.below(data.len() + 1);
                    drop(data.splice(to..to, copy));
                }
            }
        }
        data
    }
}

/// Runs an entry on changed seeds. Both outcomes must be frequent, or the changes are too wild or too tame.
fn try_all(seeds: &[Vec<u8>], pieces: &'static [&str], rounds: usize, entry: fn(&[u8]) -> bool) {
    assert!(seeds.len() > 10, "only {} seeds", seeds.len());
    let taken = with_large_stack(|| {
        let mut numbers = Numbers(0x5EED);
        (0..rounds)
            .filter(|round| {
                let data = numbers.mutate(&seeds[round % seeds.len()], pieces);
                let outcome = std::panic::catch_unwind(|| entry(&data));
                outcome.unwrap_or_else(|_| panic!("round {round}: {:?}", String::from_utf8_lossy(&data)))
            })
            .count()
    })
    .expect("a thread");
    assert!(taken > rounds / 50 && taken < rounds - rounds / 50, "{taken} of {rounds} were taken");
}

/// What stands in all files of a folder between a mark and the next line that begins like one.
fn seeds(folder: &str, mark: impl Fn(&str) -> bool, ends: &[&str]) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("the cases").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut seeds = Vec::new();
    for file in files {
        let (mut seed, mut open) = (String::new(), false);
        for line in fs::read_to_string(file).expect("a file of cases").split_inclusive('\n') {
            if ends.iter().any(|end| line.starts_with(end)) {
                if open {
                    seeds.push(std::mem::take(&mut seed).into_bytes());
                }
                open = mark(line.trim_end());
            } else if open {
                seed.push_str(line);
            }
        }
    }
    seeds
}

fn templates() -> Vec<Vec<u8>> {
    seeds("../gotemplate/tests/cases/engine", |line| line == "--- in", &["--- "])
}

#[test]
fn templates_are_parsed_or_refused() {
    try_all(&templates(), TEMPLATE, 40_000, entries::parse);
}

#[test]
fn templates_are_executed_or_fail() {
    // What takes long is meant to: it makes keys and hashes passwords.
    let slow = ["gen", "bcrypt", "htpasswd", "derive", "include", "Regex"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gotemplate/tests/cases/functions");
    let mut calls = Vec::new();
    for entry in fs::read_dir(folder).expect("the cases") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a file of cases");
        let lines = text
            .lines()
            .filter(|line| line.starts_with("{{") && !slow.iter().any(|name| line.contains(name)));
        calls.extend(lines.map(|line| line.as_bytes().to_vec()));
    }
    calls.sort();
    calls.extend(templates());
    try_all(&calls, TEMPLATE, 10_000, entries::render);
}

#[test]
fn set_arguments_are_taken_or_refused() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/set.txt")).expect("cases");
    let lines = text.lines().filter_map(|line| line.strip_prefix("args: "));
    let words = lines.flat_map(|line| line.split(' ')).map(|word| word.trim_matches('\''));
    let seeds: Vec<_> =
        words.filter(|word| word.contains('=')).map(|word| word.as_bytes().to_vec()).collect();
    try_all(&seeds, SET, 40_000, entries::set);
}

#[test]
fn yaml_is_read_as_it_is_written_or_refused() {
    let values = |line: &str| line.ends_with(".yaml");
    let mut all = seeds("tests/cases", values, &["--- ", "=== "]);
    all.retain(|seed| !seed.is_empty());
    try_all(&all, YAML, 40_000, entries::yaml);
}

#[test]
fn manifests_are_split_or_refused() {
    let out = |line: &str| line == "--- out";
    try_all(&seeds("tests/cases", out, &["--- ", "=== "]), YAML, 20_000, entries::manifest);
}

#[test]
fn archives_are_read_or_refused() {
    // Changed before they are compressed, or the checksum would refuse nearly all.
    let seeds: Vec<Vec<u8>> = (0..12).map(tarball).collect();
    fn compressed(data: &[u8]) -> bool {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(data).expect("written");
        entries::archive(data) | entries::archive(&gzip.finish().expect("compressed"))
    }
    try_all(&seeds, &["/", "..", "\0", "ustar", "Chart.yaml", "7777777", "-"], 5_000, compressed);
}

/// A chart as a tar archive, with some subcharts.
fn tarball(subcharts: usize) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |path: &str, text: &str| {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes()).expect("a file");
    };
    add("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n");
    add("c/values.yaml", "a: 1\n");
    for index in 0..subcharts {
        add(
            &format!("c/charts/s{index}/Chart.yaml"),
            &format!("apiVersion: v2\nname: s{index}\nversion: 1.0.0\n"),
        );
        add(&format!("c/charts/s{index}/templates/x.yaml"), "a: {{ .Values.a }}\n");
    }
    archive.into_inner().expect("an archive")
}
