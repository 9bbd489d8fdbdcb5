//! The version of a chart that came from an OCI registry says which artifact it is, so that a moved tag is an upgrade.

use sluice_gotemplate::functions::semver::Version;

/// Hexadecimal digits of the digest in the version.
const SHOWN: usize = 12;

/// A chart's version as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// The version, with part of the digest as metadata.
    pub(crate) version: String,
    /// What `lastAttemptedRevisionDigest` and `ociDigest` say.
    pub(crate) digest: String,
}

/// Why a revision and a version do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VersionError {
    #[error("invalid chart version {0}")]
    Chart(String),
    #[error("invalid artifact revision {0}")]
    Revision(String),
    #[error("artifact revision {revision} does not match chart version {version}")]
    Mismatch { revision: String, version: String },
}

/// The version of a chart that came as the artifact of a revision `<tag>@<digest>` or `<digest>`. Without `track` it
/// stays as it is.
pub(crate) fn used(version: &str, revision: &str, track: bool) -> Result<Used, VersionError> {
    let chart = Version::parse(version).map_err(|_| VersionError::Chart(version.to_owned()))?;
    let invalid = || VersionError::Revision(revision.to_owned());
    // A tag cannot hold a `+`, so registries have `_` in its place.
    let tag = revision.split_once('@').and_then(|(tag, digest)| {
        let tag = Version::parse(&tag.replace('_', "+")).ok()?;
        Some((tag, digest))
    });
    let digest = match tag {
        Some((tag, digest)) => {
            if tag.compare(&chart).is_ne() {
                return Err(VersionError::Mismatch {
                    revision: revision.to_owned(),
                    version: version.to_owned(),
                });
            }
            digest
        }
        None => revision,
    };
    let (_, hex) = digest.split_once(':').ok_or_else(invalid)?;
    let shown = hex.get(..SHOWN).ok_or_else(invalid)?;
    let version = match track {
        true => chart.with_metadata(shown).map_err(|_| invalid())?.to_string(),
        false => version.to_owned(),
    };
    Ok(Used { version, digest: digest.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_name_their_artifact() {
        let sha = "sha256:0123456789abcdef0123";
        for (version, revision, want) in [
            ("1.2.3", format!("1.2.3@{sha}"), Ok(("1.2.3+0123456789ab", sha.to_owned()))),
            ("1.2.3+build", format!("1.2.3_build@{sha}"), Ok(("1.2.3+0123456789ab", sha.to_owned()))),
            ("v1.2.3", format!("1.2.3@{sha}"), Ok(("1.2.3+0123456789ab", sha.to_owned()))),
            ("1.2.3-rc.1", format!("v1.2.3-rc.1@{sha}"), Ok(("1.2.3-rc.1+0123456789ab", sha.to_owned()))),
            ("1.2.3", sha.to_owned(), Ok(("1.2.3+0123456789ab", sha.to_owned()))),
            ("1.2.3", format!("latest@{sha}"), Ok(("1.2.3+0123456789ab", format!("latest@{sha}")))),
            (
                "1.2.3",
                format!("1.2.4@{sha}"),
                Err("artifact revision 1.2.4@sha256:0123456789abcdef0123 does not match chart version 1.2.3"),
            ),
            ("one", sha.to_owned(), Err("invalid chart version one")),
            ("1.2.3", "1.2.3".to_owned(), Err("invalid artifact revision 1.2.3")),
            ("1.2.3", "latest@sha256:01".to_owned(), Err("invalid artifact revision latest@sha256:01")),
        ] {
            let got = used(version, &revision, true).map_err(|err| err.to_string());
            let want = want
                .map(|(version, digest)| Used { version: version.to_owned(), digest })
                .map_err(str::to_owned);
            assert_eq!(got, want, "{version} of {revision}");
        }
        let kept = used("v1.2.3", &format!("1.2.3@{sha}"), false).expect("they go together");
        assert_eq!(kept, Used { version: "v1.2.3".into(), digest: sha.into() });
    }
}
