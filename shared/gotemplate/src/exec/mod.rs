//! Runs compiled templates.
//!
//! The operations of a template are a flat list, and a `template` action only adds a frame, so that control structures
//! and template calls nest without using the thread's stack. Expressions and functions do use it, with a check.

mod args;
mod eval;
mod frames;
mod ranges;

use crate::{
    context::{Context, Session},
    error::{Error, ExecError, Reason, Stop},
    parse::{Id, NodeKind, Op, Template},
    set::Scope,
    stack,
    value::Value,
};
use frames::{Frame, Held};
use ranges::{Loop, Start};

/// Executes a template and returns its text.
pub(crate) fn run(
    session: &Session<'_>,
    scope: &Scope<'_>,
    template: &Template,
    data: &Value,
) -> Result<Vec<u8>, Error> {
    if !stack::has_room() {
        return Err(Stop::Depth.into());
    }
    let mut machine = Machine {
        cx: Context { session, scope },
        frames: Vec::with_capacity(4),
        variables: Vec::with_capacity(template.slots),
        dots: Vec::with_capacity(4),
        loops: Vec::new(),
        out: Vec::with_capacity(256),
        at: 0,
    };
    machine.enter(template, data.clone());
    machine.go()?;
    Ok(machine.out)
}

/// The state of one execution.
struct Machine<'r> {
    cx: Context<'r>,
    frames: Vec<Frame<'r>>,
    /// The variables of all frames.
    variables: Vec<Held>,
    /// The dots of all open `with` and `range`, the innermost last.
    dots: Vec<Held>,
    loops: Vec<Loop>,
    out: Vec<u8>,
    /// The node of the innermost template to which an error belongs.
    at: Id,
}

impl<'r> Machine<'r> {
    fn enter(&mut self, template: &'r Template, data: Value) {
        self.frames.push(Frame {
            template,
            pc: 0,
            variables: self.variables.len(),
            dots: self.dots.len(),
            loops: self.loops.len(),
        });
        self.variables.resize_with(self.variables.len() + template.slots, Held::default);
        let root = Held { value: data, boxed: false };
        let base = self.variables.len() - template.slots;
        self.variables[base] = root.clone();
        self.dots.push(root);
    }

    fn leave(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.variables.truncate(frame.variables);
            self.dots.truncate(frame.dots);
            self.loops.truncate(frame.loops);
        }
    }

    fn go(&mut self) -> Result<(), Error> {
        loop {
            let Some(frame) = self.frames.last_mut() else { return Ok(()) };
            let template = frame.template;
            let Some(op) = template.ops.get(frame.pc) else {
                self.leave();
                continue;
            };
            frame.pc += 1;
            self.cx.session.step()?;
            match op {
                Op::Text(span) => {
                    let text = template.source(span);
                    self.cx.session.charge(text.len())?;
                    self.out.extend_from_slice(text);
                }
                Op::Print(pipe) => {
                    let value = self.pipeline(template, *pipe)?;
                    self.print(&value)?;
                }
                Op::Eval(pipe) => {
                    self.pipeline(template, *pipe)?;
                }
                Op::If { pipe, otherwise } => {
                    if !self.pipeline(template, *pipe)?.truth() {
                        self.jump(*otherwise);
                    }
                }
                Op::With { pipe, otherwise } => {
                    let value = self.pipeline(template, *pipe)?;
                    if value.truth() {
                        self.dots.push(Held { value, boxed: false });
                    } else {
                        self.jump(*otherwise);
                    }
                }
                Op::EndWith => {
                    self.dots.pop();
                }
                Op::Range { pipe, otherwise, end } => {
                    let value = self.pipeline(template, *pipe)?;
                    match self.start_loop(template, *pipe, value, *end)? {
                        Start::Empty => self.jump(*otherwise),
                        Start::Started => {}
                    }
                }
                Op::Next => self.next_round(),
                Op::Break => self.end_loop(),
                Op::Jump(target) => self.jump(*target),
                Op::Template(node) => self.call_template(template, *node)?,
            }
        }
    }

    fn jump(&mut self, target: u32) {
        if let Some(frame) = self.frames.last_mut() {
            frame.pc = target as usize;
        }
    }

    fn print(&mut self, value: &Value) -> Result<(), Error> {
        let before = self.out.len();
        crate::fmt::display(&mut self.out, value, self.cx.session.output_left())?;
        self.cx.session.charge(self.out.len() - before)
    }

    fn call_template(&mut self, template: &'r Template, node: Id) -> Result<(), Error> {
        self.at = node;
        let NodeKind::Template { name, pipe } = &template.node(node).kind else { return Ok(()) };
        let name = String::from_utf8_lossy(&template.strings[*name as usize].value);
        let Some(callee) = self.cx.scope.get(&name) else {
            let name = crate::fmt::quoted(name.as_bytes());
            return Err(self.error(format!("template {name} not defined")));
        };
        let max = self.cx.options().max_template_depth;
        if self.frames.len() > max {
            return Err(self.error(format!("exceeded maximum template depth ({max})")));
        }
        let data = match pipe {
            Some(pipe) => self.pipeline(template, *pipe)?,
            None => Value::Absent,
        };
        self.enter(callee, data);
        Ok(())
    }

    /// An error of the engine at the current node.
    #[cold]
    fn error(&self, message: impl Into<String>) -> Error {
        self.failure(Reason::Engine(message.into()))
    }

    #[cold]
    fn failure(&self, reason: Reason) -> Error {
        let Some(frame) = self.frames.last() else {
            return match reason {
                Reason::Engine(message) => Error::Message(message),
                Reason::Calling(_, cause) => cause,
            };
        };
        Error::Exec(Box::new(ExecError {
            at: frame.template.location(self.at),
            template: frame.template.name.clone(),
            node: frame.template.show(self.at),
            reason,
        }))
    }
}
