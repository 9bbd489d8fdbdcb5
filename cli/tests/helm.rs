//! `sluice helm` where no cluster is asked, against what Helm printed: `helm/*.txt` (see [`cases`]).
//!
//! `SLUICE_REGENERATE=1 cargo test -p sluice --test helm` writes them anew.

mod cases;

use std::path::Path;

#[test]
fn commands_print_what_helm_prints() {
    if std::env::var_os("SLUICE_REGENERATE").is_some() {
        cases::regenerate("helm", Path::new("helm"), None);
    }
    let (count, different) = cases::differences("helm", None);
    assert!(different.is_empty(), "{different}");
    assert!(count >= 300, "only {count} commands were run");
}
