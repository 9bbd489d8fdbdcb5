//! Pipelines, commands, fields and calls.

use super::{Machine, frames::Held};
use crate::{
    builtin::not_callable,
    call::{Args, Function, Signature, Special},
    error::{Error, Reason},
    parse::{Id, NodeKind, Slot, Template, UNDEFINED},
    value::{Field, Type, Value},
};

impl<'r> Machine<'r> {
    pub(super) fn dot(&self) -> Held {
        self.dots.last().cloned().unwrap_or_default()
    }

    /// Where a variable of the current frame is.
    pub(super) fn place(&self, slot: Slot) -> Option<usize> {
        let base = self.frames.last()?.variables;
        (slot != UNDEFINED).then_some(base + slot as usize)
    }

    /// The value of a pipeline; its variables are set.
    pub(super) fn pipeline(&mut self, template: &'r Template, id: Id) -> Result<Value, Error> {
        self.at = id;
        let NodeKind::Pipe { decls, commands, .. } = &template.node(id).kind else {
            return Ok(Value::Absent);
        };
        let mut value = None;
        for command in template.kids(commands) {
            value = Some(match self.command(template, *command, value)? {
                // The interface is left behind, and with it a nil within it.
                Value::Nil => Value::Absent,
                value => value,
            });
        }
        let value = value.unwrap_or_default();
        for decl in template.decls(decls) {
            let Some(place) = self.place(decl.slot) else {
                let name = String::from_utf8_lossy(template.source(&decl.name));
                return Err(self.error(format!("undefined variable: {name}")));
            };
            self.variables[place] = Held { value: value.clone(), boxed: false };
        }
        Ok(value)
    }

    fn command(&mut self, template: &'r Template, id: Id, last: Option<Value>) -> Result<Value, Error> {
        let NodeKind::Command { args } = &template.node(id).kind else { return Ok(Value::Absent) };
        let (head, args) = match template.kids(args) {
            [head, args @ ..] => (*head, args),
            [] => return Ok(Value::Absent),
        };
        let held = match &template.node(head).kind {
            NodeKind::Field { .. } => self.field_node(template, head, args, last)?,
            NodeKind::Chain { .. } => self.chain_node(template, head, args, last)?,
            NodeKind::Variable { .. } => self.variable_node(template, head, args, last)?,
            NodeKind::Function(index) => {
                self.at = head;
                let function = &template.functions[*index as usize];
                return self.call_function(template, function, id, args, last);
            }
            NodeKind::Pipe { .. } => {
                self.no_arguments(template, head, args, last.as_ref())?;
                return Ok(self.operand(template, head)?.value);
            }
            other => {
                self.at = head;
                self.no_arguments(template, head, args, last.as_ref())?;
                return match other {
                    NodeKind::Dot => Ok(self.dot().value),
                    NodeKind::Nil => Err(self.error("nil is not a command")),
                    _ => self.constant(template, head),
                };
            }
        };
        Ok(held.value)
    }

    fn no_arguments(
        &self,
        template: &Template,
        head: Id,
        args: &[Id],
        last: Option<&Value>,
    ) -> Result<(), Error> {
        if args.is_empty() && last.is_none() {
            return Ok(());
        }
        Err(self.error(format!("can't give argument to non-function {}", template.show(head))))
    }

    pub(super) fn field_node(
        &mut self,
        template: &'r Template,
        id: Id,
        args: &'r [Id],
        last: Option<Value>,
    ) -> Result<Held, Error> {
        self.at = id;
        let NodeKind::Field { names } = &template.node(id).kind else { return Ok(Held::default()) };
        let names = template.names(names);
        // Nearly always the dot is a plain map: look into it where it is.
        if let (Some(Held { value: Value::Map(map), .. }), [first, others @ ..]) = (self.dots.last(), names)
            && map.map_type().methods.is_empty()
            && (!others.is_empty() || (args.is_empty() && last.is_none()))
            && let Some(value) = map.get(first)
        {
            let boxed = map.map_type().elem == Type::Any;
            return self.fields(template, id, Held { value, boxed }, others, args, last);
        }
        let dot = self.dot();
        self.fields(template, id, dot, names, args, last)
    }

