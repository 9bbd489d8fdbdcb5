//! The README's first command, as a user runs it.

use std::process::Command;

#[test]
fn the_demo_holds_every_step() {
    let output = Command::new(env!("CARGO_BIN_EXE_sluice")).arg("demo").output().expect("the binary runs");
    let (table, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{talk}");
    for step in [
        "serve it over HTTP",
        "install the CRDs",
        "the app becomes ready",
        "a new commit rolls out",
        "a removed file is pruned",
        "drift is put right",
        "a bad commit leaves the app alone",
        "git revert restores Ready",
        "a HelmRelease is installed",
        "a new version is an upgrade",
        "a failing upgrade is rolled back",
        "drift of a release is put right",
        "a chart in Git is released",
        "helm list shows the releases",
    ] {
        assert!(table.lines().any(|line| line.starts_with(step)), "no step {step:?} in:\n{table}");
    }
}

#[test]
fn a_kubeconfig_that_is_not_there_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["demo", "--kubeconfig", "/nowhere/kubeconfig"])
        .output()
        .expect("the binary runs");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{talk}");
    assert!(talk.contains("reach the API server") && talk.contains("/nowhere/kubeconfig"), "{talk}");
}
