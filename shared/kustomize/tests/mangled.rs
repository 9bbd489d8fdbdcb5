//! Damaged input is refused or built, and never ends the process: every case of the oracle, mangled.

use std::fs;
use std::path::{Path, PathBuf};

use sluice_kustomize::{Kustomization, Options, build, file::UnknownFields, read_objects, to_yaml};

/// A small generator of numbers, so that a failure repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).expect("below a usize")
    }
}

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files(&path, out) } else { out.push(path) }
    }
}

/// Changes bytes, lines and indentation.
fn mangle(text: &[u8], random: &mut Random) -> Vec<u8> {
    const PIECES: &[&str] = &[
        "\n",
        ": ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "null",
        "~",
        "\"",
        "'",
        "|\n",
        "&a ",
        "*a",
        "<<: ",
        "!!int ",
        "0",
        "-1",
        "99999999999999999999",
        "$patch: delete\n",
        "$patch: replace\n",
        "../",
        "\u{85}",
        "\u{2028}",
        "é",
        "\0",
        "---\n",
        "...\n",
        "a.b",
        "\\",
        "/",
        "%",
        "@",
        "?",
    ];
    let mut out = text.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(out.len() + 1);
        match random.below(5) {
            0 if at < out.len() => {
                out.remove(at);
            }
            1 => {
                let piece = PIECES[random.below(PIECES.len())].as_bytes();
                out.splice(at..at, piece.iter().copied());
            }
            2 => {
                let end = (at + random.below(40)).min(out.len());
                out.drain(at..end);
            }
            3 => {
                let end = (at + random.below(40)).min(out.len());
                let copy = out[at..end].to_vec();
                let to = random.below(out.len() + 1);
                out.splice(to..to, copy);
            }
            _ => out.truncate(at),
        }
    }
    out
}

#[test]
fn mangled_trees_never_panic() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut random = Random(0x5eed_5eed_5eed_5eed);
    let rounds = std::env::var("SLUICE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let mut built = 0_usize;
    for case in fs::read_dir(cases).expect("cases") {
        let input = case.expect("a case").path().join("in");
        let mut inputs = Vec::new();
        files(&input, &mut inputs);
        inputs.sort();
        for _ in 0..rounds {
            let tree = tempfile::tempdir().expect("a temporary directory");
            let victim = random.below(inputs.len());
            for (index, file) in inputs.iter().enumerate() {
                let to = tree.path().join(file.strip_prefix(&input).expect("below the input"));
                fs::create_dir_all(to.parent().expect("a parent")).expect("directories");
                let text = fs::read(file).expect("a file");
                let text = if index == victim { mangle(&text, &mut random) } else { text };
                fs::write(&to, &text).expect("written");
                let _ = read_objects(&text);
                if let Ok(text) = std::str::from_utf8(&text)
                    && let Ok(file) = Kustomization::parse(text, UnknownFields::Drop)
                {
                    let again =
                        Kustomization::parse(&file.to_yaml(), UnknownFields::Refuse).expect("its own text");
                    assert_eq!(again.to_yaml(), file.to_yaml());
                }
            }
            for dir in ["", "top"] {
                for options in [Options::flux(), Options::command_line()] {
                    if let Ok(objects) = build(tree.path(), Path::new(dir), &options) {
                        let text = to_yaml(&objects);
                        let again = sluice_yaml::parse_documents(&text).expect("the output is YAML");
                        assert!(
                            again.len() == objects.len()
                                && again.iter().zip(&objects).all(|(a, b)| a.value == *b),
                            "the output reads back as something else:\n{text}"
                        );
                        built += 1;
                    }
                }
            }
        }
    }
    assert!(built > 0);
}
