//! Which files of a source do not belong in its artifact: `.sourceignore` files and `spec.ignore`.
//!
//! The rules are Flux's: those of `.gitignore` with differences that change results (sources.md 5.5). The last pattern
//! that matches decides, and an excluded directory is still entered, so that `/*` with `!/deploy` works.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use crate::glob::Glob;

/// Name of the ignore file that is read in every directory.
pub const IGNORE_FILE: &str = ".sourceignore";

/// Largest ignore file that is read, in bytes.
const MAX_IGNORE_FILE: u64 = 1024 * 1024;

/// Version-control files, left out of every artifact unless a pattern brings them back.
const VCS: [&str; 4] = [".git/", ".gitignore", ".gitmodules", ".gitattributes"];

/// Left out as well when the user has no pattern of their own.
const DEFAULTS: [&str; 20] = [
    "*.jpg",
    "*.jpeg",
    "*.gif",
    "*.png",
    "*.wmv",
    "*.flv",
    "*.tar.gz",
    "*.zip",
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    "**/.goreleaser.yml",
    "**/.sops.yaml",
    "**/.flux.yaml",
];

/// Why ignore rules could not be read.
#[derive(Debug, thiserror::Error)]
pub enum IgnoreError {
    /// A directory or an ignore file could not be read.
    #[error("cannot read '{}': {error}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system answered.
        error: io::Error,
    },
    /// An ignore file is unreasonably large.
    #[error("ignore file '{}' is larger than {MAX_IGNORE_FILE} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// Compiled ignore rules of one source.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    /// In ascending priority.
    patterns: Vec<Pattern>,
}

impl Ignore {
    /// Only the rules of `text`, without any built-in list (as a Bucket does).
    pub fn bare(text: &str) -> Self {
        Self { patterns: parse(text, &[]) }
    }

    /// The built-in lists and `spec_ignore`, for a source without ignore files.
    pub fn new(spec_ignore: Option<&str>) -> Self {
        Self::from_user_patterns(Vec::new(), spec_ignore)
    }

    /// The built-in lists, every `.sourceignore` below `root`, then `spec_ignore`.
    ///
    /// # Errors
    /// When a directory or an ignore file cannot be read. A missing or empty ignore file is no error; one that is
    /// not a regular file is passed over.
    pub fn load(root: &Path, spec_ignore: Option<&str>) -> Result<Self, IgnoreError> {
        let mut patterns = Vec::new();
        let mut scope = Vec::new();
        collect(root, &mut scope, &mut patterns)?;
        Ok(Self::from_user_patterns(patterns, spec_ignore))
    }

    fn from_user_patterns(mut user: Vec<Pattern>, spec_ignore: Option<&str>) -> Self {
        user.extend(spec_ignore.map(|text| parse(text, &[])).unwrap_or_default());
        let defaults: &[&str] = if user.is_empty() { &DEFAULTS } else { &[] };
        let mut patterns: Vec<Pattern> =
            VCS.iter().chain(defaults).map(|line| Pattern::new(line, &[])).collect();
        patterns.append(&mut user);
        Self { patterns }
    }

    /// Whether the file or directory at `path`, relative to the root, is left out.
    pub fn excludes(&self, path: &Path, is_dir: bool) -> bool {
        let components: Vec<_> = path
            .components()
            .filter_map(|component| match component {
                Component::Normal(name) => Some(name.to_string_lossy()),
                _ => None,
            })
            .collect();
        let components: Vec<&str> = components.iter().map(AsRef::as_ref).collect();
        self.patterns
            .iter()
            .rev()
            .find(|pattern| pattern.matches(&components, is_dir))
            .is_some_and(|pattern| !pattern.include)
    }
}

/// Reads the ignore files of `dir` and all directories below it, parents first.
fn collect(root: &Path, scope: &mut Vec<String>, patterns: &mut Vec<Pattern>) -> Result<(), IgnoreError> {
    // A stack of directories still to visit instead of recursion: a hostile tree may be thousands of levels deep.
    let mut pending = vec![(root.to_path_buf(), 0usize, String::new())];
    while let Some((dir, depth, name)) = pending.pop() {
        scope.truncate(depth.saturating_sub(1));
        if depth > 0 {
            scope.push(name);
        }
        if let Some(text) = read_ignore_file(&dir.join(IGNORE_FILE))? {
            patterns.extend(parse(&text, scope));
        }
        let mut children = Vec::new();
        let error = |error| IgnoreError::Read { path: dir.clone(), error };
        for entry in fs::read_dir(&dir).map_err(error)? {
            let entry = entry.map_err(error)?;
            if entry.file_name() != ".git" && entry.file_type().map_err(error)?.is_dir() {
                children.push(entry.file_name());
            }
        }
        children.sort_unstable_by(|a, b| b.cmp(a));
        for child in children {
            pending.push((dir.join(&child), depth + 1, child.to_string_lossy().into_owned()));
        }
    }
    Ok(())
}

