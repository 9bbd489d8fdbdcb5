use super::*;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn patterns_mean_what_they_mean_in_go() {
    for (pattern, input, want) in [
        (r"\d+", "a٣12", Some("12")),
        (r"\w+", "éab", Some("ab")),
        (r"\bé", "aé", Some("é")), // é is no word character, so a boundary stands before it
        (r"a{,5}", "a{,5}", Some("a{,5}")),
        (r"a{01}", "a{01}", Some("a{01}")),
        (r"[a[b]c]", "[c]", Some("[c]")),
        (r"[a&&b]", "&", Some("&")),
        (r"[]a]+", "]a", Some("]a")),
        (r"[^]a]", "]b", Some("b")),
        (r"[a-]+", "-a", Some("-a")),
        (r"[--a]", "-", Some("-")),
        (r"\Qa.b\E+", "a.bb", Some("a.bb")),
        (r"\Qa.b", "axb", None),
        (r"(?i)STRASSE", "straße strasse", Some("strasse")),
        (r"(?i:A)b", "ab", Some("ab")),
        (r"a(?i)*", "aaa", Some("aaa")),
        (r"(?s).", "\n", Some("\n")),
        (r".", "\n", None),
        (r"(?m)^b$", "a\nb\nc", Some("b")),
        (r"(a|ab)(c|bcd)", "abcd", Some("abcd")),
        (r"(?U)a+", "aaa", Some("a")),
        (r"(?P<x>a)(?<x>b)", "ab", Some("ab")),
        (r"\x41\x{42}\103", "ABC", Some("ABC")),
        (r"\pL+", "1éa", Some("éa")),
        (r"\p{Greek}", "aβ", Some("β")),
        (r"\P{^Greek}", "aβ", Some("β")),
        (r"[\pN\d_]+", "a1_", Some("1_")),
        (r"[[:alpha:]]+", "é1ab", Some("ab")),
        (r"[^[:space:]\D]", " a1", Some("1")),
        (r"\_\-\ ", "_- ", Some("_- ")),
        (r"[\x{d7ff}-\x{e000}]", "\u{e000}", Some("\u{e000}")),
        (r"x{0}y{2}", "yy", Some("yy")),
    ] {
        let regexp = Regexp::compile(pattern.as_bytes()).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        assert_eq!(regexp.find(input.as_bytes()).map(text), want, "{pattern} in {input:?}");
    }
}

#[test]
fn faulty_patterns_are_refused_with_the_words_of_go() {
    for (pattern, want) in [
        ("[a", "missing closing ]: `[a`"),
        ("(a", "missing closing ): `(a`"),
        ("a)", "unexpected ): `a)`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a|+?", "missing argument to repetition operator: `+?`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a??+", "invalid nested repetition operator: `??+`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{3,2}", "invalid repeat count: `{3,2}`"),
        ("(a{100}){11}", "invalid repeat count: `{11}`"),
        (r"\8", r"invalid escape sequence: `\8`"),
        (r"\1", r"invalid escape sequence: `\1`"),
        (r"\C", r"invalid escape sequence: `\C`"),
        (r"\Z", r"invalid escape sequence: `\Z`"),
        (r"\x{110000}", r"invalid escape sequence: `\x{110000`"),
        ("[b-a]", "invalid character class range: `b-a`"),
        (r"\p{Nope}", r"invalid character class range: `\p{Nope}`"),
        ("[[:nope:]]", "invalid character class range: `[:nope:]`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?P=n)", "invalid or unsupported Perl syntax: `(?P`"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        ("(?P<n!>a)", "invalid named capture: `(?P<n!>`"),
        ("a\\", "trailing backslash at end of expression: ``"),
    ] {
        let error = Regexp::compile(pattern.as_bytes()).expect_err(pattern);
        assert_eq!(error.to_string(), format!("error parsing regexp: {want}"), "{pattern}");
    }
    let deep = format!("{}{}", "(".repeat(1001), ")".repeat(1001));
    assert_eq!(Regexp::compile(deep.as_bytes()).expect_err("too deep").problem, Problem::Depth);
    let large = r"\pL{1000}\pL{1000}\pL{1000}\pL{1000}";
    assert_eq!(Regexp::compile(large.as_bytes()).expect_err("too large").problem, Problem::Large);
    assert_eq!(Regexp::compile(b"\xff").expect_err("no text").problem, Problem::InvalidUtf8);
}

#[test]
fn empty_matches_do_not_touch_other_matches() {
    let all = |pattern: &str, input: &str| {
        let regexp = Regexp::compile(pattern.as_bytes()).expect("valid");
        regexp.find_all(input.as_bytes(), usize::MAX)
    };
    assert_eq!(all("", "aé"), [(0, 0), (1, 1), (3, 3)]);
    assert_eq!(all("b*", "abb"), [(0, 0), (1, 3)]);
    assert_eq!(all("a*", "baac"), [(0, 0), (1, 3), (4, 4)]);
    assert_eq!(
        Regexp::compile(b"").expect("valid").find_all(b"\xff\xe9a", 9),
        [(0, 0), (1, 1), (2, 2), (3, 3)]
    );
}

#[test]
fn replacement_texts_name_groups() {
    let regexp = Regexp::compile(b"a(?P<n>x*)b").expect("valid");
    for (replacement, want) in [
        ("$1", "-xx-"),
        ("${1}W", "-xxW-"),
        ("$1W", "--"),
        ("$n!", "-xx!-"),
        ("${n}", "-xx-"),
        ("$$1", "-$1-"),
        ("$", "-$-"),
        ("${", "-${-"),
        ("${n", "-${n-"),
        ("$9", "--"),
        ("$01", "--"),
        ("$0", "-axxb-"),
    ] {
        let got = regexp.replace_all(b"-axxb-", replacement.as_bytes(), 99).expect("small");
        assert_eq!(text(&got), want, "{replacement}");
    }
    assert_eq!(regexp.replace_all(b"ab", b"0123456789", 9), None);
}
