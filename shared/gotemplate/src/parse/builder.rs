//! One template in the making: its tables, its open control structures, its variables.

use std::{collections::HashMap, sync::Arc};

use super::{
    number::Number,
    tree::{Decl, Id, Node, NodeKind, Op, Slot, Source, Span, Template, Text, UNDEFINED},
    variables::{Variables, word},
};
use crate::call::Function;

/// A template in the making.
pub(super) struct Builder {
    pub(super) role: Role,
    pub(super) name: Arc<str>,
    pub(super) ops: Vec<Op>,
    pub(super) controls: Vec<Control>,
    /// The number of loops around the current place.
    pub(super) loops: usize,
    /// The line of the action at hand, 0 between actions.
    pub(super) action_line: usize,
    /// The line of the last token that was cut for this template: that of its messages.
    pub(super) line: usize,
    /// Nesting of parentheses.
    pub(super) parens: usize,
    /// The names that Go's parser accepts: a name declared in a body is accepted in its `else`, too.
    vars: Variables,
    /// The variables that exist when the template runs; the index is the slot.
    live: Variables,
    slots: usize,
    nodes: Vec<Node>,
    kids: Vec<Id>,
    names: Vec<Box<[u8]>>,
    decls: Vec<Decl>,
    strings: Vec<Text>,
    numbers: Vec<Number>,
    functions: Vec<Function>,
    known: HashMap<&'static str, u32>,
}

/// What a template in the making is.
pub(super) enum Role {
    /// The text itself.
    File,
    /// `define`
    Definition,
    /// `block`: also called where it stands, at this position and with this pipeline.
    Block { pos: usize, name: Box<[u8]>, written: Span, pipe: Id },
}

/// An open `if`, `with` or `range`.
pub(super) struct Control {
    pub(super) kind: ControlKind,
    /// The operation that opened it.
    pub(super) op: usize,
    /// The jump over the `else` branch, once there is one.
    pub(super) over_else: Option<usize>,
    /// Whether it stands in an `else if` or `else with`: the `end` that closes it closes the outer one, too.
    pub(super) chained: bool,
    vars: usize,
    /// The variables that live before its pipeline, and after it.
    live_before: usize,
    live_after: usize,
}

/// Which control structure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ControlKind {
    If,
    With,
    Range,
}

impl ControlKind {
    /// The word, which is also the context in messages.
    pub(super) fn word(self) -> &'static str {
        match self {
            ControlKind::If => "if",
            ControlKind::With => "with",
            ControlKind::Range => "range",
        }
    }
}

/// How many variables there were, to go back to.
pub(super) struct Scope {
    vars: usize,
    live: usize,
}

impl Builder {
    pub(super) fn new(role: Role, name: Arc<str>) -> Self {
        Self {
            role,
            name,
            ops: Vec::new(),
            controls: Vec::new(),
            loops: 0,
            action_line: 0,
            line: 0,
            parens: 0,
            vars: Variables::new(),
            live: Variables::new(),
            slots: 1,
            nodes: Vec::new(),
            kids: Vec::new(),
            names: Vec::new(),
            decls: Vec::new(),
            strings: Vec::new(),
            numbers: Vec::new(),
            functions: Vec::new(),
            known: HashMap::new(),
        }
    }

    pub(super) fn node(&mut self, pos: usize, kind: NodeKind) -> Id {
        self.nodes.push(Node { pos: pos as u32, kind });
        (self.nodes.len() - 1) as Id
    }

    pub(super) fn kind(&self, id: Id) -> &NodeKind {
        &self.nodes[id as usize].kind
    }

    /// The first operand of a command.
    pub(super) fn head(&self, command: Id) -> Option<&NodeKind> {
        match self.kind(command) {
            NodeKind::Command { args } => self.kids.get(args.start as usize).map(|id| self.kind(*id)),
            _ => None,
        }
    }

    pub(super) fn children(&mut self, ids: &[Id]) -> Span {
        let start = self.kids.len();
        self.kids.extend(ids);
        start as u32..self.kids.len() as u32
    }

    pub(super) fn fields(&mut self, names: Vec<Box<[u8]>>) -> Span {
        let start = self.names.len();
        self.names.extend(names);
        start as u32..self.names.len() as u32
    }

    /// The names of fields, taken back to be made a longer chain.
    pub(super) fn take_fields(&mut self, span: &Span) -> Vec<Box<[u8]>> {
        self.names[span.start as usize..span.end as usize].to_vec()
    }

    pub(super) fn string(&mut self, value: impl Into<Box<[u8]>>, written: Span) -> u32 {
        self.strings.push(Text { value: value.into(), written });
        (self.strings.len() - 1) as u32
    }

    /// Where a string literal stands.
    pub(super) fn written(&self, index: u32) -> &Span {
        &self.strings[index as usize].written
    }

