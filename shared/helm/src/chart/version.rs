//! Which kind of chart a `Chart.yaml` speaks of.

use super::LoadError;
use super::metadata::Metadata;

/// Refuses charts of a kind that is not known.
///
/// # Errors
/// Helm's text.
pub(super) fn check(chart_yaml: &[u8]) -> Result<(), LoadError> {
    let mut metadata = Metadata::default();
    metadata.read(chart_yaml).map_err(|error| LoadError::new(format!("cannot load Chart.yaml: {error}")))?;
    match metadata.api_version.as_str() {
        "" | "v1" | "v2" => Ok(()),
        "v3" => Err(LoadError::new("invalid chart apiVersion").with_hint("apiVersion must be `v1` or `v2`")),
        _ => Err(LoadError::new("unsupported chart version")
            .with_hint("apiVersion in Chart.yaml must be `v1` or `v2`")),
    }
}
