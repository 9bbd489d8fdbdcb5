//! Flux's behaviour as tables: what each expression gives, and what that does to an object.

use serde_json::{Value, json};

use super::{Rules, Variables, expand, object};

fn variables(pairs: &[(&str, &str)]) -> Variables {
    let mut variables = Variables::new();
    for (name, value) in pairs {
        variables.insert(*name, value);
    }
    variables
}

#[test]
fn expressions_expand_as_in_flux() {
    let variables = variables(&[
        ("v", "abcDEF"),
        ("e", ""),
        ("n", "123"),
        ("i", "2"),
        ("s", "a/b/c"),
        ("p", "/home/me/x.tar.gz"),
        ("d", "a.b.c"),
        ("u", "äbc"),
        ("t", "${v}"),
    ]);
    const BRACE: &str = "ERR missing closing brace";
    const BAD: &str = "ERR bad substitution";
    const NAME: &str = "ERR unable to parse variable name";
    const WITHIN: &str = "ERR unable to parse substitution within function";
    // Input, output, and the variable that strict mode misses.
    let table: &[(&str, &str, Option<&str>)] = &[
        ("${v}", "abcDEF", None),
        ("$v", "$v", None),
        ("$$v", "$v", None),
        ("$${v}", "${v}", None),
        ("$$${v}", "$abcDEF", None),
        ("$$$${v}", "$${v}", None),
        ("$$", "$", None),
        ("$$$", "$$", None),
        ("a$", "a$", None),
        ("$(v)", "$(v)", None),
        ("%{v}", "%{v}", None),
        ("$ {v}", "$ {v}", None),
        ("\\${v}", "\\abcDEF", None),
        ("{${v}}", "{abcDEF}", None),
        ("${v}}", "abcDEF}", None),
        ("${e}", "", None),
        ("${x}", "", Some("x")),
        ("${x:-d}", "d", None),
        ("${x:=d}", "d", None),
        ("${x=d}", "d", None),
        ("${x:+d}", "d", None),
        ("${x:?d}", "d", None),
        ("${e:-d}", "d", None),
        ("${e:=d}", "d", None),
        ("${e=d}", "d", None),
        ("${v:-d}", "abcDEF", None),
        ("${v:+d}", "abcDEF", None),
        ("${v:?d}", "abcDEF", None),
        ("${x:=}", "", None),
        ("${x=}", "", None),
        ("${x-d}", BRACE, None),
        ("${e-d}", BRACE, None),
        ("${v+d}", BRACE, None),
        ("${x?m}", BRACE, None),
        ("${x:=${v}}", "abcDEF", None),
        ("${x:=${y:=z}}", "z", None),
        ("${x:=pre-${v}-post}", "pre-abcDEF-post", None),
        ("${x:=a:b}", "a:b", None),
        ("${x:=a b}", "a b", None),
        ("${x:=\"q\"}", "\"q\"", None),
        ("${x:={a}}", "{a}", None),
        ("${x:=[]}", "[]", None),
        ("${x:=a}b}", "ab}", None),
        ("${x:=$${v}}", "$abcDEF", None),
        ("${x:=$v}", "$v", None),
        ("a${x:=b}c${x}d", "abcd", Some("x")),
        ("${t}", "${v}", None),
        ("${#v}", "6", None),
        ("${#u}", "4", None),
        ("${#x}", "0", Some("x")),
        ("${v^}", "AbcDEF", None),
        ("${v^^}", "ABCDEF", None),
        ("${v,,}", "abcdef", None),
        ("${u^}", "Äbc", None),
        ("${v^^^}", BAD, None),
        ("${v:1}", "bcDEF", None),
        ("${v:1:2}", "bc", None),
        ("${v:0:0}", "", None),
        ("${v:9}", "", None),
        ("${v:1:99}", "bcDEF", None),
        ("${v:x}", "abcDEF", None),
        ("${v:-2}", "abcDEF", None),
        ("${v: -2}", "abcDEF", None),
        ("${v:(-2)}", "abcDEF", None),
        ("${v:${i}}", "cDEF", None),
        ("${v:1:${i}}", "bc", None),
        ("${v:1:-1}", BAD, None),
        ("${v:}", WITHIN, None),
        ("${v/b/X}", "aXcDEF", None),
        ("${v/b/}", "acDEF", None),
        ("${v/b}", BAD, None),
        ("${v//[a-c]/X}", "abcDEF", None),
        ("${v/*/X}", "abcDEF", None),
        ("${v/#ab/X}", "XcDEF", None),
        ("${v/%EF/X}", "abcDX", None),
        ("${s/\\//-}", "a-b/c", None),
        ("${s//\\//-}", "a-b-c", None),
        ("${v//b/${n}}", "a123cDEF", None),
        ("${v/D/${x:=Q}}", "abcQEF", None),
        ("${p#*/}", "home/me/x.tar.gz", None),
        ("${p##*/}", "x.tar.gz", None),
        ("${p%.*}", "/home/me/x.tar", None),
        ("${p%%.*}", "/home/me/x", None),
        ("${d##*.}", "c", None),
        ("${d%%.*}", "a", None),
        ("${v#a?c}", "DEF", None),
        ("${v#[a-b]}", "bcDEF", None),
        ("${v#abcDEF}", "", None),
        ("${v%*}", "abcDE", None),
        ("${v#}", WITHIN, None),
        ("${}", NAME, None),
        ("${ v }", NAME, None),
        ("${!v}", NAME, None),
        ("${-}", NAME, None),
        ("${v", BRACE, None),
        ("${v[0]}", BRACE, None),
        ("${a.b}", BRACE, None),
        ("${a-b}", BRACE, None),
        ("${v!}", BRACE, None),
        ("${v@U}", BRACE, None),
        ("${#}", BAD, None),
        ("${1a}", "", Some("1a")),
        ("'${v}'", "'abcDEF'", None),
        ("#${v}", "#abcDEF", None),
        ("\"${v}\"", "\"abcDEF\"", None),
    ];
    let run = |input: &str, strict: bool| match expand(input, &variables, strict) {
        Ok(text) => text,
        Err(error) => format!("ERR {error}"),
    };
    for (input, want, missing) in table {
        assert_eq!(run(input, false), *want, "{input}");
        let strict = match missing {
            Some(name) => format!("ERR variable not set (strict mode): \"{name}\""),
            None => (*want).to_owned(),
        };
        assert_eq!(run(input, true), strict, "{input} in strict mode");
    }
}

