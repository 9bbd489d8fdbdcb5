//! Trees back to text, as messages quote them: single blanks, literals as they were written.

use super::tree::{Id, NodeKind, Template};

/// Longest text of a node. Only machines write longer expressions, and nobody reads them in a message.
const MAX: usize = 8 * 1024;

impl Template {
    /// The text of a node.
    pub(crate) fn show(&self, id: Id) -> String {
        let mut out = Vec::new();
        // A stack of what is still to be written, because parentheses nest as deeply as the author likes.
        let mut todo = vec![Piece::Node(id)];
        while let Some(piece) = todo.pop() {
            if out.len() > MAX {
                out.extend(b"...");
                break;
            }
            match piece {
                Piece::Text(text) => out.extend(text.as_bytes()),
                Piece::Owned(text) => out.extend(text),
                Piece::Node(id) => self.write(id, &mut out, &mut todo),
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    fn write(&self, id: Id, out: &mut Vec<u8>, todo: &mut Vec<Piece>) {
        match &self.node(id).kind {
            NodeKind::Pipe { decls, assign, commands } => {
                for (i, decl) in self.decls(decls).iter().enumerate() {
                    out.extend(if i > 0 { &b", "[..] } else { b"" });
                    out.extend(self.source(&decl.name));
                }
                if !decls.is_empty() {
                    out.extend(if *assign { &b" = "[..] } else { b" := " });
                }
                for (i, command) in self.kids(commands).iter().enumerate().rev() {
                    todo.push(Piece::Node(*command));
                    if i > 0 {
                        todo.push(Piece::Text(" | "));
                    }
                }
            }
            NodeKind::Command { args } => {
                for (i, arg) in self.kids(args).iter().enumerate().rev() {
                    self.operand(*arg, todo);
                    if i > 0 {
                        todo.push(Piece::Text(" "));
                    }
                }
            }
            NodeKind::Field { names } => {
                for name in self.names(names) {
                    out.push(b'.');
                    out.extend(&name[..]);
                }
            }
            NodeKind::Variable { name, names, .. } => {
                out.extend(self.source(name));
                for name in self.names(names) {
                    out.push(b'.');
                    out.extend(&name[..]);
                }
            }
            NodeKind::Chain { node, names } => {
                let names = self.names(names).iter().flat_map(|name| [&b"."[..], name]).collect::<Vec<_>>();
                todo.push(Piece::Owned(names.concat()));
                self.operand(*node, todo);
            }
            NodeKind::Dot => out.push(b'.'),
            NodeKind::Nil => out.extend(b"nil"),
            NodeKind::Bool(value) => out.extend(value.to_string().as_bytes()),
            NodeKind::Number { text, .. } => out.extend(self.source(text)),
            NodeKind::String(index) => out.extend(self.source(&self.strings[*index as usize].written)),
            NodeKind::Function(index) => out.extend(self.functions[*index as usize].name.as_bytes()),
            NodeKind::Template { name, pipe } => {
                out.extend(b"{{template ");
                out.extend(crate::fmt::quoted(&self.strings[*name as usize].value).as_bytes());
                todo.push(Piece::Text("}}"));
                if let Some(pipe) = pipe {
                    todo.push(Piece::Node(*pipe));
                    todo.push(Piece::Text(" "));
                }
            }
        }
    }

    /// An argument: a pipeline stands in parentheses.
    fn operand(&self, id: Id, todo: &mut Vec<Piece>) {
        if matches!(self.node(id).kind, NodeKind::Pipe { .. }) {
            todo.extend([Piece::Text(")"), Piece::Node(id), Piece::Text("(")]);
        } else {
            todo.push(Piece::Node(id));
        }
    }
}

enum Piece {
    Text(&'static str),
    Owned(Vec<u8>),
    Node(Id),
}
