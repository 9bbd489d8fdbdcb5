//! Pipelines, commands and operands.
//!
//! Parentheses make pipelines nest; the open ones are a list here, not calls of a function within itself.

use super::{
    lex::{Kind, Token},
    number,
    parser::{Parser, Result, span},
    tree::{Id, NodeKind, Span},
    variables::word,
};

/// Deepest nesting of parentheses, as in Go.
const MAX_PARENS: usize = 10_000;

/// A pipeline that is not finished.
struct Open {
    pos: usize,
    context: &'static str,
    assign: bool,
    decls: Vec<Span>,
    commands: Vec<Id>,
    command: Option<Command>,
}

/// A command that is not finished.
struct Command {
    pos: usize,
    args: Vec<Id>,
}

impl Parser<'_> {
    /// A pipeline up to the end of the action, which is taken.
    pub(super) fn pipeline(&mut self, context: &'static str) -> Result<Id> {
        let mut stack: Vec<Open> = Vec::new();
        let mut top = self.begin(context)?;
        loop {
            let Some(command) = &mut top.command else {
                let token = self.next_non_space();
                let end = if stack.is_empty() { Kind::RightDelim } else { Kind::RightParen };
                if token.kind == end {
                    let pipe = self.finish(top)?;
                    let Some(outer) = stack.pop() else { return Ok(pipe) };
                    self.tree.parens -= 1;
                    top = outer;
                    self.operand(&mut top, pipe)?;
                } else if starts_operand(token.kind) {
                    top.command = Some(Command { pos: token.start, args: Vec::new() });
                    self.back(token);
                } else {
                    return Err(self.unexpected(&token, top.context));
                }
                continue;
            };
            let token = self.next_non_space();
            if token.kind == Kind::LeftParen {
                if self.tree.parens >= MAX_PARENS {
                    return Err(self.error("max expression depth exceeded"));
                }
                self.tree.parens += 1;
                let inner = self.begin("parenthesized pipeline")?;
                stack.push(std::mem::replace(&mut top, inner));
            } else if starts_operand(token.kind) {
                let term = self.term(&token)?;
                self.operand(&mut top, term)?;
            } else {
                // No operand: the command ends here, if it may.
                let empty = command.args.is_empty();
                self.back(token);
                self.after_operand(&mut top)?;
                if empty && top.command.is_none() {
                    return Err(self.error("empty command"));
                }
            }
        }
    }

    /// The beginning of a pipeline, with its declarations.
    fn begin(&mut self, context: &'static str) -> Result<Open> {
        let pos = self.peek_non_space().start;
        let mut open =
            Open { pos, context, assign: false, decls: Vec::new(), commands: Vec::new(), command: None };
        while self.peek_non_space().kind == Kind::Variable {
            let variable = self.next();
            let after = self.peek().clone();
            let next = self.peek_non_space().clone();
            if matches!(next.kind, Kind::Assign | Kind::Declare) {
                open.assign = next.kind == Kind::Assign;
                self.next_non_space();
                self.declared(&mut open, &variable);
                break;
            }
            if next.kind == Kind::Char && self.word(&next) == b"," {
                self.next_non_space();
                self.declared(&mut open, &variable);
                if context != "range" || open.decls.len() >= 2 {
                    return Err(self.error(format!("too many declarations in {context}")));
                }
                let ahead = self.peek_non_space().kind;
                if !matches!(ahead, Kind::Variable | Kind::RightDelim | Kind::RightParen) {
                    return Err(self.error("range can only initialize variables"));
                }
                continue;
            }
            // No declaration: the variable is an argument, and the blank after it counts.
            if after.kind == Kind::Space {
                self.back(after);
            }
            self.back(variable);
            break;
        }
        Ok(open)
    }

    fn declared(&mut self, open: &mut Open, variable: &Token) {
        open.decls.push(span(variable));
        let source = self.source();
        self.tree.know(word(&source.text, &span(variable)));
    }

    fn finish(&mut self, open: Open) -> Result<Id> {
        if open.commands.is_empty() {
            return Err(self.error(format!("missing value for {}", open.context)));
        }
        for (stage, command) in open.commands.iter().enumerate().skip(1) {
            if let Some(
                NodeKind::Bool(_)
                | NodeKind::Dot
                | NodeKind::Nil
                | NodeKind::Number { .. }
                | NodeKind::String(_),
            ) = self.tree.head(*command)
            {
                return Err(self.error(format!("non executable command in pipeline stage {}", stage + 1)));
            }
        }
        let commands = self.tree.children(&open.commands);
        let source = self.source();
        let decls = self.tree.declare(open.decls, open.assign, &source.text);
        Ok(self.tree.node(open.pos, NodeKind::Pipe { decls, assign: open.assign, commands }))
    }

    /// Takes a term as the next operand, with the fields that follow it.
    fn operand(&mut self, open: &mut Open, term: Id) -> Result<()> {
        let operand = if self.peek().kind == Kind::Field { self.chain(term)? } else { term };
        if let Some(command) = &mut open.command {
            command.args.push(operand);
        }
        self.after_operand(open)
    }

    /// What may follow an operand: a blank and more operands, or the end of the command.
    fn after_operand(&mut self, open: &mut Open) -> Result<()> {
        let token = self.next();
        match token.kind {
            Kind::Space => return Ok(()),
            Kind::RightDelim | Kind::RightParen => self.back(token),
            Kind::Pipe => {}
            _ => return Err(self.unexpected(&token, "operand")),
        }
        if let Some(command) = open.command.take()
            && !command.args.is_empty()
        {
            let args = self.tree.children(&command.args);
            let node = self.tree.node(command.pos, NodeKind::Command { args });
            open.commands.push(node);
        }
        Ok(())
    }

    /// Fields directly behind a term. Those behind a field or variable make it longer.
    fn chain(&mut self, term: Id) -> Result<Id> {
        let pos = self.peek().start;
        let mut names = match self.tree.kind(term) {
            NodeKind::Field { names } | NodeKind::Variable { names, .. } => {
                let names = names.clone();
                self.tree.take_fields(&names)
            }
            _ => Vec::new(),
        };
        while self.peek().kind == Kind::Field {
            let token = self.next();
            names.push(self.word(&token).get(1..).unwrap_or_default().into());
        }
        let names = self.tree.fields(names);
        let kind = match self.tree.kind(term) {
            NodeKind::Field { .. } => NodeKind::Field { names },
            NodeKind::Variable { slot, name, .. } => {
                NodeKind::Variable { slot: *slot, name: name.clone(), names }
            }
            NodeKind::Bool(value) => return Err(self.no_field(&value.to_string())),
            NodeKind::Nil => return Err(self.no_field("nil")),
            NodeKind::Dot => return Err(self.no_field(".")),
            NodeKind::Number { text, .. } => return Err(self.no_field(&self.written(text))),
            NodeKind::String(index) => return Err(self.no_field(&self.written(self.tree.written(*index)))),
            _ => NodeKind::Chain { node: term, names },
        };
        Ok(self.tree.node(pos, kind))
    }

    fn written(&self, span: &Span) -> String {
        let text = self.text().get(span.start as usize..span.end as usize).unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }

    fn no_field(&self, term: &str) -> crate::ParseError {
        self.error(format!("unexpected . after term {}", crate::fmt::quoted(term.as_bytes())))
    }

    /// A term other than a parenthesis.
    fn term(&mut self, token: &Token) -> Result<Id> {
        let kind = match token.kind {
            Kind::Identifier => {
                let name = std::str::from_utf8(self.word(token)).unwrap_or_default();
                let Some(function) = self.functions.get(name) else {
                    let name = crate::fmt::quoted(self.word(token));
                    return Err(self.error(format!("function {name} not defined")));
                };
                NodeKind::Function(self.tree.function(function))
            }
            Kind::Dot => NodeKind::Dot,
            Kind::Nil => NodeKind::Nil,
            Kind::Variable => {
                if !self.tree.knows(self.word(token)) {
                    let name = crate::fmt::quoted(self.word(token));
                    return Err(self.error(format!("undefined variable {name}")));
                }
                NodeKind::Variable { slot: self.tree.slot(self.word(token)), name: span(token), names: 0..0 }
            }
            Kind::Field => {
                let name = self.word(token).get(1..).unwrap_or_default().into();
                NodeKind::Field { names: self.tree.fields(vec![name]) }
            }
            Kind::Bool => NodeKind::Bool(self.word(token) == b"true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => {
                let number =
                    number::parse(self.word(token), token.kind).map_err(|error| self.error(error))?;
                NodeKind::Number { index: self.tree.number(number), text: span(token) }
            }
            _ => {
                let value = self.unquote(token)?;
                NodeKind::String(self.tree.string(value, span(token)))
            }
        };
        Ok(self.tree.node(token.start, kind))
    }
}

fn starts_operand(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Bool
            | Kind::CharConstant
            | Kind::Complex
            | Kind::Dot
            | Kind::Field
            | Kind::Identifier
            | Kind::Number
            | Kind::Nil
            | Kind::RawString
            | Kind::String
            | Kind::Variable
            | Kind::LeftParen
    )
}
