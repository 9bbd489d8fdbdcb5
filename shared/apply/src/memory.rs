//! Remembers what was applied, so that an unchanged reconcile sends nothing.
//!
//! Per object, some hundred bytes: the sum of what we wanted, the `resourceVersion` and fingerprint that we got, and
//! the last ones that the watch saw. When any of them says that the object is not as we left it, it is applied again.
//! A restart loses this: it costs one apply per object, never a wrong one.

use std::{
    collections::{HashMap, hash_map::Entry as Slot},
    sync::Arc,
};

use crate::{
    fingerprint::Sum,
    object::{GroupKind, ObjectId, Owner},
    status,
};

/// All remembered objects of a cluster.
#[derive(Default)]
pub(crate) struct Memory {
    kinds: HashMap<GroupKind, HashMap<Box<str>, Record>>,
}

struct Record {
    owner: Arc<Owner>,
    wanted: Sum,
    /// `resourceVersion` and fingerprint of our last apply.
    version: u64,
    print: u64,
    /// The last ones from the watch.
    seen_version: u64,
    seen_print: u64,
    /// The readiness that the watch saw last, where it sees whole objects.
    seen_health: Option<status::Kind>,
    /// Whether an apply is all that a change which the watch saw last calls for.
    seen_plain: bool,
    /// `resourceVersion` at which the object was found to be ready, or 0.
    ready: u64,
    state: State,
    skipped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A request of ours is under way: the watch may tell of its effect before its answer does.
    Pending { gone: bool },
    /// As we left it.
    Clean,
    /// Somebody changed or deleted it, and its owner was told.
    Dirty,
}

/// What an apply left behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    pub(crate) wanted: Sum,
    pub(crate) version: u64,
    pub(crate) print: u64,
    pub(crate) ready: bool,
    pub(crate) skipped: bool,
}

/// What is remembered of an object that nobody is known to have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) version: u64,
    pub(crate) print: u64,
    pub(crate) skipped: bool,
}

/// News of an object from the watch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) version: u64,
    /// `None` when it was deleted, or lost its ownership label.
    pub(crate) print: Option<u64>,
    /// Its readiness, where the watch sees whole objects.
    pub(crate) health: Option<status::Kind>,
    /// Whether its metadata call for nothing but an apply: it is not left alone, and no other manager's fields are to be
    /// taken over.
    pub(crate) plain: bool,
}

impl Memory {
    /// Marks a request under way. [`Memory::finish`] or [`Memory::abandon`] must follow.
    pub(crate) fn begin(&mut self, id: &ObjectId, owner: &Arc<Owner>) {
        let record =
            self.kinds.entry(id.group_kind()).or_default().entry(key(id)).or_insert_with(|| Record {
                owner: owner.clone(),
                wanted: Sum::default(),
                version: 0,
                print: 0,
                seen_version: 0,
                seen_print: 0,
                seen_health: None,
                seen_plain: false,
                ready: 0,
                state: State::Clean,
                skipped: false,
            });
        record.owner = owner.clone();
        record.state = State::Pending { gone: false };
    }

    /// Stores the outcome of a request. Returns whether the object was changed again while it was under way.
    pub(crate) fn finish(&mut self, id: &ObjectId, left: Left) -> bool {
        let Some(record) = self.record(id) else { return false };
        let newer = record.seen_version > left.version;
        let moved = match record.state {
            State::Pending { gone: true } => newer,
            _ => newer && record.seen_print != left.print,
        };
        record.wanted = left.wanted;
        record.version = left.version;
        record.print = left.print;
        // The watch may have told already of a later state that is ready.
        if left.ready {
            record.ready = record.ready.max(left.version);
        } else if record.ready <= left.version {
            record.ready = 0;
        }
        record.skipped = left.skipped;
        record.state = if moved { State::Dirty } else { State::Clean };
        moved
    }

    /// Forgets an object whose request did not end well: its state is unknown. Returns whether none of its kind is left.
    pub(crate) fn abandon(&mut self, id: &ObjectId) -> bool {
        let pending = self.record(id).is_some_and(|record| matches!(record.state, State::Pending { .. }));
        pending && self.forget(id)
    }

    /// Forgets an object. Returns whether none of its kind is left.
    pub(crate) fn forget(&mut self, id: &ObjectId) -> bool {
        let Slot::Occupied(mut kind) = self.kinds.entry(id.group_kind()) else { return false };
        kind.get_mut().remove(&*key(id));
        if kind.get().is_empty() {
            kind.remove();
            return true;
        }
        false
    }

