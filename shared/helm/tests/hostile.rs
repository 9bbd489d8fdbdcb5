//! Charts made by somebody who means harm, or by chance: each must end in an error, soon and in little memory.

use std::fs;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value};
use sluice_helm::chart::LoadOptions;
use sluice_helm::render::Limits;
use sluice_helm::values::{self, Sources};
use sluice_helm::{Chart, ChartFile, Release, RenderOptions, Renderer};

const CHART: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\n";

fn chart(files: &[(&str, &str)]) -> Result<Chart, String> {
    let with_default = [("Chart.yaml", CHART)];
    let own = files.iter().any(|(name, _)| *name == "Chart.yaml");
    let files = with_default.iter().filter(|_| !own).chain(files).map(|(name, text)| ChartFile {
        name: (*name).to_owned(),
        data: text.as_bytes().to_vec().into(),
        modified: None,
    });
    Chart::from_files(files.collect(), &LoadOptions::default()).map_err(|error| error.to_string())
}

fn render_within(template: &str, limits: Limits) -> Result<String, String> {
    let chart = chart(&[("templates/x.yaml", template)])?;
    let options = RenderOptions { limits, ..RenderOptions::default() };
    render(chart, &Map::new(), &options)
}

fn render(chart: Chart, values: &Map<String, Value>, options: &RenderOptions) -> Result<String, String> {
    let release = Release { name: "r".into(), namespace: "n".into(), revision: 1, is_upgrade: false };
    let rendered = Renderer::new(Arc::new(chart))
        .render(&release, values, options)
        .map_err(|error| error.to_string())?;
    Ok(rendered.files.into_iter().map(|file| file.text).collect())
}

fn small() -> Limits {
    Limits { output: 1 << 20, steps: 200_000, items: 10_000, time: None }
}

