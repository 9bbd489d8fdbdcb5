//! What `tests/controlplane/build` says and does where something is missing. A fake `go` and `df` stand in for a machine
//! without Go, with an old one, with a full disk, or that is switched off in the middle.

#![cfg(feature = "real-cluster")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// A `go` that knows its version, and writes `contents` as the binary before it ends with `status`.
fn fake_go(version: &str, contents: &str, status: u8) -> String {
    format!(
        r#"#!/bin/sh
case "$1" in
env) test "$2" = GOVERSION && echo go{version} || echo https://proxy.example.com ;;
list) exit 1 ;;
build) while [ "$1" != -o ]; do shift; done; printf %s '{contents}' >"$2"; exit {status} ;;
esac
"#
    )
}

struct Machine {
    cache: TempDir,
    programs: TempDir,
}

impl Machine {
    /// A machine with the usual programs and these: name and script.
    fn with(scripts: &[(&str, &str)]) -> Result<Self> {
        let machine = Self { cache: TempDir::new()?, programs: TempDir::new()? };
        for tool in [
            "awk", "bash", "cat", "chmod", "cut", "df", "dirname", "flock", "git", "mkdir", "mktemp", "mv",
            "rm", "tr",
        ] {
            let path = std::env::var_os("PATH").context("PATH is not set")?;
            let found =
                std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|path| path.exists());
            std::os::unix::fs::symlink(
                found.with_context(|| format!("{tool} is not on PATH"))?,
                machine.program(tool),
            )?;
        }
        for (name, script) in scripts {
            // Not through the link, which would write to the real program.
            let _ = fs::remove_file(machine.program(name));
            fs::write(machine.program(name), script)?;
            fs::set_permissions(machine.program(name), fs::Permissions::from_mode(0o755))?;
        }
        Ok(machine)
    }

    fn program(&self, name: &str) -> std::path::PathBuf {
        self.programs.path().join(name)
    }

    fn build(&self, names: &[&str]) -> Result<Output> {
        Ok(Command::new("bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("controlplane/build"))
            .args(names)
            .env("PATH", self.programs.path())
            .env("SLUICE_CACHE", self.cache.path())
            .output()?)
    }

    fn binary(&self, name: &str) -> std::path::PathBuf {
        self.cache.path().join("controlplane/bin").join(name)
    }
}

fn refused(output: &Output, wanted: &[&str]) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "the script ends with success: {said}");
    for part in wanted {
        ensure!(said.contains(part), "{part:?} is not in: {said}");
    }
    Ok(())
}

#[test]
fn a_machine_without_go_is_told_how_to_get_it() -> Result<()> {
    refused(&Machine::with(&[])?.build(&["helm"])?, &["go was not found", "hint: install Go 1.26"])
}

#[test]
fn an_old_go_is_named() -> Result<()> {
    let machine = Machine::with(&[("go", &fake_go("1.25.3", "", 0))])?;
    refused(&machine.build(&["helm"])?, &["go1.25.3 is too old", "Go 1.26"])
}

#[test]
fn a_full_disk_is_named() -> Result<()> {
    let df = "#!/bin/sh\necho 'Filesystem 1024-blocks Used Available Capacity Mounted on'\necho 'd 9 9 102400 9% /'\n";
    let machine = Machine::with(&[("go", &fake_go("1.26.0", "", 0)), ("df", df)])?;
    refused(&machine.build(&["helm"])?, &["100 MiB left", "needs 4096 MiB", "SLUICE_CACHE"])
}

#[test]
fn an_unknown_binary_is_named() -> Result<()> {
    refused(&Machine::with(&[])?.build(&["heml"])?, &["no binary heml", "helm"])
}

#[test]
fn a_build_that_fails_leaves_nothing_that_would_be_used() -> Result<()> {
    let machine = Machine::with(&[("go", &fake_go("1.26.0", "half", 1))])?;
    refused(&machine.build(&["helm"])?, &["go could not build helm", "GOPROXY"])?;
    ensure!(!machine.binary("helm").exists(), "there is a binary");
    let left: Vec<_> = fs::read_dir(machine.cache.path().join("controlplane"))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("helm."))
        .collect();
    ensure!(left.is_empty(), "there is rubbish: {left:?}");
    Ok(())
}

#[test]
fn what_is_whole_is_built_once_and_what_is_not_again() -> Result<()> {
    let machine = Machine::with(&[("go", &fake_go("1.26.0", "first", 0))])?;
    ensure!(machine.build(&["helm"])?.status.success());
    ensure!(fs::read_to_string(machine.binary("helm"))? == "first");
    fs::write(machine.program("go"), fake_go("1.26.0", "second", 0))?;
    ensure!(machine.build(&["helm"])?.status.success());
    ensure!(fs::read_to_string(machine.binary("helm"))? == "first", "it was built again");
    // As if the machine had been switched off after the move, before the note that the binary is whole.
    fs::remove_file(machine.binary(".helm.built"))?;
    ensure!(machine.build(&["helm"])?.status.success());
    ensure!(fs::read_to_string(machine.binary("helm"))? == "second", "a binary without its note was used");
    Ok(())
}
