//! What a template must not be able to do: overflow the stack, fill the memory, run for ever.
#![expect(clippy::expect_used, reason = "a test that cannot set up has failed")]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sluice_gotemplate::{
    Error, Function, Functions, Map, Options, Session, Set, Stop, Type, Value, stack::with_large_stack,
};

fn functions() -> Functions {
    let mut all = Functions::builtin();
    all.extend([
        Function::new("include", &[Type::String, Type::Any], |cx, args| {
            cx.include(args.string(0)?, args.any(1)).map(Value::String)
        }),
        Function::new("tpl", &[Type::String, Type::Any], |cx, args| {
            cx.tpl(args.string(0)?, args.any(1)).map(Value::String)
        }),
        Function::variadic("list", &[Type::Any], |_, args| Ok(Value::list(args.all().to_vec()))),
        Function::new("set", &[Type::MAP, Type::String, Type::Any], |cx, args| {
            cx.set(args.map(0)?, args.string(1)?.clone(), args.any(2).clone())?;
            Ok(args.any(0).clone())
        }),
    ]);
    all
}

fn render_with(text: &str, options: Options) -> Result<String, Error> {
    let mut set = Set::new("gotpl", Arc::new(functions()));
    set.parse("t", text.as_bytes())?;
    let session = Session::new(options, None);
    let root = Map::new();
    root.insert("text", Value::from("{{ tpl .text . }}"));
    let out = set.execute(&session, "t", &Value::Map(root))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn render(text: &str) -> Result<String, Error> {
    render_with(text, Options::default())
}

fn on_large_stack(text: &str) -> Result<String, Error> {
    with_large_stack(|| render(text)).expect("a thread")
}

#[test]
fn ten_thousand_parentheses_work_and_one_more_is_an_error() {
    let nested = |depth: usize| format!("{{{{ {}1{} }}}}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(on_large_stack(&nested(10_000)).expect("deep"), "1");
    let error = render(&nested(10_001)).expect_err("too deep").to_string();
    assert_eq!(error, "template: t:1: max expression depth exceeded");
    // On a thread with a small stack it is an error, not a crash.
    let calls = format!("{{{{ {}1{} }}}}", "(print ".repeat(10_000), ")".repeat(10_000));
    match std::thread::spawn(move || render(&calls)).join().expect("no panic") {
        Ok(text) => assert_eq!(text, "1"),
        Err(error) => assert_eq!(error.stopped(), Some(Stop::Depth)),
    }
}

#[test]
fn control_structures_nest_without_any_limit() {
    for (open, want) in [("{{ if true }}", "x"), ("{{ with 1 }}", "x"), ("{{ range 1 }}", "x")] {
        let text = format!("{}x{}", open.repeat(20_000), "{{ end }}".repeat(20_000));
        assert_eq!(render(&text).expect("deep"), want, "{open}");
    }
    let chain =
        format!("{{{{ if false }}}}{}{{{{ else }}}}x{{{{ end }}}}", "{{ else if false }}".repeat(20_000));
    assert_eq!(render(&chain).expect("a long chain"), "x");
}

#[test]
fn endless_recursion_ends_in_an_error() {
    let include = r#"{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}"#;
    let error = on_large_stack(include).expect_err("endless").to_string();
    assert!(
        error.ends_with("rendering template has a nested reference name: a: unable to execute template"),
        "{}",
        error.get(error.len() - 200..).unwrap_or_default()
    );
    let error = on_large_stack("{{ tpl .text . }}").expect_err("endless").to_string();
    assert!(error.ends_with("nested reference name: gotpl: unable to execute template"));
    let template = r#"{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}"#;
    let error = render(template).expect_err("endless").to_string();
    assert!(error.ends_with("exceeded maximum template depth (100000)"), "{error}");
}

#[test]
fn recursion_on_a_small_stack_ends_in_an_error() {
    for text in [
        r#"{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}"#,
        r#"{{ define "a" }}{{ include "b" . }}{{ end }}{{ define "b" }}{{ include "a" . }}{{ end }}{{ include "a" . }}"#,
        "{{ tpl .text . }}",
    ] {
        let error = std::thread::spawn(move || render(text)).join().expect("no panic").expect_err("endless");
        let text = error.to_string();
        assert!(error.stopped() == Some(Stop::Depth) || text.ends_with("unable to execute template"));
    }
}

#[test]
fn values_that_are_nested_too_deeply_do_not_crash() {
    let deep = "{{ $x := list }}{{ range 200000 }}{{ $x = list $x }}{{ end }}";
    assert_eq!(render(&format!("{deep}ok")).expect("made and dropped"), "ok");
    let print = format!("{deep}{{{{ print $x }}}}");
    let error = std::thread::spawn(move || render(&print)).join().expect("no panic").expect_err("too deep");
    assert_eq!(error.stopped(), Some(Stop::Depth));
}

#[test]
fn a_map_within_itself_can_be_used_but_not_printed() {
    assert_eq!(render(r#"{{ $_ := set . "root" . }}{{ len .root.root.root }}"#).expect("a cycle"), "2");
    let options = Options { max_output: 1 << 20, ..Options::default() };
    let error = render_with(r#"{{ $_ := set . "root" . }}{{ . }}"#, options).expect_err("endless");
    assert!(matches!(error.stopped(), Some(Stop::Depth | Stop::Output(_))), "{error}");
}

#[test]
fn output_steps_and_time_are_bounded() {
    let options = Options { max_output: 1000, max_steps: 100_000, ..Options::default() };
    for (text, want) in [
        ("{{ range 1000000 }}0123456789{{ end }}", Stop::Output(1000)),
        (r#"{{ range 1000000 }}{{ print "0123456789" 1 }}{{ end }}"#, Stop::Output(1000)),
        (r#"{{ printf "%9000d" 1 }}"#, Stop::Output(1000)),
        ("{{ range 1000000000 }}{{ end }}", Stop::Steps(100_000)),
        // 2^40 elements out of 40 lists.
        (
            "{{ $x := list 1 }}{{ range 40 }}{{ $x = list $x $x }}{{ end }}{{ len (print $x) }}",
            Stop::Output(1000),
        ),
    ] {
        let error = render_with(text, options.clone()).expect_err("too much");
        assert_eq!(
            error.stopped().map(|stop| std::mem::discriminant(&stop)),
            Some(std::mem::discriminant(&want)),
            "{text}: {error}"
        );
    }
}

#[test]
fn a_render_can_be_given_up() {
    let flag = Arc::new(AtomicBool::new(false));
    let options = Options { canceled: Some(flag.clone()), ..Options::default() };
    flag.store(true, Ordering::Relaxed);
    let endless = "{{ range 1000000000 }}{{ end }}";
    assert_eq!(render_with(endless, options).expect_err("canceled").stopped(), Some(Stop::Canceled));
    let options = Options { deadline: Some(std::time::Instant::now()), ..Options::default() };
    assert_eq!(render_with(endless, options).expect_err("late").stopped(), Some(Stop::Deadline));
}

#[test]
fn strict_mode_refuses_what_is_missing() {
    let options = Options { strict: true, ..Options::default() };
    for (text, want) in [
        ("{{ .nope }}", "template: t:1:3: executing \"t\" at <.nope>: map has no entry for key \"nope\""),
        (
            "{{ $x := index (list nil) 0 }}{{ $x.y }}",
            "template: t:1:35: executing \"t\" at <$x.y>: nil data; no entry for key \"y\"",
        ),
    ] {
        assert_eq!(render_with(text, options.clone()).expect_err("missing").to_string(), want);
    }
}
