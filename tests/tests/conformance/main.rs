//! What the API server answers, request by request, compared with what kube-apiserver answered.
//!
//! The checks are in `tables`, the answers of the real server in `expected`. To write them anew, or after adding checks:
//!
//! ```text
//! SLUICE_RECORD=1 cargo test -p sluice-tests --features real-cluster --test conformance on_a_real_server
//! ```
//!
//! Where the embedded server does not answer like the real one yet, `gaps.yaml` says so, step by step: a new difference
//! fails the test, and so does a gap that is closed and still listed. `SLUICE_RECORD=1` with `on_the_embedded_server`
//! writes that list.
//!
//! `SLUICE_CHECKS=text` performs only the checks that have the text in their names.

mod check;
mod normal;
mod perform;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use serde_json::{Map, Value};
use sluice_tests::{Cluster, on_both_servers};

use check::{Check, Table, gaps_file, tables};

/// Checks that are performed at the same time.
const AT_ONCE: usize = 8;
/// The head of the list of gaps.
const GAPS: &str = "# Steps (from 1) that the embedded server does not answer like the real one yet.\n";

on_both_servers!(answers_are_those_of_a_real_server);

async fn answers_are_those_of_a_real_server(cluster: &Cluster) -> Result<()> {
    let record = std::env::var_os("SLUICE_RECORD").is_some();
    let filter = std::env::var("SLUICE_CHECKS").unwrap_or_default();
    let (mut report, mut performed, mut steps, mut failed) = (String::new(), 0, 0, 0);
    let gaps = read_map(&gaps_file())?;
    let known = |check: &Check| -> BTreeSet<u64> {
        match gaps.get(&check.check) {
            Some(list) if !cluster.is_real() => {
                list.as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
            }
            _ => BTreeSet::new(),
        }
    };
    let mut found_gaps = Map::new();
    for table in tables()? {
        let expected = expectations(&table, record)?;
        let chosen: Vec<&Check> = table.checks.iter().filter(|check| check.check.contains(&filter)).collect();
        let answers: Vec<(&Check, Result<Vec<Value>>)> = futures::stream::iter(chosen)
            .map(async |check| (check, perform::perform(&cluster.client(), check, &known(check)).await))
            .buffered(AT_ONCE)
            .collect()
            .await;
        performed += answers.len();
        let mut kept = Map::new();
        for (check, answer) in answers {
            let answer = answer?;
            let differing = match expected.get(&check.check).and_then(Value::as_array) {
                Some(want) => differing_steps(want, &answer),
                None if record => BTreeMap::new(),
                None => bail!("{}: nothing is recorded for {:?}", table.topic, check.check),
            };
            steps += answer.len();
            if cluster.is_real() && record {
                kept.insert(check.check.clone(), answer.into());
                continue;
            }
            let known = known(check);
            let found: BTreeSet<u64> = differing.keys().copied().collect();
            if !found.is_empty() {
                found_gaps.insert(check.check.clone(), found.iter().copied().collect());
            }
            for step in known.symmetric_difference(&found) {
                failed += 1;
                let why = differing.get(step).map_or("is answered as recorded now", String::as_str);
                writeln!(report, "{}: {}: step {step} {why}", table.topic, check.check)?;
            }
        }
        if !kept.is_empty() {
            let text = merged(&table, expected, kept);
            std::fs::write(table.expectations(), sluice_yaml::to_string(&text))?;
        }
    }
    ensure!(performed > 0, "no check has {filter:?} in its name");
    if record && !cluster.is_real() && filter.is_empty() {
        std::fs::write(gaps_file(), format!("{GAPS}{}", sluice_yaml::to_string(&Value::Object(found_gaps))))?;
        return Ok(());
    }
    ensure!(
        failed == 0,
        "{failed} of {steps} answers in {performed} checks are not as recorded (- expected, + got)\n{report}"
    );
    Ok(())
}

/// The numbers of the steps, from 1, whose answers differ, and how.
fn differing_steps(want: &[Value], got: &[Value]) -> BTreeMap<u64, String> {
    let mut out = BTreeMap::new();
    for (number, at) in (1..).zip(0..want.len().max(got.len())) {
        let mut lines = Vec::new();
        match (want.get(at), got.get(at)) {
            (Some(want), Some(got)) => differences("", want, got, &mut lines),
            _ => lines.push("was not performed".to_owned()),
        }
        if !lines.is_empty() {
            out.insert(number, lines.join("\n    "));
        }
    }
    out
}

fn expectations(table: &Table, record: bool) -> Result<Map<String, Value>> {
    let path = table.expectations();
    if record && !path.exists() {
        return Ok(Map::new());
    }
    read_map(&path)
}

fn read_map(path: &Path) -> Result<Map<String, Value>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    match sluice_yaml::from_str(&text)? {
        Value::Object(map) => Ok(map),
        _ => bail!("{} is not a map", path.display()),
    }
}

/// The expectations of the checks that exist, the new ones before the old ones.
fn merged(table: &Table, mut old: Map<String, Value>, mut new: Map<String, Value>) -> Value {
    let both = table.checks.iter().filter_map(|check| {
        let name = &check.check;
        new.remove(name).or_else(|| old.remove(name)).map(|answer| (name.clone(), answer))
    });
    Value::Object(both.collect())
}

/// Every place where two values differ.
fn differences(path: &str, want: &Value, got: &Value, out: &mut Vec<String>) {
    match (want, got) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let path = format!("{path}/{key}");
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => differences(&path, a, b, out),
                    (Some(a), None) => out.push(format!("{path}\n      - {a}")),
                    (None, Some(b)) => out.push(format!("{path}\n      + {b}")),
                    (None, None) => {}
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}/{at}"), a, b, out);
            }
        }
        (a, b) if a != b => out.push(format!("{path}\n      - {a}\n      + {b}")),
        _ => {}
    }
}