    pub(super) fn variable_node(
        &mut self,
        template: &'r Template,
        id: Id,
        args: &'r [Id],
        last: Option<Value>,
    ) -> Result<Held, Error> {
        self.at = id;
        let NodeKind::Variable { slot, name, names } = &template.node(id).kind else {
            return Ok(Held::default());
        };
        let Some(held) = self.place(*slot).and_then(|place| self.variables.get(place)).cloned() else {
            let name = String::from_utf8_lossy(template.source(name));
            return Err(self.error(format!("undefined variable: {name}")));
        };
        if names.is_empty() {
            self.no_arguments(template, id, args, last.as_ref())?;
            return Ok(held);
        }
        self.fields(template, id, held, template.names(names), args, last)
    }

    pub(super) fn chain_node(
        &mut self,
        template: &'r Template,
        id: Id,
        args: &'r [Id],
        last: Option<Value>,
    ) -> Result<Held, Error> {
        self.at = id;
        let NodeKind::Chain { node, names } = &template.node(id).kind else { return Ok(Held::default()) };
        self.at = *node;
        let receiver = self.operand(template, *node)?;
        self.fields(template, id, receiver, template.names(names), args, last)
    }

    /// Follows a chain of names; the arguments are for the last.
    fn fields(
        &mut self,
        template: &'r Template,
        node: Id,
        mut receiver: Held,
        names: &'r [Box<[u8]>],
        args: &'r [Id],
        mut last: Option<Value>,
    ) -> Result<Held, Error> {
        let end = names.len();
        for (i, name) in names.iter().enumerate() {
            let (args, last) = if i + 1 == end { (args, last.take()) } else { (&[][..], None) };
            if let Value::Map(map) = &receiver.value
                && map.map_type().methods.is_empty()
                && args.is_empty()
                && last.is_none()
                && let Some(value) = map.get(name)
            {
                receiver = Held { value, boxed: map.map_type().elem == Type::Any };
                continue;
            }
            receiver = self.field(template, node, receiver, name, args, last)?;
        }
        Ok(receiver)
    }

    fn field(
        &mut self,
        template: &'r Template,
        node: Id,
        receiver: Held,
        name: &[u8],
        args: &'r [Id],
        last: Option<Value>,
    ) -> Result<Held, Error> {
        let has_arguments = !args.is_empty() || last.is_some();
        let shown = || String::from_utf8_lossy(name).into_owned();
        match &receiver.value {
            Value::Map(map) => {
                let map_type = map.map_type();
                if let Some(method) = map_type.methods.iter().find(|method| method.name.as_bytes() == name) {
                    let map = map.clone();
                    let call = self.prepare(template, method.name, &method.signature, args, last)?;
                    let result = (method.call)(&map, &self.cx, &call);
                    let value = self.returned(method.name, node, result)?;
                    return Ok(Held { value, boxed: false });
                }
                if has_arguments {
                    return Err(self.error(format!("{} is not a method but has arguments", shown())));
                }
                let value = match map.get(name) {
                    Some(value) => value,
                    None if self.cx.options().strict => {
                        return Err(
                            self.error(format!("map has no entry for key {}", crate::fmt::quoted(name)))
                        );
                    }
                    None => Value::zero(map_type.elem),
                };
                Ok(Held { value, boxed: map_type.elem == Type::Any })
            }
            Value::Absent if self.cx.options().strict => {
                Err(self.error(format!("nil data; no entry for key {}", crate::fmt::quoted(name))))
            }
            Value::Absent => Ok(Held::default()),
            Value::Nil => Err(self.error(format!("nil pointer evaluating interface {{}}.{}", shown()))),
            Value::Object(object) => {
                let text = shown();
                if let Some(signature) = object.method(&text) {
                    let object = object.clone();
                    let call = self.prepare(template, &text, signature, args, last)?;
                    let result = object.call(&text, &self.cx, &call);
                    let value = self.returned(&text, node, result)?;
                    return Ok(Held { value, boxed: false });
                }
                match object.field(&text) {
                    Field::Value(_) if has_arguments => {
                        Err(self.error(format!("{text} has arguments but cannot be invoked as function")))
                    }
                    Field::Value(value) => Ok(Held { value, boxed: false }),
                    Field::Unexported => {
                        let of = static_type(&receiver);
                        Err(self.error(format!("{text} is an unexported field of struct type {of}")))
                    }
                    Field::None => Err(self.no_field(&receiver, &text)),
                }
            }
            _ => Err(self.no_field(&receiver, &shown())),
        }
    }

