//! Gives up on an action that was cut off.

use sluice_helm::release::{Release, Status};

use super::not_found;
use crate::error::ActionError;
use crate::run::Run;

pub(crate) async fn run(run: &mut Run<'_>) -> Result<Release, ActionError> {
    let mut release = run.helm.last().await?.ok_or_else(not_found)?;
    if !release.info.status.is_pending() {
        return Err(ActionError::NotFound(format!("release {} is not pending", release.full_name())));
    }
    release.info.description = format!("Release unlocked from stale '{}' state", release.info.status);
    release.info.status = Status::Failed;
    run.update(&release).await?;
    Ok(release)
}
