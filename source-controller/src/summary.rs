//! Ready, computed from the other conditions (sources.md 3.2).

use sluice_runtime::conditions::{self, Condition, READY, State};

use crate::kind::{ARTIFACT_IN_STORAGE, SOURCE_VERIFIED};
use crate::object::SourceObject;

/// Sets Ready from the conditions that are present; leaves it alone where there are none.
pub(crate) fn summarize<O: SourceObject>(object: &mut O, generation: i64) {
    let order = O::SUMMARY;
    let list = object.conditions_mut();
    let refused = conditions::get(list, SOURCE_VERIFIED).filter(|condition| condition.status == "False");
    let chosen = refused.or_else(|| {
        order
            .iter()
            .filter_map(|type_| conditions::get(list, type_))
            // The first of the lowest rank: `min_by_key` keeps the earlier of equals.
            .min_by_key(|condition| rank(condition))
    });
    let Some(chosen) = chosen.cloned() else { return };
    let state = match rank(&chosen) {
        0 | 1 => State::False,
        2 | 3 => State::True,
        _ => State::Unknown,
    };
    conditions::set(list, generation, READY, state, &chosen.reason, chosen.message);
}

fn rank(condition: &Condition) -> u8 {
    let positive = [ARTIFACT_IN_STORAGE, SOURCE_VERIFIED].contains(&condition.type_.as_str());
    match (condition.status.as_str(), positive) {
        ("True", false) => 0,
        ("False", true) => 1,
        ("True", true) => 2,
        ("False", false) => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::{ARTIFACT_OUTDATED, FETCH_FAILED, STORAGE_OPERATION_FAILED};
    use sluice_api::Reconcilable;
    use sluice_api::source::GitRepository;
    use sluice_runtime::conditions::RECONCILING;

    #[test]
    fn ready_follows_the_condition_of_the_lowest_rank() {
        use State::{False, True, Unknown};
        for (present, want) in [
            (&[][..], None),
            (&[(ARTIFACT_IN_STORAGE, True)][..], Some(("True", ARTIFACT_IN_STORAGE))),
            (&[(ARTIFACT_IN_STORAGE, True), (FETCH_FAILED, True)], Some(("False", FETCH_FAILED))),
            (
                &[(FETCH_FAILED, True), (STORAGE_OPERATION_FAILED, True), (ARTIFACT_OUTDATED, True)],
                Some(("False", STORAGE_OPERATION_FAILED)),
            ),
            (&[(SOURCE_VERIFIED, False), (FETCH_FAILED, True)], Some(("False", SOURCE_VERIFIED))),
            (&[(ARTIFACT_IN_STORAGE, True), (SOURCE_VERIFIED, True)], Some(("True", ARTIFACT_IN_STORAGE))),
            (&[(ARTIFACT_IN_STORAGE, False), (SOURCE_VERIFIED, True)], Some(("False", ARTIFACT_IN_STORAGE))),
            (&[(ARTIFACT_IN_STORAGE, Unknown)], Some(("Unknown", ARTIFACT_IN_STORAGE))),
            (&[(ARTIFACT_IN_STORAGE, True), (RECONCILING, True)], Some(("False", RECONCILING))),
        ] {
            let mut object = GitRepository::default();
            for (type_, state) in present {
                conditions::set(
                    object.conditions_mut(),
                    1,
                    type_,
                    *state,
                    type_,
                    format!("message of {type_}"),
                );
            }
            summarize(&mut object, 1);
            let ready = object.condition(READY).map(|c| (c.status.as_str(), c.reason.as_str()));
            assert_eq!(ready, want, "{present:?}");
        }
    }
}