    /// What is remembered of an object, if it was wanted like this, by this owner, and nobody changed it since.
    pub(crate) fn known(&self, id: &ObjectId, owner: &Owner, wanted: &Sum) -> Option<Known> {
        let record = self.kinds.get(&id.group_kind())?.get(&*key(id))?;
        (record.state == State::Clean && record.wanted == *wanted && *record.owner == *owner)
            .then_some(Known { version: record.version, print: record.print, skipped: record.skipped })
    }

    /// Whether the object was ready and has not moved since, as far as the watch says.
    pub(crate) fn is_ready(&self, id: &ObjectId) -> bool {
        self.kinds.get(&id.group_kind()).and_then(|kind| kind.get(&*key(id))).is_some_and(|record| {
            record.state == State::Clean
                && record.ready != 0
                && record.ready >= record.version.max(record.seen_version)
        })
    }

    /// The readiness of an object as the watch told it last; in progress while it has yet to tell of our own write.
    pub(crate) fn health(&self, id: &ObjectId) -> Option<status::Kind> {
        let record = self.kinds.get(&id.group_kind())?.get(&*key(id))?;
        if record.seen_version < record.version {
            return Some(status::Kind::InProgress);
        }
        record.seen_health
    }

    /// The newest version known of an object of the owner that was not skipped, if its next apply needs no look at it.
    pub(crate) fn current(&self, id: &ObjectId, owner: &Owner) -> Option<u64> {
        let record = self.kinds.get(&id.group_kind())?.get(&*key(id))?;
        let plain = match record.state {
            State::Clean => true,
            State::Dirty => record.seen_plain,
            State::Pending { .. } => false,
        };
        let ours = plain && *record.owner == *owner && !record.skipped;
        ours.then_some(record.version.max(record.seen_version))
    }

    /// Notes that the object was ready at a `resourceVersion`.
    pub(crate) fn set_ready(&mut self, id: &ObjectId, version: u64) {
        if let Some(record) = self.record(id)
            && version >= record.version
        {
            record.ready = version;
        }
    }

    /// Takes in news from the watch. Returns the owner to tell, if the object is not any more as it left it.
    pub(crate) fn observe(&mut self, id: &ObjectId, seen: Seen) -> Option<Arc<Owner>> {
        let record = self.record(id)?;
        if seen.version <= record.seen_version && seen.print.is_some() {
            return None;
        }
        record.seen_version = record.seen_version.max(seen.version);
        if let Some(print) = seen.print {
            record.seen_print = print;
        }
        record.seen_health = seen.health;
        record.seen_plain = seen.plain && seen.print.is_some();
        if seen.health == Some(status::Kind::Current) {
            record.ready = record.ready.max(seen.version);
        }
        match record.state {
            State::Pending { .. } => {
                record.state = State::Pending { gone: seen.print.is_none() };
                None
            }
            State::Dirty => None,
            State::Clean => {
                let moved = seen.version > record.version && seen.print != Some(record.print);
                if !moved {
                    return None;
                }
                record.state = State::Dirty;
                Some(record.owner.clone())
            }
        }
    }

    /// The highest `resourceVersion` that was written or seen of a kind.
    pub(crate) fn newest(&self, kind: &GroupKind) -> u64 {
        let records = self.kinds.get(kind).into_iter().flat_map(HashMap::values);
        records.map(|record| record.version.max(record.seen_version)).max().unwrap_or(0)
    }

    /// Compares with a complete list taken at `version`: objects that are not in it and were last written before it are
    /// gone. When the list is older than the `newest` known before it was asked for, the server's data were set back,
    /// and nothing remembered holds. Returns what to tell to whom.
    pub(crate) fn resync(
        &mut self,
        kind: &GroupKind,
        version: u64,
        newest: u64,
        listed: &dyn Fn(&ObjectId) -> bool,
    ) -> Vec<(ObjectId, Arc<Owner>)> {
        let Some(records) = self.kinds.get_mut(kind) else { return Vec::new() };
        let set_back = version < newest;
        let mut gone = Vec::new();
        for (key, record) in records {
            let id = id_of(kind, key);
            if set_back {
                record.seen_version = 0;
            } else if listed(&id) || record.version > version {
                continue;
            }
            record.seen_plain = false;
            match record.state {
                State::Clean => {
                    record.state = State::Dirty;
                    gone.push((id, record.owner.clone()));
                }
                State::Pending { .. } if !set_back => {
                    record.seen_version = record.seen_version.max(version);
                    record.state = State::Pending { gone: true };
                }
                State::Pending { .. } | State::Dirty => {}
            }
        }
        gone
    }

