//! What functions do at their limits: sizes, depth, seeds, the network.
#![expect(clippy::expect_used, reason = "a failure of these is a failure of the test")]

use std::sync::Arc;

use sluice_gotemplate::{
    Error, Functions, Map, Options, Session, Set, Stop, Value,
    functions::{Settings, functions, gotime::Zone},
};

fn all(settings: &Settings) -> Arc<Functions> {
    let mut all = Functions::builtin();
    all.extend(functions(settings));
    Arc::new(all)
}

fn render(template: &str, options: Options, settings: &Settings) -> Result<String, Error> {
    let mut set = Set::new("gotpl", all(settings));
    set.parse("t", template.as_bytes()).expect("a template");
    let session = Session::new(options, None);
    let out = set.execute(&session, "t", &Value::Map(Map::new()))?;
    Ok(String::from_utf8(out).expect("UTF-8"))
}

fn stopped(template: &str) -> Option<Stop> {
    let options = Options { max_output: 1 << 20, max_items: 10_000, ..Options::default() };
    render(template, options, &Settings::default()).expect_err(template).stopped()
}

#[test]
fn what_would_take_much_memory_is_refused_before_it_is_taken() {
    for template in [
        "{{ repeat 9223372036854775807 \"ab\" }}",
        "{{ repeat 2000000 \"a\" | len }}",
        "{{ indent 2000000 \"a\" | len }}",
        "{{ nindent 9223372036854775807 \"a\" | len }}",
        "{{ replace \"\" (repeat 1000 \"x\") (repeat 10000 \"y\") | len }}",
        "{{ replace \"y\" (repeat 1000 \"x\") (repeat 10000 \"y\") | len }}",
        "{{ regexReplaceAll \"y\" (repeat 10000 \"y\") (repeat 1000 \"x\") | len }}",
        "{{ regexReplaceAllLiteral \"\" (repeat 10000 \"y\") (repeat 1000 \"x\") | len }}",
        "{{ randBytes 9223372036854775807 }}",
        "{{ randAlphaNum 2000000 | len }}",
        "{{ join (repeat 1000 \"x\") (until 9000) | len }}",
        "{{ wrapWith 1 (repeat 1000 \"x\") (repeat 9000 \"y\") | len }}",
        "{{ $x := list }}{{ range until 9000 }}{{ $x = append $x (repeat 200 \"x\") }}{{ end }}{{ toJson $x | len }}",
    ] {
        assert_eq!(stopped(template), Some(Stop::Output(1 << 20)), "{template}");
    }
    // Ten thousand levels of indentation are a hundred million blanks.
    let nested = "{{ $x := dict }}{{ range until 5000 }}{{ $x = dict \"a\" $x }}{{ end }}";
    for call in ["toYaml", "toYamlPretty", "toPrettyJson", "toToml"] {
        let stop = stopped(&format!("{nested}{{{{ {call} $x | len }}}}"));
        assert!(matches!(stop, Some(Stop::Output(_) | Stop::Depth)), "{call}: {stop:?}");
    }
    for template in [
        "{{ until 9223372036854775807 }}",
        "{{ untilStep 0 9223372036854775807 3 }}",
        "{{ untilStep 9223372036854775800 -9223372036854775807 -1 }}",
        "{{ seq 1000000000 }}",
        "{{ splitList \"\" (repeat 20000 \"x\") }}",
        "{{ split \",\" (repeat 20000 \",\") }}",
        "{{ regexSplit \",\" (repeat 20000 \",\") -1 }}",
        "{{ regexFindAll \"\" (repeat 20000 \"x\") -1 }}",
        "{{ $l := until 9000 }}{{ concat $l $l }}",
    ] {
        assert_eq!(stopped(template), Some(Stop::Items(10_000)), "{template}");
    }
}

