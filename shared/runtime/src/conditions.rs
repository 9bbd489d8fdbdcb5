//! Conditions by Flux's rules (fluxcd/pkg runtime/conditions), on the plain list of any object's status.
//!
//! Differs from usual Kubernetes practice in two points: `lastTransitionTime` moves when status, reason *or* message
//! changes, and the list has a fixed order (Stalled, Reconciling, Ready, then newest generation first, then by name).

use jiff::Timestamp;
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Type of the summary condition.
pub const READY: &str = "Ready";
/// Type of the condition that is present only while work is unfinished.
pub const RECONCILING: &str = "Reconciling";
/// Type of the condition that says no retry will help.
pub const STALLED: &str = "Stalled";
/// Reason while a pass is running.
pub const PROGRESSING: &str = "Progressing";
/// Reason of a [`RECONCILING`] condition that outlives a failed pass.
pub const PROGRESSING_WITH_RETRY: &str = "ProgressingWithRetry";

/// Longest message that the API accepts, in characters.
const MAX_MESSAGE: usize = 32_768;

/// The three values of a condition's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// `True`
    True,
    /// `False`
    False,
    /// `Unknown`
    Unknown,
}

impl State {
    /// The text in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            State::True => "True",
            State::False => "False",
            State::Unknown => "Unknown",
        }
    }
}

/// Sets a condition, and returns whether its status, reason or message changed.
///
/// `generation` is the generation of the object that is being handled. A message that is too long is cut and ends in
/// `...`. The list is left in Flux's order.
pub fn set(
    list: &mut Vec<Condition>,
    generation: i64,
    type_: &str,
    state: State,
    reason: &str,
    message: impl Into<String>,
) -> bool {
    set_at(list, generation, type_, state, reason, message.into(), Timestamp::now())
}

/// Sets a condition to `True`; see [`set`].
pub fn mark_true(
    list: &mut Vec<Condition>,
    generation: i64,
    type_: &str,
    reason: &str,
    message: impl Into<String>,
) -> bool {
    set(list, generation, type_, State::True, reason, message)
}

/// Sets a condition to `False`; see [`set`].
pub fn mark_false(
    list: &mut Vec<Condition>,
    generation: i64,
    type_: &str,
    reason: &str,
    message: impl Into<String>,
) -> bool {
    set(list, generation, type_, State::False, reason, message)
}

/// Sets a condition to `Unknown`; see [`set`].
pub fn mark_unknown(
    list: &mut Vec<Condition>,
    generation: i64,
    type_: &str,
    reason: &str,
    message: impl Into<String>,
) -> bool {
    set(list, generation, type_, State::Unknown, reason, message)
}

/// Sets Reconciling to `True` and removes Stalled, which excludes it.
pub fn mark_reconciling(
    list: &mut Vec<Condition>,
    generation: i64,
    reason: &str,
    message: impl Into<String>,
) -> bool {
    let removed = remove(list, STALLED);
    mark_true(list, generation, RECONCILING, reason, message) || removed
}

/// Sets Stalled to `True` and removes Reconciling, which excludes it.
pub fn mark_stalled(
    list: &mut Vec<Condition>,
    generation: i64,
    reason: &str,
    message: impl Into<String>,
) -> bool {
    let removed = remove(list, RECONCILING);
    mark_true(list, generation, STALLED, reason, message) || removed
}

/// Removes a condition, and returns whether it was there.
pub fn remove(list: &mut Vec<Condition>, type_: &str) -> bool {
    let before = list.len();
    list.retain(|c| c.type_ != type_);
    list.len() != before
}

/// The condition of a type.
pub fn get<'a>(list: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    list.iter().find(|c| c.type_ == type_)
}

/// Whether the condition is present.
pub fn has(list: &[Condition], type_: &str) -> bool {
    get(list, type_).is_some()
}

/// Whether the condition is present with status `True`.
pub fn is_true(list: &[Condition], type_: &str) -> bool {
    get(list, type_).is_some_and(|c| c.status == "True")
}

/// Whether the condition is present with status `False`.
pub fn is_false(list: &[Condition], type_: &str) -> bool {
    get(list, type_).is_some_and(|c| c.status == "False")
}

/// Whether the condition is absent or has status `Unknown`.
pub fn is_unknown(list: &[Condition], type_: &str) -> bool {
    get(list, type_).is_none_or(|c| c.status == "Unknown")
}

/// Reason of a condition, empty if it is absent.
pub fn reason<'a>(list: &'a [Condition], type_: &str) -> &'a str {
    get(list, type_).map_or("", |c| c.reason.as_str())
}

/// Message of a condition, empty if it is absent.
pub fn message<'a>(list: &'a [Condition], type_: &str) -> &'a str {
    get(list, type_).map_or("", |c| c.message.as_str())
}

/// Puts the list in Flux's order.
pub fn sort(list: &mut [Condition]) {
    fn rank(c: &Condition) -> (u8, std::cmp::Reverse<i64>, &str) {
        let class = match c.type_.as_str() {
            STALLED => 0,
            RECONCILING => 1,
            READY => 2,
            _ => 3,
        };
        (class, std::cmp::Reverse(c.observed_generation.unwrap_or(0)), &c.type_)
    }
    list.sort_by(|a, b| rank(a).cmp(&rank(b)));
}

