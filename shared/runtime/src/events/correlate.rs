//! Keeps repeated events from flooding the API, by client-go's rules.
//!
//! The same event again only counts up the first one; more than ten different messages of one kind within ten minutes
//! become one event; and an object may write 25 events at once, then one every five minutes.

use super::{Recorded, Severity};
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Different messages until they are put together.
const SIMILAR: usize = 10;
/// Seconds within which messages are put together.
const SIMILAR_SECONDS: i64 = 600;
/// Events of one object at once.
const BURST: f64 = 25.0;
/// Seconds until an object may write one more.
const REFILL_SECONDS: f64 = 300.0;
/// Entries per table.
const ENTRIES: usize = 4096;

/// What to do with an event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Write {
    /// Create it, and report its name with [`Correlator::created`].
    Create { id: Identity, message: String },
    /// Count up the event of this name.
    Count { id: Identity, name: String, count: i32, message: String },
    /// Too many: nothing.
    Drop,
}

/// What makes two events the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Identity {
    class: Class,
    message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Class {
    object: [String; 5],
    warning: bool,
    reason: String,
}

/// Remembers what was written, in bounded tables.
#[derive(Debug, Default)]
pub(crate) struct Correlator {
    written: HashMap<Identity, Written>,
    similar: HashMap<Class, Similar>,
    budgets: HashMap<[String; 5], Budget>,
}

#[derive(Debug)]
struct Written {
    name: String,
    count: i32,
    used: Timestamp,
}

#[derive(Debug)]
struct Similar {
    messages: BTreeSet<String>,
    used: Timestamp,
}

#[derive(Debug)]
struct Budget {
    left: f64,
    used: Timestamp,
}

impl Correlator {
    pub(crate) fn judge(&mut self, recorded: &Recorded) -> Write {
        let now = recorded.at;
        let class = Class::of(recorded);
        if !self.spend(&class.object, now) {
            return Write::Drop;
        }
        let message = &recorded.event.message;
        make_room(&mut self.similar, |s| s.used);
        let similar = self
            .similar
            .entry(class.clone())
            .or_insert_with(|| Similar { messages: BTreeSet::new(), used: now });
        if now.as_second() - similar.used.as_second() > SIMILAR_SECONDS {
            similar.messages.clear();
        }
        similar.used = now;
        if similar.messages.len() < SIMILAR {
            similar.messages.insert(message.clone());
        }
        let combined = similar.messages.len() >= SIMILAR && !similar.messages.contains(message);
        let (key, message) = if combined {
            (String::new(), format!("(combined from similar events): {message}"))
        } else {
            (message.clone(), message.clone())
        };
        let id = Identity { class, message: key };
        match self.written.get_mut(&id) {
            Some(written) => {
                written.count = written.count.saturating_add(1);
                written.used = now;
                Write::Count { name: written.name.clone(), count: written.count, message, id }
            }
            None => Write::Create { id, message },
        }
    }

    /// Remembers under which name an event was created.
    pub(crate) fn created(&mut self, id: Identity, name: String, at: Timestamp) {
        make_room(&mut self.written, |w| w.used);
        self.written.insert(id, Written { name, count: 1, used: at });
    }

    /// Forgets an event that the API server no longer has.
    pub(crate) fn forget(&mut self, id: &Identity) {
        self.written.remove(id);
    }

    fn spend(&mut self, object: &[String; 5], now: Timestamp) -> bool {
        make_room(&mut self.budgets, |b| b.used);
        let budget = self.budgets.entry(object.clone()).or_insert(Budget { left: BURST, used: now });
        let elapsed = (now.as_millisecond() - budget.used.as_millisecond()).max(0) as f64 / 1000.0;
        budget.left = (budget.left + elapsed / REFILL_SECONDS).min(BURST);
        budget.used = now;
        if budget.left < 1.0 {
            return false;
        }
        budget.left -= 1.0;
        true
    }
}

