//! Why there is no chart, and where that shows (sources.md 3.3, 10.3 and 10.7).

use std::fmt::Display;

use sluice_runtime::conditions::State;

use crate::kind::{BUILD_FAILED, FETCH_FAILED, Failure, SOURCE_VERIFIED, Stop};
use crate::object::SourceObject;
use crate::work::Work;

/// The step of a build that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The spec asks for something that is no chart.
    Reference,
    /// The version of the chart cannot carry the metadata.
    Metadata,
    /// The values files cannot be merged.
    Values,
    /// The chart could not be downloaded.
    Pull,
    /// The subcharts could not be brought together.
    Dependencies,
    /// The chart could not be packed.
    Package,
    /// The signature is not good.
    Verification,
}

impl Step {
    /// Reason of condition and event, and what the message begins with.
    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Reference => ("InvalidChartReference", "invalid chart reference"),
            Self::Metadata => ("MetadataPatchError", "chart metadata patch error"),
            Self::Values => ("ValuesFilesError", "values files merge error"),
            Self::Pull => ("ChartPullError", "chart pull error"),
            Self::Dependencies => ("DependencyBuildError", "dependency build error"),
            Self::Package => ("ChartPackageError", "chart package error"),
            Self::Verification => ("ChartVerificationError", "chart verification error"),
        }
    }

    /// Whether only a change of the chart or of its source can help.
    fn is_permanent(self) -> bool {
        matches!(self, Self::Reference | Self::Metadata | Self::Values)
    }

    /// The fault of this step.
    pub(super) fn fault(self, error: impl Display) -> Fault {
        Fault::Build(self, error.to_string())
    }
}

/// Why there is no chart.
#[derive(Debug)]
pub(super) enum Fault {
    /// A step of the build failed.
    Build(Step, String),
    /// What the build needs could not be set up. The condition then says `Unknown`, and only the event why: clients
    /// look for that.
    Around(Failure, Ending),
    /// The pass ends for another reason.
    Other(Stop),
}

/// How a pass ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Retry,
    Stall,
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failed(failure) if failure.condition == Some(FETCH_FAILED) => {
                Self::Around(failure, Ending::Retry)
            }
            Stop::Stalled(failure) if failure.condition == Some(FETCH_FAILED) => {
                Self::Around(failure, Ending::Stall)
            }
            other => Self::Other(other),
        }
    }
}

impl Fault {
    /// What the repository said to our login.
    pub(super) fn refused(error: impl Display) -> Self {
        let message = format!("failed to authenticate with the Helm repository: {error}");
        Self::Around(Failure::fetch("AuthenticationFailed", message), Ending::Retry)
    }

    /// Something that has no reason of its own went wrong.
    pub(super) fn unexpected(error: impl Display) -> Self {
        Self::Around(Failure::fetch("Failed", error.to_string()), Ending::Retry)
    }

    /// Shows the fault in the conditions and ends the pass.
    pub(super) fn end<O: SourceObject>(self, work: &mut Work<O>) -> Stop {
        let (failure, ending) = match self {
            Self::Build(step, error) => {
                let (reason, prefix) = step.texts();
                let message = format!("{prefix}: {error}");
                let (shown, hidden) = match step {
                    Step::Reference | Step::Pull => (FETCH_FAILED, BUILD_FAILED),
                    _ => (BUILD_FAILED, FETCH_FAILED),
                };
                work.remove_condition(hidden);
                if step == Step::Verification {
                    work.set_condition(SOURCE_VERIFIED, State::False, "VerificationError", message.clone());
                }
                let ending = if step.is_permanent() { Ending::Stall } else { Ending::Retry };
                (Failure::new(shown, reason, message), ending)
            }
            Self::Around(failure, ending) => {
                work.remove_condition(BUILD_FAILED);
                let message = format!("unknown build error: {}", failure.message);
                work.set_condition(FETCH_FAILED, State::True, "Unknown", message);
                (Failure { condition: None, ..failure }, ending)
            }
            Self::Other(stop) => return stop,
        };
        match ending {
            Ending::Retry => failure.retry(),
            Ending::Stall => failure.stall(),
        }
    }
}
