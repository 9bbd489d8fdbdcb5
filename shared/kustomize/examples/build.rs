//! `cargo run -p sluice-kustomize --example build DIR`: prints what `kustomize build DIR` prints.

#![expect(clippy::print_stdout, reason = "this is its purpose")]

use std::path::Path;
use std::process::ExitCode;

use sluice_kustomize::{Options, build_reporting, to_yaml};

fn main() -> ExitCode {
    let dir = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let Ok(dir) = Path::new(&dir).canonicalize() else {
        eprintln!("Error: no such directory: {dir}");
        return ExitCode::FAILURE;
    };
    match build_reporting(Path::new("/"), &dir, None, &Options::command_line()) {
        Ok(built) => {
            built.warnings.iter().for_each(|warning| eprintln!("{warning}"));
            print!("{}", to_yaml(&built.objects));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}
