//! A chart on its way into the store.

use std::path::PathBuf;

use sluice_api::source::HelmChart;
use sluice_helm::semver::Version;

use super::fault::{Fault, Step};
use super::values;
use crate::work::Work;

/// A chart that was found, and what has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Build {
    pub(super) name: String,
    /// With build metadata, where the chart is changed on the way.
    pub(super) version: String,
    /// The values files that are merged.
    pub(super) values_files: Vec<String>,
    pub(super) state: State,
}

/// How far a chart is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It is known which it is.
    Found,
    /// It is the one that lies in the store.
    Stored { packaged: bool },
    /// It is in a file, as it came.
    Pulled(PathBuf),
    /// It is in a file that was made here.
    Packaged(PathBuf),
}

impl Build {
    /// A chart of that name and version.
    pub(super) fn found(name: String, version: String) -> Self {
        Self { name, version, values_files: Vec::new(), state: State::Found }
    }

    /// The same chart, if it is the one that lies in the store and was made for this generation.
    pub(super) fn if_stored(&self, work: &Work<HelmChart>, packaged: bool) -> Option<Self> {
        let status = work.object.status.as_ref()?;
        let is_same = status.observed_generation == work.generation()
            && status.observed_chart_name.as_deref() == Some(&self.name)
            && status.artifact.as_ref()?.revision == self.version;
        is_same.then(|| Self {
            values_files: status.observed_values_files.clone(),
            state: State::Stored { packaged },
            ..self.clone()
        })
    }

    /// `pulled 'app' chart with version '1.0.0'`
    pub(super) fn summary(&self) -> String {
        let done = match self.state {
            State::Found => "new",
            State::Pulled(_) | State::Stored { packaged: false } => "pulled",
            State::Packaged(_) | State::Stored { packaged: true } => "packaged",
        };
        let mut text = format!("{done} '{}' chart with version '{}'", self.name, self.version);
        if !self.values_files.is_empty() {
            text.push_str(&format!(" and merged values files [{}]", self.values_files.join(" ")));
        }
        text
    }

    /// Reason of condition and event.
    pub(super) fn reason(&self) -> &'static str {
        match self.state {
            State::Packaged(_) | State::Stored { packaged: true } => "ChartPackageSucceeded",
            _ => "ChartPullSucceeded",
        }
    }

    /// Name of the file in the store.
    pub(super) fn file(&self) -> String {
        let name = self.name.rsplit('/').next().unwrap_or(&self.name);
        format!("{name}-{}.tgz", self.version)
    }
}

/// Lower-case letters and digits, with single separators: a name never leads anywhere else.
///
/// # Errors
/// [`Step::Reference`], with Flux's text.
pub(super) fn check_name(name: &str) -> Result<(), Fault> {
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    // Groups of letters, each with at most one slash and one dot behind it.
    let mut rest = name.as_bytes();
    while !rest.is_empty() {
        let word = rest.iter().take_while(|byte| is_word(byte)).count();
        if word == 0 {
            break;
        }
        rest = &rest[word..];
        rest = rest.strip_prefix(b"/").unwrap_or(rest);
        rest = rest.strip_prefix(b".").unwrap_or(rest);
    }
    if name.is_empty() || !rest.is_empty() {
        return Err(Step::Reference.fault(format!(
            "invalid chart name '{name}': a valid name must be lower case letters and numbers and MAY be separated \
             with dashes (-), slashes (/) or periods (.)"
        )));
    }
    Ok(())
}

/// What is added to the version of a chart that is changed here, so that consumers see each change: part of the
/// source's revision, and the generation where values are merged.
pub(super) fn metadata(revision: Option<&str>, work: &Work<HelmChart>) -> String {
    let mut parts: Vec<String> = revision.map(str::to_owned).into_iter().collect();
    if !values::wanted(&work.object.spec.values_files).is_empty() {
        parts.push(work.generation().to_string());
    }
    parts.join(".")
}

/// The version with that build metadata; as it is written where there is none to add.
///
/// # Errors
/// [`Step::Metadata`].
pub(super) fn with_metadata(version: &str, metadata: &str) -> Result<String, Fault> {
    if metadata.is_empty() {
        return Ok(version.to_owned());
    }
    let parsed = Version::parse(version).map_err(|error| {
        Step::Metadata.fault(format!("failed to parse version from chart metadata as SemVer: {error}"))
    })?;
    let version = parsed.with_metadata(metadata).map_err(|error| {
        Step::Metadata.fault(format!("failed to set SemVer metadata on chart version: {error}"))
    })?;
    Ok(version.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_with_single_separators() {
        for (name, want) in [
            ("podinfo", true),
            ("kube-prometheus-stack", true),
            ("group/app.x", true),
            ("0a", true),
            ("a/.b", true),
            ("", false),
            ("App", false),
            ("../x", false),
            ("a//b", false),
            ("a/../b", false),
            ("a_b", false),
            ("/a", false),
            ("a b", false),
        ] {
            assert_eq!(check_name(name).is_ok(), want, "{name:?}");
        }
    }

    #[test]
    fn metadata_takes_the_place_of_what_is_there() {
        for (version, metadata, want) in [
            ("1.2.3", "", "1.2.3"),
            ("v1.2", "", "v1.2"),
            ("1.2.3", "3", "1.2.3+3"),
            ("v1.2", "a1b2.4", "1.2.0+a1b2.4"),
            ("1.2.3-rc.1+old", "5", "1.2.3-rc.1+5"),
        ] {
            assert_eq!(with_metadata(version, metadata).unwrap(), want);
        }
        assert!(matches!(with_metadata("1.2.3", "a/b"), Err(Fault::Build(Step::Metadata, _))));
    }

    #[test]
    fn a_summary_says_what_was_done() {
        let mut build = Build::found("group/app".into(), "1.0.0".into());
        assert_eq!(build.summary(), "new 'group/app' chart with version '1.0.0'");
        assert_eq!(build.file(), "app-1.0.0.tgz");
        build.state = State::Pulled(PathBuf::new());
        assert_eq!(
            (build.summary().as_str(), build.reason()),
            ("pulled 'group/app' chart with version '1.0.0'", "ChartPullSucceeded")
        );
        build.state = State::Packaged(PathBuf::new());
        build.values_files = vec!["a.yaml".into(), "b.yaml".into()];
        assert_eq!(
            build.summary(),
            "packaged 'group/app' chart with version '1.0.0' and merged values files [a.yaml b.yaml]"
        );
    }
}