impl Class {
    fn of(recorded: &Recorded) -> Self {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        let o = &recorded.object;
        Self {
            object: [part(&o.kind), part(&o.namespace), part(&o.name), part(&o.uid), part(&o.api_version)],
            warning: recorded.event.severity == Severity::Error,
            reason: recorded.event.reason.clone(),
        }
    }
}

/// Drops the older half of a full table.
fn make_room<K: Eq + Hash + Clone, V>(table: &mut HashMap<K, V>, used: impl Fn(&V) -> Timestamp) {
    if table.len() < ENTRIES {
        return;
    }
    let mut times: Vec<Timestamp> = table.values().map(&used).collect();
    times.sort_unstable();
    let middle = times[times.len() / 2];
    let mut left = ENTRIES / 2;
    table.retain(|_, value| {
        let keep = used(value) >= middle && left > 0;
        left -= usize::from(keep);
        keep
    });
}

#[cfg(test)]
mod tests {
    use super::super::Event;
    use super::*;
    use k8s_openapi::api::core::v1::ObjectReference;

    fn event(name: &str, message: &str, second: i64) -> Recorded {
        Recorded {
            object: ObjectReference { name: Some(name.into()), ..ObjectReference::default() },
            event: Event::info("Reason", message),
            at: Timestamp::from_second(second).unwrap(),
        }
    }

    /// Judges an event and records its creation, as the sink does.
    fn write(correlator: &mut Correlator, event: &Recorded) -> Write {
        let write = correlator.judge(event);
        if let Write::Create { id, .. } = &write {
            correlator.created(id.clone(), format!("{}.1", event.event.message), event.at);
        }
        write
    }

    #[test]
    fn a_repeated_event_is_counted() {
        let mut correlator = Correlator::default();
        assert!(matches!(write(&mut correlator, &event("a", "m", 0)), Write::Create { .. }));
        let again = write(&mut correlator, &event("a", "m", 1));
        assert!(matches!(&again, Write::Count { name, count: 2, .. } if name == "m.1"), "{again:?}");
        assert!(
            matches!(write(&mut correlator, &event("b", "m", 1)), Write::Create { .. }),
            "another object"
        );
    }

    #[test]
    fn many_similar_events_are_combined() {
        let mut correlator = Correlator::default();
        for i in 0..10 {
            let one = write(&mut correlator, &event("a", &format!("m{i}"), i));
            assert!(matches!(&one, Write::Create { message, .. } if *message == format!("m{i}")), "{one:?}");
        }
        let combined = write(&mut correlator, &event("a", "m10", 11));
        assert!(
            matches!(&combined, Write::Create { message, .. } if message == "(combined from similar events): m10"),
            "{combined:?}"
        );
        let more = write(&mut correlator, &event("a", "m11", 12));
        assert!(
            matches!(&more, Write::Count { count: 2, message, .. } if message == "(combined from similar events): m11"),
            "{more:?}"
        );
        let later = write(&mut correlator, &event("a", "m12", 700));
        assert!(matches!(&later, Write::Create { message, .. } if message == "m12"), "{later:?}");
    }

    #[test]
    fn an_object_that_floods_is_held_back() {
        let mut correlator = Correlator::default();
        let written = (0..100).filter(|_| write(&mut correlator, &event("a", "m", 0)) != Write::Drop).count();
        assert_eq!(written, 25);
        assert_ne!(write(&mut correlator, &event("b", "m", 0)), Write::Drop, "others are not");
        assert_ne!(write(&mut correlator, &event("a", "m", 301)), Write::Drop, "one more after five minutes");
        assert_eq!(write(&mut correlator, &event("a", "m", 301)), Write::Drop);
    }

    #[test]
    fn tables_are_bounded() {
        let mut correlator = Correlator::default();
        for i in 0..10_000 {
            write(&mut correlator, &event(&format!("o{i}"), "m", i));
        }
        for len in [correlator.written.len(), correlator.similar.len(), correlator.budgets.len()] {
            assert!((ENTRIES / 4..=ENTRIES).contains(&len), "{len}");
        }
    }
}