fn read_ignore_file(path: &Path) -> Result<Option<String>, IgnoreError> {
    let error = |error| IgnoreError::Read { path: path.to_path_buf(), error };
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(error(e)),
        Ok(metadata) if !metadata.is_file() => return Ok(None),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(error)?.take(MAX_IGNORE_FILE + 1).read_to_end(&mut bytes).map_err(error)?;
    if bytes.len() as u64 > MAX_IGNORE_FILE {
        return Err(IgnoreError::TooLarge { path: path.to_path_buf() });
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn parse(text: &str, scope: &[String]) -> Vec<Pattern> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| Pattern::new(line, scope))
        .collect()
}

#[derive(Debug, Clone)]
struct Pattern {
    /// Directory, below the root, that the pattern applies to.
    scope: Vec<String>,
    /// `!`: brings back what an earlier pattern left out.
    include: bool,
    dir_only: bool,
    rule: Rule,
}

#[derive(Debug, Clone)]
enum Rule {
    /// No `/` in it: any component below the scope.
    Name(Glob),
    /// Anchored at the scope, component by component.
    Path(Vec<Part>),
}

#[derive(Debug, Clone)]
enum Part {
    /// Between two slashes, or before a leading one: only ends the effect of `**`.
    Empty,
    /// `**`.
    AnyDepth,
    /// `**` inside a component: never matches.
    Never,
    Name(Glob),
}

impl Pattern {
    fn new(line: &str, scope: &[String]) -> Self {
        let (include, mut text) = match line.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        if !text.ends_with("\\ ") {
            text = text.trim_end_matches(' ');
        }
        let (dir_only, text) = match text.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let rule = if text.contains('/') {
            Rule::Path(
                text.split('/')
                    .map(|part| match part {
                        "" => Part::Empty,
                        "**" => Part::AnyDepth,
                        part if part.contains("**") => Part::Never,
                        part => Part::Name(Glob::new(part)),
                    })
                    .collect(),
            )
        } else {
            Rule::Name(Glob::new(text))
        };
        Self { scope: scope.to_vec(), include, dir_only, rule }
    }

    fn matches(&self, path: &[&str], is_dir: bool) -> bool {
        let in_scope = path.len() > self.scope.len() && self.scope.iter().zip(path).all(|(a, b)| a == b);
        if !in_scope {
            return false;
        }
        let path = &path[self.scope.len()..];
        match &self.rule {
            Rule::Name(glob) => match path.iter().position(|name| glob.matches(name)) {
                Some(at) => !self.dir_only || is_dir || at + 1 < path.len(),
                None => false,
            },
            Rule::Path(parts) => match match_path(parts, path) {
                Some(rest) => !self.dir_only || is_dir || rest > 0,
                None => false,
            },
        }
    }
}

