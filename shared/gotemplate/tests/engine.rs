//! The engine against Go's `text/template`: every case under `cases/` holds what Go prints for it.
//!
//! `oracle/regenerate.sh` writes the expected parts anew; it needs Go. A case file is a list of blocks that begin with a
//! line `--- <what>`: `file NAME` adds a template to the set of the next case, `in` is its template, `out` or `error`
//! what comes of it.
#![expect(clippy::expect_used, reason = "a test that cannot read its cases has failed")]

use std::{fs, path::Path, sync::Arc};

use serde_json::json;
use sluice_gotemplate::{
    Args, Context, Error, Function, Functions, Map, Options, Session, Set, Type, Value,
    functions::{self, Settings},
    value::Numbers,
};

#[test]
fn templates_print_what_they_print_in_go() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/engine");
    let mut paths: Vec<_> = fs::read_dir(dir)
        .expect("the cases are there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let mut count = 0;
    let mut wrong = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("a case file");
        let topic = path.file_stem().expect("a name").to_string_lossy().into_owned();
        for case in parse(&text) {
            count += 1;
            let got = run(&case, !topic.starts_with("builtin"));
            if got != case.want {
                wrong.push(format!("{topic}: {:?}\n  want {:?}\n  got  {got:?}", case.template, case.want));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} cases are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 250, "only {count} cases were found");
}

/// One case.
struct Case {
    files: Vec<(String, String)>,
    template: String,
    want: Result<String, String>,
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut files = Vec::new();
    let text = format!("\n{}", text.strip_suffix('\n').unwrap_or(text));
    for block in text.split("\n--- ").skip(1) {
        let (head, body) = block.split_once('\n').unwrap_or((block, ""));
        let body = body.to_owned();
        match head.split_once(' ').unwrap_or((head, "")) {
            ("file", name) => files.push((name.to_owned(), body)),
            ("in", _) => cases.push(Case {
                files: std::mem::take(&mut files),
                template: body,
                want: Err("the case has no result".to_owned()),
            }),
            ("out", _) => cases.last_mut().expect("a template before its output").want = Ok(body),
            ("error", _) => cases.last_mut().expect("a template before its error").want = Err(body),
            (other, _) => assert!(other.starts_with('#'), "unknown block {other:?}"),
        }
    }
    cases
}

fn run(case: &Case, sprig: bool) -> Result<String, String> {
    let mut all = Functions::builtin();
    if sprig {
        all.extend(functions::functions(&Settings::default()));
    }
    all.extend(nested());
    let mut set = Set::new("gotpl", Arc::new(all));
    let name = "c/templates/x.yaml";
    for (name, text) in &case.files {
        set.parse(name, text.as_bytes()).map_err(|error| error.to_string())?;
    }
    set.parse(name, case.template.as_bytes()).map_err(|error| error.to_string())?;
    let session = Session::new(Options::default(), None);
    let out = set.execute(&session, name, &data()).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// What the cases see, as in `oracle/main.go`.
fn data() -> Value {
    let values = json!({
        "f": 3, "fl": 1.5, "big": 12_345_678, "a": "str", "m": {"x": 1, "b": "q"}, "l": [1, "b"],
        "t": true, "e": {}, "el": [], "es": "", "z": 0, "nest": {"a": {"b": {"c": "d"}}, "l": [{"k": "v"}, [1, 2]]},
        "nul": null, "end": "an end", "é": "accent", "neg": -2.5,
    });
    let root = Map::new();
    root.insert("Values", Value::from_json(&values, Numbers::Float));
    root.insert("Name", Value::from("n"));
    Value::Map(root)
}

fn nested() -> Vec<Function> {
    use Type::{Any, String};
    vec![
        Function::new("include", &[String, Any], |cx, args| {
            cx.include(args.string(0)?, args.any(1)).map(Value::String)
        }),
        Function::new("tpl", &[String, Any], |cx, args| {
            cx.tpl(args.string(0)?, args.any(1)).map(Value::String)
        }),
        Function::new("required", &[String, Any], required),
        Function::new("fail", &[String], |_, args| Err(Error::Raised(args.string(0)?.to_string()))),
    ]
}

fn required(_: &Context<'_>, args: &Args) -> Result<Value, Error> {
    let value = args.any(1);
    if value.is_nil() || value.as_str().is_some_and(|text| text.is_empty()) {
        return Err(Error::Raised(args.string(0)?.to_string()));
    }
    Ok(value.clone())
}
