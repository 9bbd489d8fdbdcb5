//! Runs the tests of a release.

use sluice_helm::manifest::HookEvent;
use sluice_helm::release::Release;

use super::not_found;
use crate::error::ActionError;
use crate::hooks;
use crate::options::{Filter, Test, Wait};
use crate::run::Run;

pub(crate) async fn run(run: &mut Run<'_>, options: &Test) -> Result<Release, ActionError> {
    let mut release = run.helm.last().await?.ok_or_else(not_found)?;
    let wait = Wait::default();
    let how = hooks::How { timeout: options.timeout, wait: &wait, server_side: release.server_side() };
    let chosen = |name: &str| chosen(&options.filters, name);
    let ran = hooks::execute(run, &mut release, HookEvent::Test, &how, &chosen).await;
    run.update(&release).await?;
    ran.map(|()| release)
}

/// Whether filters let a hook run: exclusion wins, and where some are named only those run.
#[must_use]
pub(crate) fn chosen(filters: &[Filter], name: &str) -> bool {
    let named = |exclude: bool| filters.iter().any(|filter| filter.exclude == exclude && filter.name == name);
    let some_wanted = filters.iter().any(|filter| !filter.exclude);
    !named(true) && (!some_wanted || named(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusion_wins_over_choice() {
        let filters = |list: &[(&str, bool)]| -> Vec<Filter> {
            list.iter().map(|(name, exclude)| Filter { name: (*name).into(), exclude: *exclude }).collect()
        };
        for (list, name, want) in [
            (&[][..], "a", true),
            (&[("a", false)], "a", true),
            (&[("a", false)], "b", false),
            (&[("a", true)], "a", false),
            (&[("a", true)], "b", true),
            (&[("a", true), ("a", false)], "a", false),
        ] {
            assert_eq!(chosen(&filters(list), name), want, "{list:?} {name}");
        }
    }
}