/// The field `data.k` as written in Git, the variables, and `data` afterwards or the start of the error.
#[test]
fn values_decide_about_their_type() {
    let yaml = |manifest: &str| sluice_yaml::from_str(manifest).expect("the table holds YAML");
    type Row = (&'static str, &'static [(&'static str, &'static str)], Result<Value, &'static str>);
    let table: &[Row] = &[
        ("k: ${n}", &[("n", "123")], Ok(json!({"k": 123}))),
        ("k: \"${n}\"", &[("n", "123")], Ok(json!({"k": 123}))),
        ("k: '${n}'", &[("n", "123")], Ok(json!({"k": 123}))),
        ("k: v${n}", &[("n", "123")], Ok(json!({"k": "v123"}))),
        ("k: ${q}${n}${q}", &[("n", "123"), ("q", "\"")], Ok(json!({"k": "123"}))),
        ("k: ${n}", &[("n", "!!str 123")], Ok(json!({"k": "123"}))),
        ("k: ${n}", &[("n", "\"123\"")], Ok(json!({"k": "123"}))),
        ("k: ${n}", &[("n", "'on'")], Ok(json!({"k": "on"}))),
        ("k: ${n}", &[("n", "true")], Ok(json!({"k": true}))),
        ("k: ${n}", &[("n", "yes")], Ok(json!({"k": true}))),
        ("k: ${n}", &[("n", "off")], Ok(json!({"k": false}))),
        ("k: ${n}", &[("n", "y")], Ok(json!({"k": true}))),
        ("k: ${n}", &[("n", "null")], Ok(json!({"k": null}))),
        ("k: ${n}", &[("n", "~")], Ok(json!({"k": null}))),
        ("k: \"${n}\"", &[("n", "")], Ok(json!({"k": null}))),
        ("k: a${n}b", &[("n", "")], Ok(json!({"k": "ab"}))),
        ("k: ${n}", &[("n", "0123")], Ok(json!({"k": 83}))),
        ("k: ${n}", &[("n", "0x1f")], Ok(json!({"k": 31}))),
        ("k: ${n}", &[("n", "1.10")], Ok(json!({"k": 1.1}))),
        ("k: ${n}", &[("n", "2020-01-01")], Ok(json!({"k": "2020-01-01"}))),
        ("k: ${n}", &[("n", "{\"a\":1}")], Ok(json!({"k": {"a": 1}}))),
        ("k: ${n:=[]}", &[("m", "1")], Ok(json!({"k": []}))),
        ("k: ${n}", &[("n", "a: b")], Err("mapping values are not allowed in this context")),
        ("k: ${n}", &[("n", "a #b")], Ok(json!({"k": "a"}))),
        ("k: ${n}", &[("n", "*")], Err("did not find expected alphabetic or numeric character")),
        ("k: ${n}", &[("n", "@x")], Err("found character that cannot start any token")),
        ("k: ${n}", &[("n", "[a")], Err("did not find expected ',' or ']'")),
        ("k: ${n}", &[("n", " x ")], Ok(json!({"k": "x"}))),
        ("k: ${n}", &[("n", "a\nb\n")], Ok(json!({"k": "ab"}))),
        ("k: ${n}", &[("n", "a\r\nb")], Err("could not find expected ':'")),
        ("k: \"a\\\\${n}\"", &[("n", "a\\nb")], Ok(json!({"k": "a\\a\\nb"}))),
        ("k: |\n    a=${n}\n    b=$n\n    c=$${n}", &[("n", "1")], Ok(json!({"k": "a=1\nb=$n\nc=${n}"}))),
        ("k: '{\"a\": \"${n}\"}'", &[("n", "x")], Ok(json!({"k": "{\"a\": \"x\"}"}))),
        ("${n}: v", &[("n", "kk")], Ok(json!({"kk": "v"}))),
        ("port: ${n}\n  targetPort: \"${n}\"", &[("n", "80")], Ok(json!({"port": 80, "targetPort": 80}))),
    ];
    for (field, pairs, want) in table {
        let manifest =
            yaml(&format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata:\n  {field}"));
        let got = object(manifest, &variables(pairs), Rules { strict: true, always: false });
        match (got, want) {
            (Ok(got), Ok(want)) => assert_eq!(got["data"], *want, "{field} with {pairs:?}"),
            (Err(error), Err(want)) => {
                assert!(error.to_string().contains(want), "{field} with {pairs:?}: {error}");
            }
            (got, want) => panic!("{field} with {pairs:?}: got {got:?}, want {want:?}"),
        }
    }
}

#[test]
fn objects_can_be_left_alone() {
    let manifest = |annotation: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "${n}"},
               "metadata": {"name": "x", "annotations": {"kustomize.toolkit.fluxcd.io/substitute": annotation}}})
    };
    let some = variables(&[("n", "x")]);
    let strict = Rules { strict: true, always: false };
    let value = |result: Result<Value, super::SubstituteError>| result.expect("valid")["data"]["k"].clone();
    assert_eq!(value(object(manifest("disabled"), &some, strict)), "${n}");
    assert_eq!(value(object(manifest("Disabled"), &some, strict)), "x", "the case matters");
    assert_eq!(
        value(object(manifest("enabled"), &Variables::new(), strict)),
        "${n}",
        "no variables, no substitution"
    );
    let always = Rules { strict: false, always: true };
    assert_eq!(value(object(manifest("enabled"), &Variables::new(), always)), Value::Null);
}

#[test]
fn variable_names_are_checked_whether_used_or_not() {
    for name in ["a-b", "a.b", "1a", ""] {
        let error =
            object(json!({"kind": "X"}), &variables(&[(name, "x")]), Rules { strict: true, always: false });
        assert_eq!(
            error.expect_err(name).to_string(),
            format!("'{name}' var name is invalid, must match '^[_[:alpha:]][_[:alpha:][:digit:]]*$'")
        );
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = "${a:=".repeat(10_000);
    assert_eq!(
        expand(&deep, &Variables::new(), false).expect_err("refused").to_string(),
        "expressions are nested too deep"
    );
}

#[test]
fn values_are_not_shown_in_debug_output() {
    assert_eq!(format!("{:?}", variables(&[("token", "s3cret")])), "{\"token\"}");
}
