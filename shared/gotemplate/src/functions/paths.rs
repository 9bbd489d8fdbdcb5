//! Paths with slashes, by the rules of Go's packages `path` and `path/filepath`, which agree on Unix.

use crate::{Function, Type, Value};

/// The functions of this family.
pub(super) fn functions() -> Vec<Function> {
    let text = |name, change: fn(&[u8]) -> Vec<u8>| {
        Function::new(name, &[Type::String], move |_, args| Ok(Value::string(change(args.string(0)?))))
    };
    let is_absolute =
        Function::new("isAbs", &[Type::String], |_, args| Ok(Value::Bool(args.string(0)?.starts_with(b"/"))));
    vec![
        text("base", base),
        text("osBase", base),
        text("dir", dir),
        text("osDir", dir),
        text("clean", clean),
        text("osClean", clean),
        text("ext", |path| extension(path).to_vec()),
        text("osExt", |path| extension(path).to_vec()),
        is_absolute.alias("osIsAbs"),
        is_absolute,
    ]
}

/// The last element; `.` for an empty path, `/` for nothing but slashes.
fn base(path: &[u8]) -> Vec<u8> {
    let trimmed = path.iter().rposition(|b| *b != b'/').map_or(&[][..], |last| &path[..=last]);
    if trimmed.is_empty() {
        return if path.is_empty() { b".".to_vec() } else { b"/".to_vec() };
    }
    trimmed.rsplit(|b| *b == b'/').next().unwrap_or_default().to_vec()
}

/// All but the last element, cleaned.
fn dir(path: &[u8]) -> Vec<u8> {
    clean(path.iter().rposition(|b| *b == b'/').map_or(&[], |slash| &path[..=slash]))
}

/// The shortest path to the same place, judged by its text.
fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut kept: Vec<&[u8]> = Vec::new();
    for element in path.split(|b| *b == b'/') {
        match element {
            b"" | b"." => {}
            b".." if kept.last().is_some_and(|last| *last != b"..") => {
                kept.pop();
            }
            b".." if rooted => {}
            other => kept.push(other),
        }
    }
    let joined = kept.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

/// From the last dot of the last element on.
fn extension(path: &[u8]) -> &[u8] {
    let name = path.iter().rposition(|b| *b == b'/').map_or(path, |slash| &path[slash + 1..]);
    name.iter().rposition(|b| *b == b'.').map_or(&[], |dot| &name[dot..])
}
