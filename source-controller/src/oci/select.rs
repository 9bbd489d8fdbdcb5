//! Which tag and which layer an OCIRepository means.

use regex::Regex;
use sluice_api::source::{OCILayerSelector, OCIRepositoryRef};
use sluice_git::version::{Range, parse_version};

use super::registry::{Layer, Manifest};

/// Media type of Helm charts, in whose tags `_` stands for `+`.
pub(crate) const HELM_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// What to ask the registry for.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// A digest.
    Digest(String),
    /// A tag.
    Tag(String),
    /// The highest tag in a range.
    Semver { range: Range, filter: Option<Regex>, is_chart: bool },
}

impl Wanted {
    /// Reads `spec.ref`: digest before semver before tag before `latest`.
    ///
    /// # Errors
    /// A range or an expression that cannot be read, for after `failed to determine the artifact tag for '<url>': `.
    pub(crate) fn new(
        reference: Option<&OCIRepositoryRef>,
        selector: Option<&OCILayerSelector>,
    ) -> Result<Self, String> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let Some(reference) = reference else { return Ok(Self::Tag("latest".to_owned())) };
        if let Some(digest) = given(&reference.digest) {
            return Ok(Self::Digest(digest));
        }
        if let Some(semver) = given(&reference.semver) {
            let range = semver.parse().map_err(|error| format!("semver '{semver}' parse error: {error}"))?;
            let filter = match given(&reference.semver_filter) {
                Some(filter) => Some(Regex::new(&filter).map_err(|error| {
                    format!("semverFilter '{filter}' is not a regular expression: {error}")
                })?),
                None => None,
            };
            let is_chart = selector.and_then(|selector| selector.media_type.as_deref()) == Some(HELM_LAYER);
            return Ok(Self::Semver { range, filter, is_chart });
        }
        Ok(Self::Tag(given(&reference.tag).unwrap_or_else(|| "latest".to_owned())))
    }
}

/// The tag of the highest version in the range. Of versions that differ only in build metadata, the lexically greatest
/// tag (Flux leaves that open).
///
/// # Errors
/// `no match found for semver: <range>`.
pub(crate) fn highest(
    tags: Vec<String>,
    range: &Range,
    filter: Option<&Regex>,
    is_chart: bool,
) -> Result<String, String> {
    tags.into_iter()
        .filter(|tag| filter.is_none_or(|filter| filter.is_match(tag)))
        .filter_map(|tag| {
            let version = if is_chart { parse_version(&tag.replace('_', "+")) } else { parse_version(&tag) }?;
            range.matches(&version).then_some((version, tag))
        })
        .max_by(|(a, tag_a), (b, tag_b)| a.cmp_precedence(b).then_with(|| tag_a.cmp(tag_b)))
        .map(|(_, tag)| tag)
        .ok_or_else(|| format!("no match found for semver: {range}"))
}

/// The layer that the selector means: the first one of its media type, or the first of all.
///
/// # Errors
/// With Flux's text.
pub(crate) fn layer<'a>(
    manifest: &'a Manifest,
    selector: Option<&OCILayerSelector>,
) -> Result<&'a Layer, String> {
    match selector.and_then(|selector| selector.media_type.as_deref()).filter(|text| !text.is_empty()) {
        None => manifest.layers.first().ok_or_else(|| "no layers found in artifact".to_owned()),
        Some(media_type) => manifest
            .layers
            .iter()
            .find(|layer| layer.media_type == media_type)
            .ok_or_else(|| format!("failed to find layer with media type '{media_type}' in artifact")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semver_picks_the_highest_tag_in_the_range() {
        for (range, filter, is_chart, tags, want) in [
            (">=6.1.x", None, false, &["6.1.0", "v6.2.0", "latest", "6.2"][..], Ok("v6.2.0")),
            (">= 6.1.x-0", None, false, &["6.1.0", "6.2.0-rc.1"], Ok("6.2.0-rc.1")),
            ("*", None, false, &["6.1.0", "6.2.0-rc.1"], Ok("6.1.0")),
            (">= 6.1.x-0", Some(".*-rc.*"), false, &["6.1.4-rc.1", "6.1.4"], Ok("6.1.4-rc.1")),
            ("<v0.2.1", None, false, &["0.2.0", "0.2.1"], Ok("0.2.0")),
            ("1.x", None, false, &["1.0.0-rc.1"], Err("no match found for semver: 1.x")),
            ("0.1.x", None, true, &["0.1.0_a", "0.1.0_b"], Ok("0.1.0_b")),
            ("0.1.x", None, false, &["0.1.0_a"], Err("no match found for semver: 0.1.x")),
            (">=1", None, false, &[], Err("no match found for semver: >=1")),
        ] {
            let filter = filter.map(|text| Regex::new(text).unwrap());
            let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            let got = highest(tags, &range.parse().unwrap(), filter.as_ref(), is_chart);
            assert_eq!(got.as_deref().map_err(String::as_str), want, "{range}");
        }
    }

    #[test]
    fn references_have_flux_s_precedence() {
        let reference = |digest: &str, semver: &str, tag: &str| OCIRepositoryRef {
            digest: Some(digest.to_owned()),
            semver: Some(semver.to_owned()),
            tag: Some(tag.to_owned()),
            semver_filter: Some("(".to_owned()),
        };
        assert!(matches!(Wanted::new(None, None), Ok(Wanted::Tag(tag)) if tag == "latest"));
        assert!(
            matches!(Wanted::new(Some(&reference("d", "1", "t")), None), Ok(Wanted::Digest(d)) if d == "d")
        );
        assert!(matches!(Wanted::new(Some(&reference("", "", "t")), None), Ok(Wanted::Tag(t)) if t == "t"));
        assert!(
            matches!(Wanted::new(Some(&reference("", "", "")), None), Ok(Wanted::Tag(t)) if t == "latest")
        );
        let error = Wanted::new(Some(&reference("", "1.x", "t")), None).unwrap_err();
        assert!(error.starts_with("semverFilter '(' is not a regular expression"), "{error}");
        let error = Wanted::new(Some(&reference("", "one", "t")), None).unwrap_err();
        assert!(error.starts_with("semver 'one' parse error: "), "{error}");
    }
}
