//! The functions of Sprig 3.3 and of Helm 4, without those that need a chart or a cluster.
//!
//! One file per family. Bodies are small; where a family needs more than a few lines (versions, layouts of times, patterns,
//! certificates, TOML), that is a module of its own which knows nothing of templates.

mod arithmetic;
mod case;
mod cast;
mod crypto;
mod cut;
mod dates;
mod decimal;
mod dicts;
mod durations;
mod encode;
pub mod gotime;
mod json;
mod lists;
mod logic;
mod merge;
mod network;
mod paths;
mod patterns;
mod random;
pub mod regexp;
mod runes;
mod same;
pub mod semver;
mod semvers;
mod strings;
mod toml;
mod url;
mod yaml;

use crate::{Context, Error, Function};
use gotime::Zone;

/// What the functions depend on besides their arguments.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The zone of `date`, `htmlDate` and of parsed times that name none.
    pub local: Zone,
}

impl Default for Settings {
    /// Local time is UTC, so that the same chart renders the same everywhere.
    fn default() -> Self {
        Self { local: Zone::Utc }
    }
}

/// All functions of Sprig and Helm but `include`, `tpl`, `required`, `fail` and `lookup`.
#[must_use]
pub fn functions(settings: &Settings) -> Vec<Function> {
    let source = random::Source::default();
    let families = [
        arithmetic::functions(),
        case::functions(),
        crypto::functions(&source),
        cut::functions(),
        dates::functions(settings),
        dicts::functions(),
        durations::functions(),
        encode::functions(),
        json::functions(),
        lists::functions(),
        logic::functions(),
        network::functions(&source),
        paths::functions(),
        patterns::functions(),
        random::functions(&source),
        semvers::functions(),
        strings::functions(),
        toml::functions(),
        yaml::functions(),
    ];
    families.into_iter().flatten().collect()
}

/// A function's own failure, or what would be a panic in Go: both have the same text in a template.
fn fail(text: impl std::fmt::Display) -> Error {
    Error::message(text.to_string())
}

/// Counts a call that takes as long as many actions, like the making of a key, as so many steps. They also make sure that
/// the time is looked at before it.
fn slow(cx: &Context<'_>) -> Result<(), Error> {
    const STEPS: usize = 1024;
    (0..STEPS).try_for_each(|_| cx.step())
}
