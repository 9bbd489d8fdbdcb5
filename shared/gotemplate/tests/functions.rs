//! Every function against the real Helm: `tests/cases/functions/*.txt`, whose results `tests/regenerate` has written.
//!
//! A case is a template on a line of its own and its result on the next: `= ` and the text, or `! ` and the message of the
//! error. Results that differ from Helm's on purpose stand after `~= ` or `~! ` instead, below a comment that says why.

use std::{fs, path::Path, sync::Arc};

use sluice_gotemplate::{
    Functions, Map, Options, Session, Set, Value,
    functions::{Settings, functions},
};

fn helm_functions() -> Arc<Functions> {
    let mut all = Functions::builtin();
    all.extend(functions(&Settings::default()));
    Arc::new(all)
}

fn render(functions: &Arc<Functions>, template: &str) -> Result<String, String> {
    let mut set = Set::new("gotpl", functions.clone());
    set.parse("t", template.as_bytes()).map_err(|error| error.to_string())?;
    let data: Map = [("Values", Value::Map(Map::new()))].into_iter().collect();
    let session = Session::new(Options::default(), None);
    let out = set.execute(&session, "t", &data.into()).map_err(|error| message(&error.to_string()))?;
    Ok(escape(&out).replace("<no value>", ""))
}

/// The message without the places before it.
fn message(error: &str) -> String {
    let text = match error.rsplit_once("error calling ") {
        Some((_, call)) => call.split_once(": ").map_or(call, |(_, text)| text),
        None => error.rsplit_once(">: ").map_or(error, |(_, text)| text),
    };
    escape(text.as_bytes())
}

fn escape(text: &[u8]) -> String {
    let mut out = String::new();
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                c if c < ' ' || c == '\x7f' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    match out.strip_suffix(' ') {
        Some(head) => format!("{head}\\x20"),
        None => out,
    }
}

#[test]
fn functions_give_what_helm_gives() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/functions");
    let functions = helm_functions();
    let (mut count, mut wrong) = (0, Vec::new());
    let mut files: Vec<_> = fs::read_dir(directory).expect("cases").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).expect("UTF-8");
        let name = file.file_name().expect("name").to_string_lossy().into_owned();
        let mut template = None;
        for (index, line) in text.lines().enumerate() {
            if line.starts_with("{{") {
                template = Some(line);
                continue;
            }
            let Some(expected) = line.strip_prefix('~').or(Some(line)).filter(|l| l.starts_with(['=', '!'])) else {
                continue;
            };
            let Some(template) = template.take() else { continue };
            count += 1;
            let got = match render(&functions, template) {
                Ok(text) => format!("= {text}"),
                Err(text) => format!("! {text}"),
            };
            if got.trim_end() != expected {
                wrong.push(format!("{name}:{}: {template}\n  want {expected}\n  got  {got}", index + 1));
            }
        }
    }
    assert!(count >= 450, "only {count} cases");
    assert!(wrong.is_empty(), "{} of {count} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}
