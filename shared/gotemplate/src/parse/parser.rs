//! Control structures: `define`, `block`, `if`, `range`, `with`, `template` and everything between them.

use std::{collections::HashMap, sync::Arc};

use super::{
    builder::{Builder, ControlKind, Role},
    lex::{Kind, Lexer, Token},
    quote::unquote,
    tree::{NodeKind, Op, Source, Span, Template},
};
use crate::{call::Functions, error::ParseError};

/// Parses a text: its templates, each name once.
pub(super) fn parse(name: &str, text: &[u8], functions: &Functions) -> Result<Vec<Arc<Template>>> {
    let name: Arc<str> = name.into();
    let source = Arc::new(Source { name: name.clone(), text: text.into() });
    let mut parser = Parser {
        source: &source,
        lexer: Lexer::new(text),
        ahead: Vec::new(),
        tree: Builder::new(Role::File, name),
        outer: Vec::new(),
        done: Vec::new(),
        places: HashMap::new(),
        functions,
    };
    if u32::try_from(text.len()).is_err() {
        return Err(parser.error("the text is longer than 4 GiB"));
    }
    parser.run()?;
    Ok(parser.done)
}

/// The state of parsing one text.
pub(super) struct Parser<'a> {
    source: &'a Arc<Source>,
    lexer: Lexer<'a>,
    /// Tokens that were looked at, the next one last.
    ahead: Vec<Token>,
    pub(super) tree: Builder,
    /// The templates around the current one, innermost last.
    outer: Vec<Builder>,
    done: Vec<Arc<Template>>,
    /// Where in `done` a name is.
    places: HashMap<Arc<str>, usize>,
    pub(super) functions: &'a Functions,
}

pub(super) type Result<T> = std::result::Result<T, ParseError>;

