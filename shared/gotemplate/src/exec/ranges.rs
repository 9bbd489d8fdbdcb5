//! Loops: over lists, maps, bytes and numbers.

use super::{Machine, frames::Held};
use crate::{
    error::Error,
    parse::{Id, NodeKind, Slot, Template},
    value::{List, Str, Type, Value},
};

/// A running loop.
pub(super) struct Loop {
    items: Items,
    /// The slots of the index and the element, counted from the bottom.
    index: Option<usize>,
    element: Option<usize>,
    /// The first operation of the body, and the one after the loop.
    body: usize,
    end: usize,
    /// How many dots there were before the loop.
    dots: usize,
}

/// What is still to come.
enum Items {
    List {
        list: List,
        next: usize,
        boxed: bool,
    },
    Bytes {
        bytes: Str,
        next: usize,
    },
    /// The entries as they were when the loop began.
    Entries {
        entries: std::vec::IntoIter<(Str, Value)>,
        boxed: bool,
    },
    Numbers {
        next: i64,
        end: i64,
        make: fn(i64) -> Value,
    },
}

/// Whether a loop has a first round.
pub(super) enum Start {
    Started,
    Empty,
}

impl Items {
    fn next(&mut self) -> Option<(Value, Held)> {
        match self {
            Items::List { list, next, boxed } => {
                let value = list.get(*next)?.clone();
                *next += 1;
                Some((Value::Int(*next as i64 - 1), Held { value, boxed: *boxed }))
            }
            Items::Bytes { bytes, next } => {
                let value = Value::Uint8(*bytes.get(*next)?);
                *next += 1;
                Some((Value::Int(*next as i64 - 1), Held { value, boxed: false }))
            }
            Items::Entries { entries, boxed } => {
                let (key, value) = entries.next()?;
                Some((Value::String(key), Held { value, boxed: *boxed }))
            }
            Items::Numbers { next, end, make } => {
                if next >= end {
                    return None;
                }
                let value = make(*next);
                *next += 1;
                Some((Value::Absent, Held { value, boxed: false }))
            }
        }
    }
}

impl Machine<'_> {
    /// Starts a loop over a value; the first round is the next operation.
    pub(super) fn start_loop(
        &mut self,
        template: &Template,
        pipe: Id,
        value: Value,
        end: u32,
    ) -> Result<Start, Error> {
        let NodeKind::Pipe { decls, .. } = &template.node(pipe).kind else { return Ok(Start::Empty) };
        let decls = template.decls(decls);
        let value = match &value {
            Value::Object(object) => object.underlying().unwrap_or(value),
            _ => value,
        };
        let numbers = |end: i64, make| Items::Numbers { next: 0, end, make };
        let items = match &value {
            Value::Absent | Value::Nil => return Ok(Start::Empty),
            Value::List(list) => Items::List { list: list.clone(), next: 0, boxed: list.elem() == Type::Any },
            Value::Bytes(bytes) => Items::Bytes { bytes: bytes.clone(), next: 0 },
            Value::Map(map) => {
                let boxed = map.map_type().elem == Type::Any;
                Items::Entries { entries: map.snapshot().into_iter(), boxed }
            }
            Value::Int(n) => numbers(*n, Value::Int),
            Value::Int64(n) => numbers(*n, Value::Int64),
            Value::Uint8(n) => numbers(i64::from(*n), |n| Value::Uint8(n as u8)),
            Value::Uint32(n) => numbers(i64::from(*n), |n| Value::Uint32(n as u32)),
            Value::Uint64(n) => numbers(i64::try_from(*n).unwrap_or(i64::MAX), |n| Value::Uint64(n as u64)),
            other => {
                let shown = crate::fmt::brief(other);
                return Err(self.error(format!("range can't iterate over {shown}")));
            }
        };
        if matches!(items, Items::Numbers { .. }) && decls.len() > 1 {
            let shown = crate::fmt::brief(&value);
            return Err(self.error(format!("can't use {shown} to iterate over more than one variable")));
        }
        let slots: Vec<Slot> = decls.iter().map(|decl| decl.slot).collect();
        let place = |slot: Option<&Slot>| slot.and_then(|slot| self.place(*slot));
        let (index, element) = match slots.as_slice() {
            [element] => (None, place(Some(element))),
            [index, element, ..] => (place(Some(index)), place(Some(element))),
            [] => (None, None),
        };
        let body = self.frames.last().map_or(0, |frame| frame.pc);
        let dots = self.dots.len();
        let mut running = Loop { items, index, element, body, end: end as usize, dots };
        let Some(first) = running.items.next() else { return Ok(Start::Empty) };
        self.dots.push(Held::default());
        self.bind(&running, first);
        self.loops.push(running);
        Ok(Start::Started)
    }

    fn bind(&mut self, running: &Loop, (index, element): (Value, Held)) {
        if let Some(place) = running.index {
            self.variables[place] = Held { value: index, boxed: false };
        }
        if let Some(place) = running.element {
            self.variables[place] = element.clone();
        }
        self.dots.truncate(running.dots + 1);
        if let Some(dot) = self.dots.last_mut() {
            *dot = element;
        }
    }

    /// `continue`, and the end of the body.
    pub(super) fn next_round(&mut self) {
        let Some(mut running) = self.loops.pop() else { return };
        match running.items.next() {
            Some(item) => {
                self.bind(&running, item);
                if let Some(frame) = self.frames.last_mut() {
                    frame.pc = running.body;
                }
                self.loops.push(running);
            }
            None => self.finish(&running),
        }
    }

    /// `break`
    pub(super) fn end_loop(&mut self) {
        if let Some(running) = self.loops.pop() {
            self.finish(&running);
        }
    }

    fn finish(&mut self, running: &Loop) {
        self.dots.truncate(running.dots);
        if let Some(frame) = self.frames.last_mut() {
            frame.pc = running.end;
        }
    }
}