    pub(super) fn number(&mut self, number: Number) -> u32 {
        self.numbers.push(number);
        (self.numbers.len() - 1) as u32
    }

    pub(super) fn function(&mut self, function: &Function) -> u32 {
        let functions = &mut self.functions;
        *self.known.entry(function.name).or_insert_with(|| {
            functions.push(function.clone());
            (functions.len() - 1) as u32
        })
    }

    /// Lets the parser know a name; the variable lives once its pipeline has been evaluated.
    pub(super) fn know(&mut self, name: &[u8]) {
        self.vars.push(name);
    }

    pub(super) fn knows(&self, name: &[u8]) -> bool {
        self.vars.find(name).is_some()
    }

    /// The slot of the nearest living variable.
    pub(super) fn slot(&self, name: &[u8]) -> Slot {
        self.live.find(name).map_or(UNDEFINED, |slot| slot as Slot)
    }

    /// The declarations of a finished pipeline: from now on the variables live.
    pub(super) fn declare(&mut self, names: Vec<Span>, assign: bool, text: &[u8]) -> Span {
        let start = self.decls.len();
        for name in names {
            let slot = if assign {
                self.slot(word(text, &name))
            } else {
                self.live.push(word(text, &name));
                self.slots = self.slots.max(self.live.len());
                (self.live.len() - 1) as Slot
            };
            self.decls.push(Decl { slot, name });
        }
        start as u32..self.decls.len() as u32
    }

    pub(super) fn scope(&self) -> Scope {
        Scope { vars: self.vars.len(), live: self.live.len() }
    }

    /// Opens a control structure whose pipeline was parsed since `before`.
    pub(super) fn open(&mut self, kind: ControlKind, before: &Scope, pipe: Id, chained: bool) {
        let op = self.ops.len();
        self.ops.push(match kind {
            ControlKind::If => Op::If { pipe, otherwise: 0 },
            ControlKind::With => Op::With { pipe, otherwise: 0 },
            ControlKind::Range => Op::Range { pipe, otherwise: 0, end: 0 },
        });
        self.loops += usize::from(kind == ControlKind::Range);
        self.controls.push(Control {
            kind,
            op,
            over_else: None,
            chained,
            vars: before.vars,
            live_before: before.live,
            live_after: self.live.len(),
        });
    }

    /// Ends the body of the innermost control structure; what follows is its `else` branch.
    pub(super) fn open_else(&mut self) {
        let Some(mut control) = self.controls.pop() else { return };
        self.end_body(&control);
        control.over_else = Some(self.ops.len());
        self.ops.push(Op::Jump(0));
        self.patch_otherwise(&control);
        self.live.truncate(control.live_after);
        self.controls.push(control);
    }

    /// Closes the innermost control structure, and those of which it is the `else`.
    pub(super) fn close(&mut self) {
        while let Some(control) = self.controls.pop() {
            match control.over_else {
                None => {
                    self.end_body(&control);
                    self.patch_otherwise(&control);
                }
                Some(jump) => self.ops[jump] = Op::Jump(self.ops.len() as u32),
            }
            let here = self.ops.len() as u32;
            if let Op::Range { end, .. } = &mut self.ops[control.op] {
                *end = here;
            }
            self.vars.truncate(control.vars);
            self.live.truncate(control.live_before);
            if !control.chained {
                break;
            }
        }
    }

    fn end_body(&mut self, control: &Control) {
        match control.kind {
            ControlKind::If => {}
            ControlKind::With => self.ops.push(Op::EndWith),
            ControlKind::Range => {
                self.ops.push(Op::Next);
                self.loops -= 1;
            }
        }
    }

    fn patch_otherwise(&mut self, control: &Control) {
        let here = self.ops.len() as u32;
        match &mut self.ops[control.op] {
            Op::If { otherwise, .. } | Op::With { otherwise, .. } | Op::Range { otherwise, .. } => {
                *otherwise = here;
            }
            _ => {}
        }
    }

    /// Whether there is nothing but blanks so far.
    pub(super) fn is_empty(&self, source: &Source) -> bool {
        self.ops.iter().all(|op| match op {
            Op::Text(span) => {
                let text = &source.text[span.start as usize..span.end as usize];
                String::from_utf8_lossy(text).trim().is_empty()
            }
            _ => false,
        })
    }

    pub(super) fn finish(self, source: &Arc<Source>) -> (Role, Template) {
        let template = Template {
            empty: self.is_empty(source),
            name: self.name,
            source: source.clone(),
            ops: self.ops,
            nodes: self.nodes,
            kids: self.kids,
            names: self.names,
            decls: self.decls,
            strings: self.strings,
            numbers: self.numbers,
            functions: self.functions,
            slots: self.slots,
        };
        (self.role, template)
    }
}
