//! The grammar of `${…}` expressions, text to tree.
//!
//! It is that of Flux's fork of `drone/envsubst`, not that of a shell: what a shell would accept beyond it is an error.

use super::ExpandError;

/// Expressions may stand in the arguments of expressions, but not deeper than this.
const MAX_DEPTH: usize = 32;

/// A piece of text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text that stands for itself.
    Text(String),
    /// `${…}`.
    Expression(Expression),
}

/// One `${…}`: the variable and what is done with its value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expression {
    pub(super) name: String,
    pub(super) operation: Operation,
}

/// What is done with the value of a variable.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// `${v}`
    Value,
    /// `${#v}`
    Length,
    /// `${v:-ARG}` and its relatives, which all mean the same
    Default(Vec<Part>),
    /// `${v^}`, `${v^^}`, `${v,}`, `${v,,}`
    Case { upper: bool, all: bool },
    /// `${v:P}`, `${v:P:L}`
    Slice { position: Vec<Part>, length: Option<Vec<Part>> },
    /// `${v#G}`, `${v##G}`, `${v%G}`, `${v%%G}`
    Trim { suffix: bool, longest: bool, glob: Vec<Part> },
    /// `${v/S/R}`, `${v//S/R}`, `${v/#S/R}`, `${v/%S/R}`
    Replace { place: Place, search: Vec<Part>, replacement: Vec<Part> },
}

/// Where a replacement looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    First,
    All,
    Prefix,
    Suffix,
}

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Vec<Part>, ExpandError> {
    let mut parser = Parser { rest: text, depth: 0 };
    let mut parts = Vec::new();
    let mut literal = String::new();
    while let Some(at) = parser.rest.find('$') {
        let (before, after) = parser.rest.split_at(at);
        literal.push_str(before);
        parser.rest = after;
        if parser.accept("$$") {
            literal.push('$');
        } else if parser.accept("${") {
            flush(&mut literal, &mut parts);
            parts.push(Part::Expression(parser.expression()?));
        } else {
            parser.accept("$");
            literal.push('$');
        }
    }
    literal.push_str(parser.rest);
    flush(&mut literal, &mut parts);
    Ok(parts)
}

/// How an argument reads the characters that are special to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// `$$` and backslashes stand for themselves.
    None,
    /// `$$` is `$`, `\/` is `/`, `\\` is `\`.
    Replace,
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    /// Reads what follows `${`, up to and with its `}`.
    fn expression(&mut self) -> Result<Expression, ExpandError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ExpandError::TooDeep);
        }
        if self.accept("#") {
            let name = self.name();
            if name.is_empty() {
                return Err(ExpandError::BadSubstitution);
            }
            return self.closed(name, Operation::Length);
        }
        let name = self.name();
        if name.is_empty() {
            return Err(ExpandError::VariableName);
        }
        let operation = self.operation()?;
        self.closed(name, operation)
    }

    fn closed(&mut self, name: String, operation: Operation) -> Result<Expression, ExpandError> {
        if !self.accept("}") {
            return Err(ExpandError::MissingBrace);
        }
        self.depth -= 1;
        Ok(Expression { name, operation })
    }

    fn operation(&mut self) -> Result<Operation, ExpandError> {
        for operator in [":-", ":=", ":+", ":?", "="] {
            if self.accept(operator) {
                return Ok(Operation::Default(self.argument(&['}'], Escapes::None)?));
            }
        }
        if self.accept(":") {
            return self.slice();
        }
        for (operator, upper, all) in
            [("^^", true, true), ("^", true, false), (",,", false, true), (",", false, false)]
        {
            if self.accept(operator) {
                return match self.rest.starts_with('}') {
                    true => Ok(Operation::Case { upper, all }),
                    false => Err(ExpandError::BadSubstitution),
                };
            }
        }
        for (operator, suffix, longest) in
            [("##", false, true), ("#", false, false), ("%%", true, true), ("%", true, false)]
        {
            if self.accept(operator) {
                let glob = self.required(&['}'], Escapes::None)?;
                return Ok(Operation::Trim { suffix, longest, glob });
            }
        }
        for (operator, place) in
            [("//", Place::All), ("/#", Place::Prefix), ("/%", Place::Suffix), ("/", Place::First)]
        {
            if self.accept(operator) {
                return self.replace(place);
            }
        }
        Ok(Operation::Value)
    }

    fn slice(&mut self) -> Result<Operation, ExpandError> {
        let position = self.required(&[':', '}'], Escapes::None)?;
        let length = match self.accept(":") {
            true => Some(self.required(&['}'], Escapes::None)?),
            false => None,
        };
        Ok(Operation::Slice { position, length })
    }

    fn replace(&mut self, place: Place) -> Result<Operation, ExpandError> {
        let search = self.argument(&['/', '}'], Escapes::Replace)?;
        let second_slash = self.accept("/");
        if search.is_empty() || (place == Place::First && !second_slash) {
            return Err(ExpandError::BadSubstitution);
        }
        let replacement = if second_slash { self.argument(&['}'], Escapes::Replace)? } else { Vec::new() };
        Ok(Operation::Replace { place, search, replacement })
    }

    fn required(&mut self, ends: &[char], escapes: Escapes) -> Result<Vec<Part>, ExpandError> {
        let argument = self.argument(ends, escapes)?;
        if argument.is_empty() {
            return Err(ExpandError::WithinFunction);
        }
        Ok(argument)
    }

    /// Reads text and expressions up to the first of `ends`, which stays.
    fn argument(&mut self, ends: &[char], escapes: Escapes) -> Result<Vec<Part>, ExpandError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        while let Some(next) = self.rest.chars().next() {
            if ends.contains(&next) {
                break;
            }
            if escapes == Escapes::Replace {
                let escaped = [("$$", '$'), ("\\/", '/'), ("\\\\", '\\')]
                    .into_iter()
                    .find_map(|(written, meant)| self.accept(written).then_some(meant));
                if let Some(meant) = escaped {
                    literal.push(meant);
                    continue;
                }
            }
            if self.accept("${") {
                flush(&mut literal, &mut parts);
                parts.push(Part::Expression(self.expression()?));
                continue;
            }
            literal.push(next);
            self.rest = self.rest.get(next.len_utf8()..).unwrap_or_default();
        }
        flush(&mut literal, &mut parts);
        Ok(parts)
    }

    fn name(&mut self) -> String {
        let end = self
            .rest
            .find(|c: char| !(c.is_alphabetic() || c.is_numeric() || c == '_'))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name.to_owned()
    }

    fn accept(&mut self, word: &str) -> bool {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

fn flush(literal: &mut String, parts: &mut Vec<Part>) {
    if !literal.is_empty() {
        parts.push(Part::Text(std::mem::take(literal)));
    }
}
