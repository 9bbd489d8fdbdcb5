//! Tables of what Go's YAML packages read, write and refuse.

use serde_json::json;
use sluice_yaml::{Layout, Reader, Value, from_str, parse_documents, to_string, to_string_with};

fn manifest(text: &str) -> Result<Value, String> {
    let node = Reader::manifest().first(text).map_err(|e| e.to_string())?;
    node.map_or(Ok(Value::Null), sluice_yaml::Node::into_value)
}

#[test]
fn kubernetes_clients_resolve_plain_scalars_by_yaml_11() {
    for (text, want) in [
        ("yes", json!(true)),
        ("Y", json!(true)),
        ("on", json!(true)),
        ("n", json!(false)),
        ("off", json!(false)),
        ("tRue", json!("tRue")),
        ("nil", json!("nil")),
        ("~", json!(null)),
        ("NULL", json!(null)),
        ("017", json!(15)),
        ("0o17", json!(15)),
        ("00", json!(0)),
        ("0_1", json!(1)),
        ("08", json!(8)),
        ("089", json!(89)),
        ("0x1F", json!(31)),
        ("-0x10", json!(-16)),
        ("0b11", json!(3)),
        ("0b2", json!("0b2")),
        ("1__0", json!(10)),
        ("1_0.5", json!(10.5)),
        ("+1", json!(1)),
        ("-0", json!(0)),
        (".5", json!(0.5)),
        ("5.", json!(5)),
        ("1.e3", json!(1000)),
        ("+12e03", json!(12000)),
        ("685.230_15e+03", json!(685_230.15)),
        ("1E3", json!(1000)),
        ("1:30", json!("1:30")),
        ("1e400", json!("1e400")),
        ("0xFFFFFFFFFFFFFFFFFF", json!("0xFFFFFFFFFFFFFFFFFF")),
        ("9223372036854775807", json!(9_223_372_036_854_775_807_u64)),
        ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ("18446744073709551616", json!(1.844_674_407_370_955_2e19)),
        ("2020-01-01", json!("2020-01-01")),
        ("2020-01-01 10:00:00", json!("2020-01-01 10:00:00")),
        ("!!str 1", json!("1")),
        ("!!int '1'", json!(1)),
        ("!!bool yes", json!(true)),
        ("!!binary aGk=", json!("hi")),
        ("!foo x", json!("x")),
        ("{b, c}", json!({"b": null, "c": null})),
        ("[1,]", json!([1])),
        ("[x: 1]", json!([{"x": 1}])),
        ("? a", json!({"a": null})),
        ("{1: x, true: y, 0x10: z, yes: w}", json!({"1": "x", "true": "y", "16": "z"})),
        ("'it''s'", json!("it's")),
        ("\"\\e \\x41 \\u00e9 \\U0001F600\"", json!("\u{1b} A é 😀")),
        ("a: x #c", json!({"a": "x"})),
        ("a: x#c", json!({"a": "x#c"})),
    ] {
        if text.starts_with("{1:") {
            // `true` and `yes` are one key.
            assert!(from_str(text).is_err(), "{text}");
            let node = Reader::yaml11().last_wins().first(text).unwrap().unwrap();
            assert_eq!(node.into_value().unwrap()["true"], "w");
            continue;
        }
        assert_eq!(from_str(text).unwrap(), want, "{text}");
    }
}

#[test]
fn kustomize_resolves_plain_scalars_by_yaml_12() {
    for (text, want) in [
        ("yes", json!("yes")),
        ("N", json!("N")),
        ("True", json!(true)),
        ("1.50", json!(1.5)),
        ("1.0", json!(1)),
        ("1_000", json!(1000)),
        ("12:30:45", json!("12:30:45")),
        ("2001-01-01", json!("2001-01-01T00:00:00Z")),
        ("2001-1-1", json!("2001-01-01T00:00:00Z")),
        ("2001-01-01T00:00:00Z", json!("2001-01-01T00:00:00Z")),
        ("2001-01-01 10:00:00", json!("2001-01-01T10:00:00Z")),
        ("2001-01-01t1:2:3.450+02:00", json!("2001-01-01T01:02:03.45+02:00")),
        ("2001-02-30", json!("2001-02-30")),
        ("!!binary aGVsbG8=", json!("hello")),
        ("'12'", json!("12")),
    ] {
        assert_eq!(manifest(text).unwrap(), want, "{text}");
    }
    assert_eq!(manifest("a: .inf").unwrap_err(), "json: unsupported value: +Inf");
    assert_eq!(manifest("a: .NaN").unwrap_err(), "json: unsupported value: NaN");
}