    /// Marks all objects of a kind as not as we left them. Returns what to tell to whom.
    pub(crate) fn distrust(&mut self, kind: &GroupKind) -> Vec<(ObjectId, Arc<Owner>)> {
        let Some(records) = self.kinds.get_mut(kind) else { return Vec::new() };
        let mut told = Vec::new();
        for (key, record) in records {
            record.seen_plain = false;
            if record.state == State::Clean {
                record.state = State::Dirty;
                told.push((id_of(kind, key), record.owner.clone()));
            }
        }
        told
    }

    /// Whether any object of the kind is remembered.
    pub(crate) fn holds(&self, kind: &GroupKind) -> bool {
        self.kinds.contains_key(kind)
    }

    /// Who applied an object last.
    pub(crate) fn owner(&self, id: &ObjectId) -> Option<&Arc<Owner>> {
        self.kinds.get(&id.group_kind())?.get(&*key(id)).map(|record| &record.owner)
    }

    /// Whether this object is remembered.
    pub(crate) fn contains(&self, id: &ObjectId) -> bool {
        self.kinds.get(&id.group_kind()).is_some_and(|kind| kind.contains_key(&*key(id)))
    }

    /// Number of remembered objects.
    pub(crate) fn len(&self) -> usize {
        self.kinds.values().map(HashMap::len).sum()
    }

    fn record(&mut self, id: &ObjectId) -> Option<&mut Record> {
        self.kinds.get_mut(&id.group_kind())?.get_mut(&*key(id))
    }
}

fn key(id: &ObjectId) -> Box<str> {
    format!("{}/{}", id.namespace, id.name).into_boxed_str()
}