/// Merges what a controller made of its own conditions into a list that others may have changed meanwhile: its `owned`
/// types are taken from `mine` (absent there means removed), all other types from `theirs`.
pub fn merge(theirs: &[Condition], mine: &[Condition], owned: &[&str]) -> Vec<Condition> {
    let is_owned = |c: &&Condition| owned.contains(&c.type_.as_str());
    let mut merged: Vec<Condition> =
        theirs.iter().filter(|c| !is_owned(c)).chain(mine.iter().filter(is_owned)).cloned().collect();
    sort(&mut merged);
    merged
}

fn set_at(
    list: &mut Vec<Condition>,
    generation: i64,
    type_: &str,
    state: State,
    reason: &str,
    message: String,
    now: Timestamp,
) -> bool {
    let message = shorten(message);
    // The API keeps whole seconds; finer times would make an unchanged condition look changed after a round trip.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let changed = match list.iter_mut().find(|c| c.type_ == type_) {
        Some(c) if c.status == state.as_str() && c.reason == reason && c.message == message => {
            c.observed_generation = Some(generation);
            false
        }
        Some(c) => {
            c.status = state.as_str().to_owned();
            c.reason = reason.to_owned();
            c.message = message;
            c.observed_generation = Some(generation);
            c.last_transition_time = Time(now);
            true
        }
        None => {
            list.push(Condition {
                type_: type_.to_owned(),
                status: state.as_str().to_owned(),
                reason: reason.to_owned(),
                message,
                observed_generation: Some(generation),
                last_transition_time: Time(now),
            });
            true
        }
    };
    sort(list);
    changed
}

fn shorten(message: String) -> String {
    if message.len() <= MAX_MESSAGE || message.chars().count() <= MAX_MESSAGE {
        return message;
    }
    let mut cut: String = message.chars().take(MAX_MESSAGE - 3).collect();
    cut.push_str("...");
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn transition_time_moves_with_status_reason_or_message() {
        for (state, reason, message, generation, moves) in [
            (State::True, "Succeeded", "done", 1, false),
            (State::True, "Succeeded", "done", 2, false), // a new generation alone is no transition
            (State::False, "Succeeded", "done", 1, true),
            (State::True, "Other", "done", 1, true),
            (State::True, "Succeeded", "done again", 1, true),
        ] {
            let mut list = Vec::new();
            set_at(&mut list, 1, READY, State::True, "Succeeded", "done".into(), at(100));
            let changed = set_at(&mut list, generation, READY, state, reason, message.into(), at(200));
            let row = format!("{state:?} {reason} {message} {generation}");
            assert_eq!(changed, moves, "{row}");
            assert_eq!(list[0].last_transition_time.0, at(if moves { 200 } else { 100 }), "{row}");
            assert_eq!(list[0].observed_generation, Some(generation), "{row}");
        }
    }

    #[test]
    fn list_is_in_flux_order() {
        let mut list = Vec::new();
        for (type_, generation) in [("Healthy", 1), ("ArtifactInStorage", 2), (READY, 1), ("FetchFailed", 2)]
        {
            mark_true(&mut list, generation, type_, "R", "m");
        }
        mark_true(&mut list, 1, RECONCILING, "R", "m");
        mark_true(&mut list, 1, STALLED, "R", "m");
        let order: Vec<&str> = list.iter().map(|c| c.type_.as_str()).collect();
        assert_eq!(order, [STALLED, RECONCILING, READY, "ArtifactInStorage", "FetchFailed", "Healthy"]);
    }

    #[test]
    fn reconciling_and_stalled_exclude_each_other() {
        let mut list = Vec::new();
        assert!(mark_stalled(&mut list, 1, "R", "m"));
        assert!(mark_reconciling(&mut list, 1, "R", "m"));
        assert!(!has(&list, STALLED) && is_true(&list, RECONCILING));
        assert!(!mark_reconciling(&mut list, 1, "R", "m"), "nothing changed");
        assert!(mark_stalled(&mut list, 1, "R", "m"));
        assert!(has(&list, STALLED) && !has(&list, RECONCILING));
    }

    #[test]
    fn long_messages_are_cut_by_characters() {
        let mut list = Vec::new();
        mark_true(&mut list, 1, READY, "R", "ä".repeat(MAX_MESSAGE));
        assert_eq!(list[0].message.chars().count(), MAX_MESSAGE);
        assert!(!list[0].message.ends_with("..."));
        mark_true(&mut list, 1, READY, "R", "ä".repeat(MAX_MESSAGE + 1));
        assert_eq!(list[0].message.chars().count(), MAX_MESSAGE);
        assert!(list[0].message.ends_with("..."));
    }

    #[test]
    fn merge_keeps_foreign_types_and_drops_removed_own_ones() {
        let (mut theirs, mut mine) = (Vec::new(), Vec::new());
        mark_true(&mut theirs, 1, READY, "Old", "m");
        mark_true(&mut theirs, 1, RECONCILING, "Old", "m");
        mark_true(&mut theirs, 1, "Foreign", "New", "m");
        mark_true(&mut mine, 2, READY, "New", "m");
        mark_true(&mut mine, 1, "Foreign", "Old", "m");
        let merged = merge(&theirs, &mine, &[READY, RECONCILING]);
        let got: Vec<(&str, &str)> = merged.iter().map(|c| (c.type_.as_str(), c.reason.as_str())).collect();
        assert_eq!(got, [(READY, "New"), ("Foreign", "New")]);
    }
}