#[test]
fn errors_are_gos() {
    let mut different = Vec::new();
    for (text, want) in [
        ("a: b: c", "yaml: mapping values are not allowed in this context"),
        ("a: 1\nb: c: d", "yaml: line 2: mapping values are not allowed in this context"),
        ("a: - b", "yaml: block sequence entries are not allowed in this context"),
        ("a: @x", "yaml: found character that cannot start any token"),
        ("b: 1\na: `x`", "yaml: line 2: found character that cannot start any token"),
        ("a:\n\tb: c", "yaml: line 2: found character that cannot start any token"),
        ("a: [", "yaml: line 1: did not find expected node content"),
        ("a: 'x", "yaml: found unexpected end of stream"),
        ("a: b\nc\n", "yaml: line 2: could not find expected ':'"),
        ("a: *x", "yaml: unknown anchor 'x' referenced"),
        ("a: &x [*x]", "yaml: anchor 'x' value contains itself"),
        ("{<<: 1}", "yaml: map merge requires map or sequence of maps as the value"),
        ("%YAML 1.2\n---\na: 1", "yaml: found incompatible YAML document"),
        (
            "a: 1\nx: 2\nx: 3",
            "yaml: unmarshal errors:\n  line 3: mapping key \"x\" already defined at line 2",
        ),
        ("!!null x", "yaml: cannot decode !!str `x` as a !!null"),
        ("a: \u{1}", "yaml: control characters are not allowed"),
        ("a: 1\nb: [\nc: d\n", "yaml: line 1: did not find expected ',' or ']'"),
        ("a: 1\nb: {\nc: d\n", "yaml: line 1: did not find expected ',' or '}'"),
        ("a:\n  - b\n c: d\n", "yaml: line 2: did not find expected key"),
        ("a: 1\nb: 'x\n", "yaml: line 2: found unexpected end of stream"),
        ("a: 1\n- b\n", "yaml: line 1: did not find expected key"),
        ("x: 1\na: b\nc\nd: 1\n", "yaml: line 3: could not find expected ':'"),
        ("\"a\": \"\\q\"\n", "yaml: found unknown escape character"),
        ("a: 1\nb: \"\\q\"\n", "yaml: line 2: found unknown escape character"),
        ("a: 1\n\nb: !x!y z\n", "yaml: line 2: found undefined tag handle"),
        ("k: [a, b\nc: d\n", "yaml: line 1: did not find expected ',' or ']'"),
        ("a: |\n x\n\ty\n", "yaml: line 3: found a tab character where an indentation space is expected"),
        ("a: |0\n", "yaml: found an indentation indicator equal to 0"),
        ("%YAML 2.0\n---\na: 1\n", "yaml: found incompatible YAML document"),
        ("a: 1\n%b\n", "yaml: line 2: found unknown directive name"),
        ("a: \"b\" c\n", "yaml: did not find expected key"),
        ("a: 1\nb: \"b\" c\n", "yaml: line 1: did not find expected key"),
        ("a: 1\n  b: 2\n", "yaml: line 2: mapping values are not allowed in this context"),
        ("[a]: 1", "yaml: invalid map key: []interface {}{\"a\"}"),
    ] {
        let got = from_str(text).map_or_else(|error| error.to_string(), |value| value.to_string());
        if got != want {
            different.push(format!("{text:?}\n  got  {got}\n  want {want}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn aliases_expand_and_merges_yield_to_own_keys() {
    let text = "x: &x {b: 1, c: 2}\ny: &y {b: 9, d: 3}\nm: {<<: [*x, *y], c: 5}\no: *x\n";
    let value = from_str(text).unwrap();
    assert_eq!(value["m"], json!({"b": 1, "c": 5, "d": 3}));
    assert_eq!(value["o"], json!({"b": 1, "c": 2}));
}

#[test]
fn blocks_may_end_without_a_line_break() {
    for (text, want) in [
        ("b: |\n  x", "x"),
        ("b: |+\n  x", "x"),
        ("b: |-\n  x", "x"),
        ("b: >\n  x\n  y", "x y"),
        ("b: |\n  x\n  ", "x\n"),
        ("b: |+\n  x\n  ", "x\n"),
        ("b: |+\n  x\n\n ", "x\n\n"),
        ("b: |\n  x\n # c", "x\n"),
        ("b: |+\n", ""),
        ("b: |", ""),
        ("b: |\n  x\n\n", "x\n"),
        ("b: |+\n  x\n\n", "x\n\n"),
    ] {
        assert_eq!(from_str(text).unwrap(), json!({"b": want}), "{text:?}");
    }
    for text in ["\"\\", "[!a,b]", "'", "- |\n \u{2028}", "%", "&", "!<", "\"\\x", "\"\\u12"] {
        let _ = from_str(text);
    }
}

#[test]
fn hostile_input_is_refused_in_bounded_time() {
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for i in 1..12 {
        let items = vec![format!("*a{}", i - 1); 9].join(",");
        bomb.push_str(&format!("a{i}: &a{i} [{items}]\n"));
    }
    assert!(from_str(&bomb).unwrap_err().message.contains("excessive aliasing"));

    let long = format!("a: &a {}\nb: [{}]", "x".repeat(1 << 20), vec!["*a"; 1000].join(","));
    assert!(from_str(&long).unwrap_err().message.contains("excessive aliasing"));

    assert!(from_str(&"[".repeat(100_000)).unwrap_err().message.contains("max depth"));
    assert!(from_str(&"- ".repeat(100_000)).unwrap_err().message.contains("max depth"));
    let mut nested = "a0: &a0 [x]\n".to_owned();
    for i in 1..400 {
        nested.push_str(&format!("a{i}: &a{i} [*a{}]\n", i - 1));
    }
    let error = from_str(&nested).unwrap_err().message;
    assert!(error.contains("max depth") || error.contains("excessive"), "{error}");
}

#[test]
fn streams_are_cut_at_separator_lines() {
    let text = "---\na: 1\n--- # c\n# only a comment\n---\nb: 2\n---";
    let documents: Vec<_> = parse_documents(text).unwrap().into_iter().map(|d| (d.line, d.value)).collect();
    assert_eq!(documents, [(1, json!({"a": 1})), (6, json!({"b": 2}))]);
    assert_eq!(
        parse_documents("a: 1\n--- foo\n").unwrap_err().to_string(),
        "yaml: invalid document separator: --- foo"
    );
    assert_eq!(parse_documents("a: 1\n---\nb: 1\nb: 2\n").unwrap_err().line, 4);
}

#[test]
fn texts_are_quoted_as_go_quotes_them() {
    for (text, want) in [
        ("", "\"\""),
        ("a b", "a b"),
        ("a:b", "a:b"),
        ("a :b", "a :b"),
        (":a", ":a"),
        ("-a", "-a"),
        ("--", "--"),
        ("?a", "?a"),
        ("a,b", "a,b"),
        ("a#", "a#"),
        ("a# b", "a# b"),
        ("true", "\"true\""),
        ("Yes", "\"Yes\""),
        ("y", "\"y\""),
        ("~", "\"~\""),
        ("TrUe", "TrUe"),
        ("nULL", "nULL"),
        ("01", "\"01\""),
        ("089", "\"089\""),
        ("5.", "\"5.\""),
        ("1e3", "\"1e3\""),
        ("1_000", "\"1_000\""),
        ("0o17", "\"0o17\""),
        ("1.20", "\"1.20\""),
        ("123456789012345678901234567890", "\"123456789012345678901234567890\""),
        ("1e", "1e"),
        ("0x", "0x"),
        ("1.2.3", "1.2.3"),
        ("1,000", "1,000"),
        ("100m", "100m"),
        ("10:00am", "10:00am"),
        ("1:30", "\"1:30\""),
        ("190:20:30", "\"190:20:30\""),
        ("2001-12-14 21:59:43.10 -5", "2001-12-14 21:59:43.10 -5"),
        ("2020-1-1", "\"2020-1-1\""),
        ("2020-01-01 00:00:00", "\"2020-01-01 00:00:00\""),
        (".inf", "\".inf\""),
        (" a", "' a'"),
        ("a ", "'a '"),
        ("-", "'-'"),
        ("---", "'---'"),
        ("...", "'...'"),
        ("- a", "'- a'"),
        ("?", "'?'"),
        (":", "':'"),
        ("a: b", "'a: b'"),
        ("a:", "'a:'"),
        ("a #b", "'a #b'"),
        ("#a", "'#a'"),
        ("*.example.com", "'*.example.com'"),
        ("@daily", "'@daily'"),
        ("=", "="),
        ("<<", "<<"),
        ("(a)", "(a)"),
        ("~a", "~a"),
        ("{{ .x }}", "'{{ .x }}'"),
        ("a[0]", "a[0]"),
        ("'a'", "'''a'''"),
        ("it's", "it's"),
        ("\"", "'\"'"),
        ("0 * * * *", "0 * * * *"),
        ("* * * * *", "'* * * * *'"),
        ("a\tb", "\"a\\tb\""),
        ("é日本", "é日本"),
        ("😀", "\"\\U0001F600\""),
        ("a\r\nb\r\n", "\"a\\r\\nb\\r\\n\""),
        ("\u{1}", "\"\\x01\""),
        ("a\0", "\"a\\0\""),
        ("\u{feff}", "\"\\uFEFF\""),
        ("a\nb", "|-\n  a\n  b"),
        ("a\nb\n", "|\n  a\n  b"),
        ("a\n\n", "|+\n  a\n"),
        ("a\n\nb\n\n", "|+\n  a\n\n  b\n"),
        ("\n", "|2+\n"),
        ("\na", "|2-\n\n  a"),
        ("  a\n b\n", "|2\n    a\n   b"),
        ("a \nb", "\"a \\nb\""),
        ("a\n\tb", "\"a\\n\\tb\""),
        ("x\n---\ny", "|-\n  x\n  ---\n  y"),
        ("x\n \ny", "\"x\\n \\ny\""),
    ] {
        let written = to_string(&json!({"k": text}));
        assert_eq!(written, format!("k: {want}\n"), "{text:?}");
        assert_eq!(from_str(&written).unwrap(), json!({"k": text}), "round trip of {text:?}");
    }
}

#[test]
fn values_are_laid_out_as_go_lays_them_out() {
    let value = json!({
        "_x": 1, "1": 1, "Alpha": 1, "B": 1, "a-b": 1, "a_b": 1, "a10": 1, "a2": 1, "aB": 1, "ab": 1, "apiVersion": 1, "é": 1
    });
    let keys: Vec<_> = to_string(&value).lines().map(|l| l.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(keys, ["_x", "\"1\"", "Alpha", "B", "a-b", "a_b", "a2", "a10", "aB", "ab", "apiVersion", "é"]);

    let value =
        json!({"a": {"z": 1, "y": [1, {"k": "v", "l": {"m": []}}, [], [1, [2]]]}, "b": {}, "c": null});
    assert_eq!(
        to_string(&value),
        "a:\n  \"y\":\n  - 1\n  - k: v\n    l:\n      m: []\n  - []\n  - - 1\n    - - 2\n  z: 1\nb: {}\nc: null\n"
    );
    assert_eq!(to_string_with(&json!({"a": [{"b": 1}]}), Layout::PRETTY), "a:\n  - b: 1\n");
    let long = "k".repeat(129);
    assert_eq!(to_string(&json!({long.as_str(): {"a": 1}})), format!("? {long}\n: a: 1\n"));
    for (float, want) in [
        (1_234_567.5, "1.2345675e+06"),
        (123_456.5, "123456.5"),
        (1e-5, "1e-05"),
        (1e21, "1e+21"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (3.0, "3"),
        (0.000_123, "0.000123"),
    ] {
        assert_eq!(to_string(&json!(float)), format!("{want}\n"));
    }
}

#[test]
fn long_texts_break_after_column_80() {
    let words = vec!["word"; 40].join(" ");
    let written = to_string(&json!({"a": words, "b": [format!("x: {words}")], "c": format!("{words}\t")}));
    for line in written.lines() {
        assert!(line.len() < 90, "{line}");
    }
    assert_eq!(from_str(&written).unwrap()["a"], json!(words));
    assert_eq!(from_str(&written).unwrap()["b"][0], json!(format!("x: {words}")));
    assert_eq!(from_str(&written).unwrap()["c"], json!(format!("{words}\t")));
}

#[test]
fn keys_sorted_by_bytes_stay_so_at_every_level() {
    let value = json!({"a10": {"_b": 1, "Z": [{"b2": 1, "b10": 2}], "a": 3}, "a2": 1});
    assert_eq!(
        to_string_with(&value, Layout::SORTED),
        "a10:\n  Z:\n  - b10: 2\n    b2: 1\n  _b: 1\n  a: 3\na2: 1\n"
    );
}

#[test]
fn structures_are_written_as_go_writes_structs() {
    let texts = [("a", json!("<&>\u{2028}\n\u{1}\u{8}é\"")), ("b", json!([1e21, 1e-7, 1.0, 0.5, 7, null]))];
    let written =
        sluice_yaml::json::encode(&std::collections::BTreeMap::from(texts)).expect("a map of texts");
    assert_eq!(written, r#"{"a":"\u003c\u0026\u003e\u2028\n\u0001\bé\"","b":[1e+21,1e-7,1,0.5,7,null]}"#);
}