#[test]
fn values_nested_too_deeply_stop_the_render_and_not_the_process() {
    let nested = "{{ $x := dict }}{{ range until 200000 }}{{ $x = dict \"a\" $x }}{{ end }}";
    for call in [
        "toYaml $x",
        "toYamlPretty $x",
        "toJson $x",
        "toPrettyJson $x",
        "toToml $x",
        "deepCopy $x",
        "toString $x",
        "merge (deepCopy (dict)) $x (dict \"a\" $x) | len",
    ] {
        let outcome = render(&format!("{nested}{{{{ {call} }}}}"), Options::default(), &Settings::default());
        if let Err(error) = outcome {
            assert_eq!(error.stopped(), Some(Stop::Depth), "{call}: {error}");
        }
    }
    // Comparing takes no stack at all.
    let twice = "{{ $x := list }}{{ $y := list }}{{ range until 100000 }}{{ $x = list $x }}{{ $y = list $y }}{{ end }}";
    let equal =
        render(&format!("{twice}{{{{ deepEqual $x $y }}}}"), Options::default(), &Settings::default());
    assert_eq!(equal.expect("no failure"), "true");
    // A map that holds itself.
    for call in ["toYaml", "toJson", "toToml", "deepCopy", "toString"] {
        let template = format!("{{{{ $x := dict }}}}{{{{ $_ := set $x \"x\" $x }}}}{{{{ {call} $x }}}}");
        let error = render(&template, Options::default(), &Settings::default()).expect_err(call);
        assert!(error.stopped().is_some(), "{call}: {error}");
    }
}

#[test]
fn a_seed_makes_random_functions_repeatable_and_no_seed_does_not() {
    let template = "{{ randAlphaNum 20 }} {{ uuidv4 }} {{ randInt 0 1000000 }} {{ shuffle \"abcdefghij\" }} {{ randBytes 8 }}\
                    {{ genPrivateKey \"ecdsa\" }}{{ encryptAES \"k\" \"text\" }}";
    let run = |seed| {
        render(template, Options { seed, ..Options::default() }, &Settings::default()).expect("no failure")
    };
    assert_eq!(run(Some(7)), run(Some(7)));
    assert_ne!(run(Some(7)), run(Some(8)));
    assert_ne!(run(None), run(None));
    let two = render(
        "{{ randAlphaNum 20 }} {{ randAlphaNum 20 }}",
        Options { seed: Some(7), ..Options::default() },
        &Settings::default(),
    );
    let two = two.expect("no failure");
    let (first, second) = two.split_once(' ').expect("two texts");
    assert_ne!(first, second);
}

#[test]
fn hosts_are_resolved_only_where_that_is_allowed() {
    let resolve = |dns| {
        let options = Options { dns, ..Options::default() };
        render("{{ getHostByName \"127.0.0.1\" }}", options, &Settings::default()).expect("no failure")
    };
    assert_eq!(resolve(false), "");
    assert_eq!(resolve(true), "127.0.0.1");
}

#[test]
fn dates_without_a_zone_are_those_of_the_local_one() {
    let tokyo = Settings { local: Zone::named("Asia/Tokyo").expect("a zone") };
    for (template, want) in [
        ("{{ date \"2006-01-02 15:04 MST\" 0 }}", "1970-01-01 09:00 JST"),
        ("{{ toDate \"2006-01-02\" \"2020-01-01\" }}", "2020-01-01 00:00:00 +0900 JST"),
        ("{{ toDate \"2006-01-02 -0700\" \"2020-01-01 +0900\" }}", "2020-01-01 00:00:00 +0900 JST"),
        ("{{ toDate \"2006-01-02 MST\" \"2020-01-01 JST\" | unixEpoch }}", "1577804400"),
        ("{{ htmlDate -32400 }}", "1970-01-01"),
        ("{{ htmlDate -32401 }}", "1969-12-31"),
        ("{{ htmlDateInZone -32401 \"Local\" }}", "1969-12-31"),
        ("{{ dateInZone \"15 MST\" 0 \"Local\" }}", "09 JST"),
    ] {
        let got = render(template, Options::default(), &tokyo).expect("no failure");
        assert_eq!(got, want, "{template}");
    }
}
