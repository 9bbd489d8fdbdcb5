//! What the API server answers, request by request, compared with what kube-apiserver answered.
//!
//! The checks are in `tables`, the answers of the real server in `expected`. To write them anew, or after adding checks:
//!
//! ```text
//! SLUICE_RECORD=1 cargo test -p sluice-tests --features real-cluster --test conformance on_a_real_server
//! ```
//!
//! `SLUICE_CHECKS=text` performs only the checks that have the text in their names.

mod check;
mod normal;
mod perform;

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use serde_json::{Map, Value};
use sluice_tests::{Cluster, on_both_servers};

use check::{Check, Table, tables};

/// Checks that are performed at the same time.
const AT_ONCE: usize = 8;

on_both_servers!(answers_are_those_of_a_real_server);

async fn answers_are_those_of_a_real_server(cluster: &Cluster) -> Result<()> {
    let record = cluster.is_real() && std::env::var_os("SLUICE_RECORD").is_some();
    let filter = std::env::var("SLUICE_CHECKS").unwrap_or_default();
    let (mut report, mut performed, mut failed) = (String::new(), 0, 0);
    for table in tables()? {
        let expected = expectations(&table, record)?;
        let chosen: Vec<&Check> = table.checks.iter().filter(|check| check.check.contains(&filter)).collect();
        let answers: Vec<(&Check, Result<Value>)> = futures::stream::iter(chosen)
            .map(async |check| (check, perform::perform(&cluster.client(), check).await))
            .buffered(AT_ONCE)
            .collect()
            .await;
        performed += answers.len();
        let mut kept = Map::new();
        for (check, answer) in answers {
            let problems = match &answer {
                Err(error) => vec![format!("{error:#}")],
                Ok(_) if record => Vec::new(),
                Ok(answer) => {
                    let mut out = Vec::new();
                    match expected.get(&check.check) {
                        Some(want) => differences("", want, answer, &mut out),
                        None => out.push("nothing is recorded for this check".to_owned()),
                    }
                    match &check.differs {
                        Some(why) if !cluster.is_real() && out.is_empty() => {
                            vec![format!(
                                "answers like the real server now, though it is said to differ: {why}"
                            )]
                        }
                        Some(_) if !cluster.is_real() => Vec::new(),
                        _ => out,
                    }
                }
            };
            if !problems.is_empty() {
                failed += 1;
                writeln!(report, "{}: {}\n    {}", table.topic, check.check, problems.join("\n    "))?;
            }
            kept.extend(answer.ok().map(|answer| (check.check.clone(), answer)));
        }
        if record && !kept.is_empty() {
            let text = merged(&table, expected, kept);
            std::fs::write(table.expectations(), sluice_yaml::to_string(&text))?;
        }
    }
    ensure!(performed > 0, "no check has {filter:?} in its name");
    ensure!(failed == 0, "{failed} of {performed} checks answer differently (- expected, + got)\n{report}");
    Ok(())
}

fn expectations(table: &Table, record: bool) -> Result<Map<String, Value>> {
    let path = table.expectations();
    let text = match std::fs::read_to_string(&path) {
        Err(_) if record => return Ok(Map::new()),
        text => text.with_context(|| path.display().to_string())?,
    };
    match sluice_yaml::from_str(&text)? {
        Value::Object(map) => Ok(map),
        _ => anyhow::bail!("{} is not a map", path.display()),
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