#[test]
fn templates_that_never_end_are_stopped() {
    for (template, want) in [
        // Recursion, of which one name is counted.
        (
            r#"{{ define "r" }}{{ include "r" . }}{{ end }}{{ include "r" . }}"#,
            "rendering template has a nested reference name: r: unable to execute template",
        ),
        (
            r#"{{ define "a" }}{{ include "b" . }}{{ end }}{{ define "b" }}{{ include "a" . }}{{ end }}{{ include "a" . }}"#,
            "rendering template has a nested reference name: a: unable to execute template",
        ),
        (r#"{{ define "t" }}{{ tpl . . }}{{ end }}{{ include "t" "{{ include \"t\" . }}" }}"#, "nested"),
        (r#"{{ define "r" }}{{ template "r" . }}{{ end }}{{ template "r" . }}"#, ""),
        (r#"{{ $t := "{{ tpl . . }}" }}{{ tpl $t $t }}"#, "nested"),
        // Time.
        ("{{ range until 9999 }}{{ range until 9999 }}{{ end }}{{ end }}", "more than 200000 steps"),
        ("{{ range until 1000000000 }}x{{ end }}", "more than 10000 items"),
        ("{{ range 1000000000 }}{{ end }}", "more than"),
        // Memory.
        (r#"{{ repeat 1000000000 "x" }}"#, "more than"),
        (r#"{{ repeat 1000 "x" | repeat 1000 | repeat 1000 | repeat 1000 }}"#, "more than 1048576 bytes"),
        (r#"{{ "x" | indent 1000000000 }}"#, "more than"),
        ("{{ untilStep 0 1000000000 1 }}", "more than 10000 items"),
        ("{{ seq 1 1000000000 }}", "more than"),
        ("{{ randBytes 1000000000 }}", "more than"),
        (r#"{{ printf "%1000000000d" 1 }}"#, ""),
        (r#"{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $d }}"#, ""),
        (r#"{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ toYaml $d | len }}{{ fail "end" }}"#, ""),
        (r#"{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ deepCopy $d }}"#, ""),
    ] {
        let error = match render_within(template, small()) {
            Ok(text) if want.is_empty() && text.len() < 1 << 20 => continue,
            Ok(text) => panic!("{template} gives {} bytes", text.len()),
            Err(error) => error,
        };
        assert!(error.contains(want), "{template}: {error}");
        assert!(error.len() < 10_000, "{template}: an error of {} bytes", error.len());
    }
}

#[test]
fn renders_can_be_canceled() {
    let options =
        RenderOptions { canceled: Some(Arc::new(AtomicBool::new(true))), ..RenderOptions::default() };
    let chart =
        chart(&[("templates/x.yaml", "{{ range until 9999 }}{{ range until 9999 }}{{ end }}{{ end }}")]);
    let error = render(chart.expect("a chart"), &Map::new(), &options).expect_err("canceled");
    assert!(error.contains("canceled"), "{error}");
}

#[test]
fn deep_nesting_is_no_crash() {
    let parentheses = format!("{{{{ {}1{} }}}}", "(".repeat(9_000), ")".repeat(9_000));
    assert!(render_within(&parentheses, small()).is_ok_and(|text| text == "1"));
    let more = format!("{{{{ {}1{} }}}}", "(".repeat(200_000), ")".repeat(200_000));
    assert!(render_within(&more, small()).is_err());
    let blocks = format!("{}x{}", "{{ if true }}".repeat(20_000), "{{ end }}".repeat(20_000));
    assert!(render_within(&blocks, small()).is_ok_and(|text| text == "x"));
    let yaml = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(values::read_documents(format!("a: {yaml}").as_bytes()).is_err());
    let json = format!("a={yaml}");
    let sources = Sources { set_json: vec![json], ..Sources::default() };
    assert!(sources.merge(&mut |_| Err(String::new())).is_err());
}

#[test]
fn values_that_grow_are_stopped() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let item = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", [item.as_str(); 10].join(", ")));
    }
    let error = values::read_documents(bomb.as_bytes()).expect_err("a bomb");
    assert!(error.contains("excessive aliasing"), "{error}");
    assert!(values::read_documents(b"a: \xff\xfe").is_err());
    assert!(values::read_documents(b"a: &a [*a]").is_err());
}

#[test]
fn output_that_is_no_utf8_is_text_all_the_same() {
    let text = render_within(r#"a: {{ b64dec "/w==" }}"#, small()).expect("rendered");
    assert_eq!(text, "a: \u{fffd}");
    let chart = Chart::from_files(
        vec![
            ChartFile { name: "Chart.yaml".into(), data: CHART.into(), modified: None },
            ChartFile {
                name: "templates/x.yaml".into(),
                data: b"a: \xff{{ 1 }}".as_slice().into(),
                modified: None,
            },
        ],
        &LoadOptions::default(),
    );
    let text = render(chart.expect("a chart"), &Map::new(), &RenderOptions::default()).expect("rendered");
    assert_eq!(text, "a: \u{fffd}1");
}

#[test]
fn chart_files_of_other_shapes_are_refused() {
    for (text, want) in [
        ("- a\n", "cannot unmarshal array"),
        ("a: &a {b: *a}\n", "contains itself"),
        ("\u{0}", "cannot load Chart.yaml"),
        ("apiVersion: v2\nname: ../../etc\nversion: 1.0.0\n", "is invalid"),
        ("apiVersion: v2\nname: .\nversion: 1.0.0\n", "is not allowed"),
    ] {
        let error = chart(&[("Chart.yaml", text)]).expect_err(text);
        assert!(error.contains(want), "{text}: {error}");
    }
}

/// A tar.gz of entries with exactly these names.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, data) in entries {
        let mut header = tar::Header::new_gnu();
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, *data).expect("an entry");
    }
    builder.into_inner().and_then(GzEncoder::finish).expect("an archive")
}

fn load(archive: &[u8]) -> Result<Chart, String> {
    Chart::from_archive(archive, &LoadOptions::default()).map_err(|error| error.to_string())
}

#[test]
fn names_that_leave_the_chart_are_refused() {
    let chart = CHART.as_bytes();
    for (name, want) in [
        ("c/../../x", "references parent directory"),
        ("c/../x", "references parent directory"),
        ("c//etc/x", "absolute paths"),
        ("x", "outside the base directory"),
        ("c/.", "outside the base directory"),
        ("c/c:/x", "illegally named files"),
        ("c\\..\\..\\x", "references parent directory"),
        ("Chart.yaml/x", "chart yaml not in base directory"),
    ] {
        let error = load(&archive(&[("c/Chart.yaml", chart), (name, b"x")])).expect_err(name);
        assert!(error.contains(want), "{name}: {error}");
    }
    let loaded = load(&archive(&[("c/Chart.yaml", chart), ("/etc/x", b"1"), ("d\\e\\f", b"2")]));
    let names: Vec<_> = loaded.expect("a chart").files.into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["etc/x", "e/f"]);
}

#[test]
fn the_last_of_duplicate_files_counts() {
    let loaded = load(&archive(&[
        ("c/Chart.yaml", b"name: a\nversion: x\n"),
        ("c/values.yaml", b"a: 1\n"),
        ("c/Chart.yaml", CHART.as_bytes()),
        ("c/values.yaml", b"b: 1\n"),
    ]));
    let loaded = loaded.expect("a chart");
    assert_eq!((loaded.name(), loaded.values.contains_key("a")), ("c", false));
}

#[test]
fn archives_that_grow_are_stopped() {
    let options = LoadOptions { max_bytes: 1 << 20, max_files: 100, ..LoadOptions::default() };
    let zeros = vec![0_u8; 8 << 20];
    let bomb = archive(&[("c/Chart.yaml", CHART.as_bytes()), ("c/zeros", &zeros)]);
    let error = Chart::from_archive(&bomb, &options).expect_err("a bomb").to_string();
    assert!(error.contains("larger than the maximum size 1048576"), "{error}");
    // The same, packed once more as a subchart: the budget is one.
    let nested = archive(&[("c/Chart.yaml", CHART.as_bytes()), ("c/charts/c.tgz", &bomb)]);
    assert!(Chart::from_archive(&nested, &options).is_err());
    let many: Vec<_> = (0..200).map(|at| format!("c/{at}")).collect();
    let mut entries: Vec<(&str, &[u8])> = vec![("c/Chart.yaml", CHART.as_bytes())];
    entries.extend(many.iter().map(|name| (name.as_str(), &b"x"[..])));
    assert!(Chart::from_archive(&archive(&entries), &options).is_err());
    // Charts in charts in charts.
    let mut chart = archive(&[("c/Chart.yaml", CHART.as_bytes())]);
    for _ in 0..40 {
        chart = archive(&[("c/Chart.yaml", CHART.as_bytes()), ("c/charts/c.tgz", &chart)]);
    }
    let error = load(&chart).expect_err("too deep");
    assert!(error.contains("nested deeper"), "{error}");
    let mut cut = archive(&[("c/Chart.yaml", CHART.as_bytes())]);
    cut.truncate(cut.len() / 2);
    assert!(load(&cut).is_err());
    assert!(load(b"").is_err());
    assert!(load(b"\x1f\x8b\x08").is_err());
    let mut garbage = GzEncoder::new(Vec::new(), Compression::fast());
    garbage.write_all(&[7; 4096]).expect("written");
    assert!(load(&garbage.finish().expect("packed")).is_err());
}

#[test]
fn links_may_not_leave_the_chart() {
    let dir = tempfile::tempdir().expect("a folder");
    let chart = dir.path().join("c");
    fs::create_dir_all(chart.join("files")).expect("a folder");
    fs::write(chart.join("Chart.yaml"), CHART).expect("written");
    fs::write(chart.join("files/a"), "inside").expect("written");
    fs::write(dir.path().join("secret"), "outside").expect("written");
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, chart.join(name)).expect("a link");
    };
    link("files/a", "inside");
    let options = LoadOptions::default();
    let load = |options: &LoadOptions| Chart::load(&chart, options).map_err(|error| error.to_string());
    assert!(load(&options).is_ok_and(|chart| chart.files.iter().any(|file| file.name == "inside")));
    link("../secret", "out");
    let error = load(&options).expect_err("outside");
    assert!(error.contains("leads out of the chart"), "{error}");
    let wider = LoadOptions { links_within: Some(dir.path().to_owned()), ..LoadOptions::default() };
    assert!(load(&wider).is_ok());
    link(".", "loop");
    let error = load(&wider).expect_err("a loop");
    assert!(error.contains("too many levels of symbolic links"), "{error}");
    fs::remove_file(chart.join("loop")).expect("removed");
    fs::remove_file(chart.join("Chart.yaml")).expect("removed");
    link("../secret", "Chart.yaml");
    assert!(load(&options).is_err());
}

#[test]
fn aliases_of_aliases_are_counted() {
    let aliases: String = (0..100).map(|at| format!("- {{name: c, version: '*', alias: a{at}}}\n")).collect();
    let yaml = format!("apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies:\n{aliases}");
    let names: Vec<_> = (0..8).map(|depth| format!("{}Chart.yaml", "charts/c/".repeat(depth))).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), yaml.as_str())).collect();
    let error = render(chart(&files).expect("a chart"), &Map::new(), &RenderOptions::default());
    let error = error.expect_err("too many");
    assert!(error.contains("more than 10000 subcharts take part"), "{error}");
}

#[test]
fn arguments_cannot_ask_for_more_than_they_are_worth() {
    let merge = |set: String| {
        let sources = Sources { set: vec![set], ..Sources::default() };
        sources.merge(&mut |_| Err(String::new())).map_err(|error| error.to_string())
    };
    let error = merge(format!("a{}=1", "[0]".repeat(100_000))).expect_err("too deep");
    assert!(error.contains("nested deeper than 64 levels"), "{error}");
    let error = merge(format!("a{}=1", "[65536]".repeat(60))).expect_err("too many");
    assert!(error.contains("more than 1048576 items"), "{error}");
    let many: Vec<_> = (0..1000).map(|at| format!("a{at}[65536]=1")).collect();
    assert!(merge(many.join(",")).is_err());
    assert!(merge(format!("a{}=1", ".b".repeat(100_000))).is_err());
}

#[test]
fn a_dependency_on_itself_is_no_loop() {
    let yaml = "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies: [{name: c, version: '*', alias: d}]\n";
    let parent = chart(&[("Chart.yaml", yaml), ("charts/c/Chart.yaml", yaml)]).expect("a chart");
    let text = render(parent, &Map::new(), &RenderOptions::default()).expect("rendered");
    assert_eq!(text, "");
}