fn id_of(kind: &GroupKind, key: &str) -> ObjectId {
    let (namespace, name) = key.split_once('/').unwrap_or(("", key));
    ObjectId {
        group: kind.group.clone(),
        kind: kind.kind.clone(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Sum = [7; 16];

    fn id() -> ObjectId {
        ObjectId {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: "a".into(),
            name: "web".into(),
        }
    }

    fn owner() -> Arc<Owner> {
        Arc::new(Owner { namespace: "flux-system".into(), name: "web".into() })
    }

    fn left(version: u64, print: u64) -> Left {
        Left { wanted: WANTED, version, print, ready: false, skipped: false }
    }

    fn seen(version: u64, print: u64) -> Seen {
        Seen { version, print: Some(print), health: None, plain: true }
    }

    fn applied(version: u64, print: u64) -> Memory {
        let mut memory = Memory::default();
        memory.begin(&id(), &owner());
        assert!(!memory.finish(&id(), left(version, print)));
        memory
    }

    #[test]
    fn own_applies_and_status_changes_are_no_drift() {
        let mut memory = applied(10, 1);
        for news in [seen(10, 1), seen(9, 99), seen(12, 1), seen(11, 99)] {
            assert_eq!(memory.observe(&id(), news), None, "{news:?}");
        }
        assert!(memory.known(&id(), &owner(), &WANTED).is_some());
        assert!(memory.known(&id(), &owner(), &[8; 16]).is_none(), "another wish is not known");
    }

    #[test]
    fn a_foreign_change_is_told_once_and_cleared_by_the_next_apply() {
        let mut memory = applied(10, 1);
        assert_eq!(memory.observe(&id(), seen(11, 2)), Some(owner()));
        assert_eq!(memory.observe(&id(), seen(12, 3)), None);
        assert!(memory.known(&id(), &owner(), &WANTED).is_none());
        memory.begin(&id(), &owner());
        assert!(!memory.finish(&id(), left(13, 1)));
        assert!(memory.known(&id(), &owner(), &WANTED).is_some());
    }

    #[test]
    fn a_change_that_the_watch_saw_whole_needs_no_look() {
        let foreign = |plain| Seen { plain, ..seen(11, 2) };
        for (news, want) in [
            (vec![foreign(true)], Some(11)),
            (vec![foreign(false)], None),
            (vec![foreign(false), Seen { version: 12, ..foreign(true) }], Some(12)),
            (vec![Seen { print: None, ..foreign(true) }], None),
        ] {
            let mut memory = applied(10, 1);
            news.iter().for_each(|news| drop(memory.observe(&id(), *news)));
            assert_eq!(memory.current(&id(), &owner()), want, "{news:?}");
        }
        let mut memory = applied(10, 1);
        memory.observe(&id(), foreign(true));
        memory.resync(&id().group_kind(), 12, 11, &|_| false);
        assert_eq!(memory.current(&id(), &owner()), None, "gone while nobody watched");
    }

    #[test]
    fn news_that_overtake_the_answer_are_judged_by_it() {
        for (news, print, moved) in [
            (seen(20, 5), 5, false), // our own apply, seen first
            (seen(19, 9), 5, false), // before our apply
            (seen(21, 5), 5, false), // status after our apply
            (seen(21, 9), 5, true),  // changed after our apply
            (Seen { version: 21, print: None, health: None, plain: true }, 5, true), // deleted after our apply
            (Seen { version: 19, print: None, health: None, plain: true }, 5, false), // deleted before, made anew by us
        ] {
            let mut memory = applied(10, 1);
            memory.begin(&id(), &owner());
            assert_eq!(memory.observe(&id(), news), None);
            assert_eq!(memory.finish(&id(), left(20, print)), moved, "{news:?}");
            assert_eq!(memory.known(&id(), &owner(), &WANTED).is_some(), !moved, "{news:?}");
        }
    }

    #[test]
    fn deletions_are_told_and_own_ones_are_not() {
        let mut memory = applied(10, 1);
        assert_eq!(
            memory.observe(&id(), Seen { version: 11, print: None, health: None, plain: true }),
            Some(owner())
        );
        let mut memory = applied(10, 1);
        assert!(memory.forget(&id()), "the last of its kind");
        assert_eq!(memory.observe(&id(), Seen { version: 11, print: None, health: None, plain: true }), None);
        assert_eq!(memory.len(), 0);
    }

    #[test]
    fn a_list_tells_what_vanished_while_nobody_watched() {
        let kind = id().group_kind();
        let mut memory = applied(10, 1);
        assert!(memory.resync(&kind, 9, 8, &|_| false).is_empty(), "written after the list");
        assert!(memory.resync(&kind, 12, 10, &|_| true).is_empty());
        assert_eq!(memory.resync(&kind, 12, 10, &|_| false), [(id(), owner())]);
        let mut memory = applied(10, 1);
        let newest = memory.newest(&kind);
        assert_eq!(memory.resync(&kind, 3, newest, &|_| true), [(id(), owner())], "the server was set back");
    }

    #[test]
    fn readiness_holds_until_the_object_moves() {
        let mut memory = applied(10, 1);
        assert!(!memory.is_ready(&id()));
        memory.set_ready(&id(), 10);
        assert!(memory.is_ready(&id()));
        memory.observe(&id(), seen(11, 1));
        assert!(!memory.is_ready(&id()));
        memory.set_ready(&id(), 11);
        assert!(memory.is_ready(&id()));
    }

    #[test]
    fn a_watch_of_whole_objects_tells_readiness_too() {
        let told = |version, health| Seen { version, print: Some(1), health: Some(health), plain: true };
        let mut memory = applied(10, 1);
        memory.begin(&id(), &owner());
        memory.observe(&id(), told(22, status::Kind::Current));
        assert!(!memory.finish(&id(), left(20, 1)));
        assert!(memory.is_ready(&id()), "told before the answer to our apply came");
        memory.observe(&id(), told(23, status::Kind::InProgress));
        assert!(!memory.is_ready(&id()));
        assert_eq!(memory.health(&id()), Some(status::Kind::InProgress));
        memory.begin(&id(), &owner());
        assert!(!memory.finish(&id(), left(30, 1)));
        memory.observe(&id(), told(29, status::Kind::Failed));
        assert_eq!(memory.health(&id()), Some(status::Kind::InProgress), "that was before our apply");
        memory.observe(&id(), seen(31, 1));
        assert_eq!(memory.health(&id()), None, "metadata tells nothing");
    }

    #[test]
    fn an_unfinished_request_leaves_nothing_to_trust() {
        let mut memory = applied(10, 1);
        memory.begin(&id(), &owner());
        assert!(memory.abandon(&id()), "the last of its kind");
        assert!(memory.known(&id(), &owner(), &WANTED).is_none());
    }
}