/// Matches a prefix of `path`; returns how many components are left, which then lie below the match.
///
/// `**` takes the first place where the next part matches and never goes back on it. At the end it matches whatever
/// lies below what matched before it, so `/**` alone, with nothing before it, matches nothing (as in Flux).
fn match_path(parts: &[Part], mut path: &[&str]) -> Option<usize> {
    let mut matched = false;
    let mut skip = false;
    for (index, part) in parts.iter().enumerate() {
        match part {
            Part::Empty => skip = false,
            Part::AnyDepth if index + 1 == parts.len() => {}
            Part::AnyDepth => skip = true,
            Part::Never => return None,
            Part::Name(glob) => {
                if path.is_empty() || glob.is_malformed() {
                    return None;
                }
                let at = if skip {
                    path.iter().position(|name| glob.matches(name))?
                } else if glob.matches(path[0]) {
                    0
                } else {
                    return None;
                };
                skip = false;
                matched = true;
                path = &path[at + 1..];
            }
        }
    }
    matched.then_some(path.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ignore: &Ignore, cases: &[(&str, bool)]) {
        for (path, want) in cases {
            let is_dir = path.ends_with('/');
            assert_eq!(ignore.excludes(Path::new(path.trim_end_matches('/')), is_dir), *want, "{path}");
        }
    }

    #[test]
    fn built_in_lists_apply_until_the_user_has_a_pattern() {
        let none = [
            (".git/", true),
            (".git/config", true),
            ("sub/.git/HEAD", true),
            (".git", false), // a file: the pattern is for directories
            (".gitignore", true),
            ("sub/.gitmodules", true),
            ("a.jpg", true),
            ("deep/a.tar.gz", true),
            (".github/workflows/x.yml", true),
            ("x/.sops.yaml", true),
            (".sops.yaml", true),
            ("app.yaml", false),
            (".sourceignore", false),
        ];
        check(&Ignore::new(None), &none);
        check(&Ignore::new(Some("\n# only a comment\n   \n")), &none);
        check(
            &Ignore::new(Some("*.txt")),
            &[("a.jpg", false), (".github/x", false), (".git/", true), (".gitignore", true), ("a.txt", true)],
        );
        check(&Ignore::bare("*.txt"), &[(".git/", false), ("x/a.txt", true)]);
    }

    #[test]
    fn patterns_match_as_flux_matches_them() {
        for (text, cases) in [
            (
                "/*\n!/deploy",
                &[("deploy/", false), ("deploy/a/b.yaml", false), ("src/", true), ("x", true)][..],
            ),
            ("!.git", &[(".git/", false), (".git/config", false), (".gitignore", true)]),
            ("*.txt\n!dir/keep.txt", &[("a.txt", true), ("dir/keep.txt", false), ("dir/no.txt", true)]),
            ("build", &[("build", true), ("a/build/x", true), ("a/builder/x", false)]),
            ("build/", &[("build", false), ("build/", true), ("build/x", true), ("a/build", false)]),
            ("/build", &[("build", true), ("build/x", true), ("a/build", false)]),
            ("a/b", &[("a/b", true), ("a/b/c", true), ("x/a/b", false)]),
            ("a/b/", &[("a/b", false), ("a/b/", true), ("a/b/c", true)]),
            ("a/*/c", &[("a/b/c", true), ("a/c", false), ("a/b/d/c", false)]),
            ("**/foo", &[("foo", true), ("a/foo", true), ("a/b/foo/c", true), ("a/food", false)]),
            ("a/**/c", &[("a/c", true), ("a/b/c", true), ("a/b/b/c/d", true), ("c", false)]),
            ("a/**", &[("a/", true), ("a/b/c", true), ("b", false)]),
            ("/**", &[("a", false), ("a/b", false)]),
            ("a/**/b/c", &[("a/b/x/b/c", false), ("a/x/b/c", true)]), // first hit taken, no way back
            ("x/a**b", &[("x/ab", false), ("x/a**b", false)]),
            ("[", &[("[", false)]),
            ("x/[", &[("x/[", false)]),
            ("trail   ", &[("trail", true), ("trail   ", false)]),
            ("esc\\ ", &[("esc ", true), ("esc", false)]),
            ("\\#x", &[("#x", true)]),
            ("\\!x", &[("!x", true), ("x", false)]),
            ("cr\r\nlf", &[("cr", true), ("lf", true)]),
            ("*\n!keep", &[("a", true), ("keep", false), ("keep/x", false)]),
        ] {
            println!("{text:?}");
            check(&Ignore::new(Some(text)), cases);
        }
    }

    #[test]
    fn ignore_files_apply_to_their_directory_and_below() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
        fs::write(root.join(".sourceignore"), "*.md\n").unwrap();
        fs::write(root.join("a/.sourceignore"), "!keep.md\n/only-here\n").unwrap();
        fs::write(root.join("a/b/.sourceignore"), "keep.md\n").unwrap();
        fs::write(root.join(".git/.sourceignore"), "never-read\n").unwrap();
        let ignore = Ignore::load(root, Some("from-spec")).unwrap();
        check(
            &ignore,
            &[
                ("x.md", true),
                ("keep.md", true),
                ("a/keep.md", false),
                ("a/b/keep.md", true),
                ("a/only-here", true),
                ("a/b/only-here", false),
                ("only-here", false),
                ("never-read", false),
                ("a/from-spec", true),
                ("pic.jpg", false),
            ],
        );
    }

    #[test]
    fn an_ignore_file_that_is_a_link_is_not_read_and_a_huge_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, "*\n").unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink(&outside, root.join(IGNORE_FILE)).unwrap();
        check(&Ignore::load(&root, None).unwrap(), &[("x", false)]);
        fs::remove_file(root.join(IGNORE_FILE)).unwrap();
        fs::write(root.join(IGNORE_FILE), vec![b'\n'; 1024 * 1024 + 1]).unwrap();
        assert!(Ignore::load(&root, None).unwrap_err().to_string().contains("is larger than 1048576 bytes"));
    }
}
