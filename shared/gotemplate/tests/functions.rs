//! Every function against the real Helm: the results in `cases/functions/*.txt` are written by the program in
//! `oracle/functions` (`TZ=UTC go run . ../../cases/functions/*.txt`), which calls Helm's engine.
//!
//! A case is a template on a line of its own and its result on the next: `= ` and the text, or `! ` and the message of the
//! error. Where Sluice differs on purpose, its result follows after `~= ` or `~! `, and a comment says why.

#![expect(clippy::expect_used, reason = "a test that cannot read its cases has failed")]

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

/// A template and what it gives.
struct Case {
    place: String,
    template: String,
    expected: Option<String>,
}

fn cases() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/functions");
    let mut files: Vec<_> =
        fs::read_dir(directory).expect("cases").map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    let mut cases: Vec<Case> = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("UTF-8");
        let name = file.file_name().expect("name").to_string_lossy().into_owned();
        for (index, line) in text.lines().enumerate() {
            if line.starts_with("{{") {
                let place = format!("{name}:{}", index + 1);
                cases.push(Case { place, template: line.to_owned(), expected: None });
            } else if let Some(result) =
                line.strip_prefix('~').or(Some(line)).filter(|l| l.starts_with(['=', '!']))
            {
                cases.last_mut().expect("a template stands above").expected = Some(result.to_owned());
            }
        }
    }
    cases
}

#[test]
fn functions_give_what_helm_gives() {
    let (functions, cases) = (helm_functions(), cases());
    assert!(cases.len() >= 1000, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for Case { place, template, expected } in &cases {
        let got = match render(&functions, template) {
            Ok(text) => format!("= {text}"),
            Err(text) => format!("! {text}"),
        };
        let expected = expected.as_deref().expect("every template has its result");
        if got.trim_end() != expected {
            wrong.push(format!("{place}: {template}\n  want {expected}\n  got  {got}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn every_function_has_a_case() {
    let cases = cases();
    let uses = |name: &str| {
        let words = |case: &Case| {
            let mut words = case.template.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words.any(|word| word == name)
        };
        cases.iter().any(words)
    };
    let missing: Vec<_> =
        functions(&Settings::default()).iter().map(|f| f.name()).filter(|name| !uses(name)).collect();
    assert_eq!(missing, [""; 0]);
}
