//! Regular expressions of schemas: Go's syntax.

use regex::Regex;

/// Compiles a pattern; the error is what Go says.
///
/// The size of the compiled program is bounded by the crate's default: 10 MiB.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| format!("error parsing regexp: {error}"))
}