impl Parser<'_> {
    pub(super) fn next(&mut self) -> Token {
        self.ahead.pop().unwrap_or_else(|| {
            let token = self.lexer.next();
            self.tree.line = token.line;
            token
        })
    }

    pub(super) fn back(&mut self, token: Token) {
        self.ahead.push(token);
    }

    pub(super) fn peek(&mut self) -> &Token {
        if self.ahead.is_empty() {
            let token = self.next();
            self.ahead.push(token);
        }
        &self.ahead[self.ahead.len() - 1]
    }

    pub(super) fn next_non_space(&mut self) -> Token {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    pub(super) fn peek_non_space(&mut self) -> &Token {
        let token = self.next_non_space();
        self.ahead.push(token);
        &self.ahead[self.ahead.len() - 1]
    }

    pub(super) fn source(&self) -> Arc<Source> {
        self.source.clone()
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.source.text
    }

    pub(super) fn word(&self, token: &Token) -> &[u8] {
        self.source.text.get(token.start..token.end).unwrap_or_default()
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        let line = self.tree.line;
        let source = self.text().split(|b| *b == b'\n').nth(line.saturating_sub(1)).unwrap_or_default();
        let source = source.get(..200).unwrap_or(source);
        ParseError {
            name: self.source.name.clone(),
            line,
            source: String::from_utf8_lossy(source).trim_end().to_owned(),
            message: message.into(),
        }
    }

    pub(super) fn unexpected(&self, token: &Token, context: &str) -> ParseError {
        let shown = token.show(self.text());
        if token.kind != Kind::Error {
            return self.error(format!("unexpected {shown} in {context}"));
        }
        let start = self.tree.action_line;
        if start == 0 || start == token.line {
            return self.error(shown);
        }
        // "unclosed action" already says that it is an action.
        let within = if shown.ends_with(" action") { "" } else { " in action" };
        self.error(format!("{shown}{within} started at {}:{start}", self.source.name))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(&token, context)) }
    }

    fn run(&mut self) -> Result<()> {
        loop {
            let top = matches!(self.tree.role, Role::File) && self.tree.controls.is_empty();
            if top {
                if self.peek().kind == Kind::Eof {
                    return self.finish_file();
                }
                if self.peek().kind == Kind::LeftDelim && self.define()? {
                    continue;
                }
            } else if self.peek_non_space().kind == Kind::Eof {
                return Err(self.error("unexpected EOF"));
            }
            self.text_or_action()?;
        }
    }

    /// Starts a definition if the action ahead is one.
    fn define(&mut self) -> Result<bool> {
        let delim = self.next();
        let token = self.next_non_space();
        if token.kind != Kind::Define {
            self.back(token);
            self.back(delim);
            return Ok(false);
        }
        self.nest(Role::Definition);
        let name = self.next_non_space();
        if !matches!(name.kind, Kind::String | Kind::RawString) {
            return Err(self.unexpected(&name, "define clause"));
        }
        let value = self.unquote(&name)?;
        self.tree.name = String::from_utf8_lossy(&value).into();
        self.expect(Kind::RightDelim, "define clause")?;
        Ok(true)
    }

    fn nest(&mut self, role: Role) {
        let inner = Builder::new(role, "".into());
        self.outer.push(std::mem::replace(&mut self.tree, inner));
    }

    pub(super) fn unquote(&self, token: &Token) -> Result<Vec<u8>> {
        unquote(self.word(token)).ok_or_else(|| self.error("invalid syntax"))
    }

    fn text_or_action(&mut self) -> Result<()> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => {
                self.tree.ops.push(Op::Text(span(&token)));
                Ok(())
            }
            Kind::LeftDelim => {
                self.tree.action_line = token.line;
                self.action()
            }
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Result<()> {
        let token = self.next_non_space();
        match token.kind {
            // The body of these is parsed with their line still in hand.
            Kind::If => return self.control(ControlKind::If, false),
            Kind::With => return self.control(ControlKind::With, false),
            Kind::Range => return self.control(ControlKind::Range, false),
            Kind::Block => return self.block(),
            Kind::Template => self.template()?,
            Kind::Break => self.leave_loop("{{break}}", Op::Break)?,
            Kind::Continue => self.leave_loop("{{continue}}", Op::Next)?,
            Kind::Else => self.else_()?,
            Kind::End => self.end()?,
            _ => {
                self.back(token);
                let pipe = self.pipeline("command")?;
                let declares =
                    matches!(self.tree.kind(pipe), NodeKind::Pipe { decls, .. } if !decls.is_empty());
                self.tree.ops.push(if declares { Op::Eval(pipe) } else { Op::Print(pipe) });
            }
        }
        self.tree.action_line = 0;
        Ok(())
    }

    fn control(&mut self, kind: ControlKind, chained: bool) -> Result<()> {
        let before = self.tree.scope();
        let pipe = self.pipeline(kind.word())?;
        self.tree.open(kind, &before, pipe, chained);
        Ok(())
    }

    fn leave_loop(&mut self, word: &str, op: Op) -> Result<()> {
        self.expect(Kind::RightDelim, word)?;
        if self.tree.loops == 0 {
            return Err(self.error(format!("{word} outside {{{{range}}}}")));
        }
        self.tree.ops.push(op);
        Ok(())
    }

    fn else_(&mut self) -> Result<()> {
        let ahead = self.peek_non_space().kind;
        let chain = match ahead {
            Kind::If => Some(ControlKind::If),
            Kind::With => Some(ControlKind::With),
            _ => {
                self.expect(Kind::RightDelim, "else")?;
                None
            }
        };
        let Some(control) = self.tree.controls.last() else {
            return Err(match self.tree.role {
                Role::File => self.error("unexpected {{else}}"),
                Role::Definition => self.error("unexpected {{else}} in define clause"),
                Role::Block { .. } => self.block_error("unexpected {{else}} in block clause"),
            });
        };
        if control.over_else.is_some() {
            return Err(self.error("expected end; found {{else}}"));
        }
        let kind = control.kind;
        self.tree.open_else();
        self.tree.action_line = 0;
        if chain == Some(kind) {
            self.next_non_space();
            self.control(kind, true)?;
        }
        Ok(())
    }

    /// An error in the template around a block, at the line where the block's action ends.
    fn block_error(&mut self, message: &str) -> ParseError {
        if let Some(outer) = self.outer.pop() {
            self.tree = outer;
        }
        self.error(message)
    }

    fn end(&mut self) -> Result<()> {
        self.expect(Kind::RightDelim, "end")?;
        if !self.tree.controls.is_empty() {
            self.tree.close();
            return Ok(());
        }
        let Some(outer) = self.outer.pop() else {
            return Err(self.error("unexpected {{end}}"));
        };
        self.check_name()?;
        let inner = std::mem::replace(&mut self.tree, outer);
        let inner = self.add(inner);
        if let Role::Block { pos, name, written, pipe } = inner {
            let name = self.tree.string(name, written);
            let node = self.tree.node(pos, NodeKind::Template { name, pipe: Some(pipe) });
            self.tree.ops.push(Op::Template(node));
        }
        Ok(())
    }

    fn block(&mut self) -> Result<()> {
        let token = self.next_non_space();
        let name = self.template_name(&token, "block clause")?;
        let pipe = self.pipeline("block clause")?;
        let shown = String::from_utf8_lossy(&name).into();
        self.nest(Role::Block { pos: token.start, name: name.into(), written: span(&token), pipe });
        self.tree.name = shown;
        Ok(())
    }

    fn template(&mut self) -> Result<()> {
        let token = self.next_non_space();
        let name = self.template_name(&token, "template clause")?;
        let ahead = self.next_non_space();
        let pipe = if ahead.kind == Kind::RightDelim {
            None
        } else {
            self.back(ahead);
            Some(self.pipeline("template clause")?)
        };
        let name = self.tree.string(name, span(&token));
        let node = self.tree.node(token.start, NodeKind::Template { name, pipe });
        self.tree.ops.push(Op::Template(node));
        Ok(())
    }

    fn template_name(&self, token: &Token, context: &str) -> Result<Vec<u8>> {
        match token.kind {
            Kind::String | Kind::RawString => self.unquote(token),
            _ => Err(self.unexpected(token, context)),
        }
    }

    fn finish_file(&mut self) -> Result<()> {
        self.check_name()?;
        let file = std::mem::replace(&mut self.tree, Builder::new(Role::File, "".into()));
        self.add(file);
        Ok(())
    }

    /// A name may be defined twice in a text only if one of the two is empty.
    fn check_name(&self) -> Result<()> {
        let name = &self.tree.name;
        let taken = self.places.get(name).is_some_and(|place| !self.done[*place].empty);
        if taken && !self.tree.is_empty(self.source) {
            let name = crate::fmt::quoted(name.as_bytes());
            return Err(self.error(format!("template: multiple definition of template {name}")));
        }
        Ok(())
    }

    /// Keeps a template, and says what it was.
    fn add(&mut self, tree: Builder) -> Role {
        let (role, template) = tree.finish(self.source);
        match self.places.get(&template.name) {
            Some(place) if self.done[*place].empty => self.done[*place] = Arc::new(template),
            Some(_) => {}
            None => {
                self.places.insert(template.name.clone(), self.done.len());
                self.done.push(Arc::new(template));
            }
        }
        role
    }
}

/// Where a token stands.
pub(super) fn span(token: &Token) -> Span {
    token.start as u32..token.end as u32
}