    #[cold]
    fn no_field(&self, receiver: &Held, name: &str) -> Error {
        self.error(format!("can't evaluate field {name} in type {}", static_type(receiver)))
    }

    pub(super) fn call_function(
        &mut self,
        template: &'r Template,
        function: &'r Function,
        node: Id,
        args: &'r [Id],
        last: Option<Value>,
    ) -> Result<Value, Error> {
        let name = function.name;
        match function.special {
            Special::And | Special::Or => {
                self.check_count(name, &function.signature, args, last.as_ref())?;
                return self.logic(template, function.special == Special::Or, args, last);
            }
            Special::Call => {
                let callee = match args.first() {
                    Some(first) => template.show(*first),
                    None => match &last {
                        Some(Value::String(text)) => text.to_string(),
                        Some(value) => format!("<{} Value>", value.type_name()),
                        None => String::new(),
                    },
                };
                let args = self.prepare(template, name, &function.signature, args, last)?;
                let error = not_callable(&callee, args.any(0));
                return self.returned(name, node, Err(error));
            }
            Special::None => {}
        }
        let args = self.prepare(template, name, &function.signature, args, last)?;
        self.cx.session.step()?;
        let result = (function.body)(&self.cx, &args);
        self.returned(name, node, result)
    }

    /// `and`, `or`: the first argument that decides, else the last.
    fn logic(
        &mut self,
        template: &'r Template,
        until: bool,
        args: &'r [Id],
        last: Option<Value>,
    ) -> Result<Value, Error> {
        let mut value = Value::Absent;
        for arg in args {
            value = self.arg(template, *arg, Type::Reflect)?;
            if value.truth() == until {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn check_count(
        &self,
        name: &str,
        signature: &Signature,
        args: &[Id],
        last: Option<&Value>,
    ) -> Result<(), Error> {
        let given = args.len() + usize::from(last.is_some());
        let want = signature.params.len();
        if signature.variadic {
            let least = want.saturating_sub(1);
            if given < least {
                let got = args.len();
                return Err(
                    self.error(format!("wrong number of args for {name}: want at least {least} got {got}"))
                );
            }
        } else if given != want {
            return Err(self.error(format!("wrong number of args for {name}: want {want} got {given}")));
        }
        Ok(())
    }

    /// Evaluates and checks the arguments of a call.
    fn prepare(
        &mut self,
        template: &'r Template,
        name: &str,
        signature: &Signature,
        args: &'r [Id],
        last: Option<Value>,
    ) -> Result<Args, Error> {
        self.check_count(name, signature, args, last.as_ref())?;
        let params = signature.params;
        // Of a variadic function the last type is that of all further arguments.
        let want = |i: usize| params.get(i).or(params.last()).copied().unwrap_or(Type::Any);
        let mut values = Args::default();
        for (i, arg) in args.iter().enumerate() {
            let value = self.arg(template, *arg, want(i))?;
            values.0.push(value);
        }
        if let Some(last) = last {
            values.0.push(self.convert(last, want(args.len()))?);
        }
        Ok(values)
    }

    /// The result of a function, or its error at the node of the call.
    fn returned(&mut self, name: &str, node: Id, result: Result<Value, Error>) -> Result<Value, Error> {
        result.map_err(|cause| {
            self.at = node;
            self.failure(Reason::Calling(name.to_owned(), cause))
        })
    }
}

/// The type of the place that a value is in.
fn static_type(held: &Held) -> String {
    if held.boxed { Type::Any.to_string() } else { held.value.type_name() }
}
