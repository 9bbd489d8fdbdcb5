//! How much memory an index of 50,000 chart versions takes: a process of its own, for its peak to be the reader's.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;

use sluice_helm::index;

const VERSIONS: usize = 50_000;
const MIB: u64 = 1 << 20;

/// The most memory that this process has had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") << 10
}

/// An index as servers write them.
fn text(charts: usize) -> String {
    let mut text = "apiVersion: v1\nentries:\n".to_owned();
    for chart in 0..charts {
        writeln!(text, "  chart-{chart}:").expect("text");
        for version in 0..VERSIONS / charts {
            writeln!(
                text,
                "  - apiVersion: v2
    appVersion: 1.{version}.0
    created: \"2026-01-01T00:00:00Z\"
    description: A chart that is there to be counted
    digest: {:064x}
    keywords:
    - one
    - two
    maintainers:
    - email: a@example.com
      name: a
    name: chart-{chart}
    type: application
    urls:
    - https://example.com/charts/chart-{chart}-1.{version}.0.tgz
    version: 1.{version}.0",
                (0xabc << 40) + chart * VERSIONS + version
            )
            .expect("text");
        }
    }
    text
}

/// Converts the index and finds a chart in it; returns the size of its text.
fn read(charts: usize, path: &Path) -> u64 {
    let text = text(charts);
    let mut out = BufWriter::new(File::create(path).expect("file"));
    let summary = index::convert(&text, &mut out).expect("index");
    out.flush().expect("file");
    assert_eq!((summary.charts, summary.versions, summary.dropped), (charts, VERSIONS, 0));
    let size = text.len() as u64;
    drop(text);
    let file = BufReader::new(File::open(path).expect("file"));
    let found = index::find(file, "chart-0", "*").expect("a version");
    assert_eq!(found.version, format!("1.{}.0", VERSIONS / charts - 1));
    size
}

#[test]
fn an_index_is_never_a_tree_in_memory() {
    let dir = tempfile::tempdir().expect("dir");
    let before = peak();
    let size = read(500, &dir.path().join("many"));
    let many = peak();
    assert!(many < 40 * MIB, "{} MiB for a text of {} MiB", many / MIB, size / MIB);
    // Besides the text itself, which the caller has, next to nothing.
    assert!(many < before + size + 8 * MIB, "{} MiB for a text of {} MiB", many / MIB, size / MIB);
    // All in one chart is what nobody has: its versions are kept to be sorted, but as text.
    let size = read(1, &dir.path().join("one"));
    let one = peak();
    assert!(one < before + size * 4, "{} MiB for a text of {} MiB", one / MIB, size / MIB);
    writeln!(std::io::stderr(), "peaks: {} MiB and {} MiB", many / MIB, one / MIB).expect("stderr");
}
