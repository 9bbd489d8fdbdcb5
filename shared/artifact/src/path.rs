//! Joins a path that somebody else wrote to a root, so that the result never leaves the root.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Links followed before a path counts as a loop.
const MAX_LINKS: usize = 255;

/// Joins `untrusted` to `root`: `..` stops at the root, a leading `/` means the root, and symbolic links are resolved
/// as if the root were `/`.
///
/// Parts that do not exist are kept as written. The answer holds for the moment: nobody else may change the tree
/// between this call and the use of the path.
///
/// # Errors
/// A loop of links, or what the system answers for a part that exists but cannot be examined.
pub fn secure_join(root: &Path, untrusted: impl AsRef<Path>) -> io::Result<PathBuf> {
    let mut pending: VecDeque<Step> = steps(untrusted.as_ref());
    let mut inside = PathBuf::new();
    let mut links = 0;
    while let Some(step) = pending.pop_front() {
        let name = match step {
            Step::Root => {
                inside.clear();
                continue;
            }
            Step::Up => {
                inside.pop();
                continue;
            }
            Step::Name(name) => name,
        };
        let candidate = root.join(&inside).join(&name);
        match fs::symlink_metadata(&candidate) {
            Ok(metadata) if metadata.is_symlink() => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(io::Error::other(format!(
                        "too many symbolic links in '{}'",
                        untrusted.as_ref().display()
                    )));
                }
                for step in steps(&fs::read_link(&candidate)?).into_iter().rev() {
                    pending.push_front(step);
                }
            }
            Ok(_) => inside.push(name),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                inside.push(name);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(root.join(inside))
}

enum Step {
    Root,
    Up,
    Name(OsString),
}

fn steps(path: &Path) -> VecDeque<Step> {
    path.components()
        .filter_map(|component| match component {
            Component::RootDir => Some(Step::Root),
            Component::ParentDir => Some(Step::Up),
            Component::Normal(name) => Some(Step::Name(name.to_owned())),
            Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_path_leaves_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        symlink("../../outside", root.join("a/up")).unwrap();
        symlink("/etc", root.join("absolute")).unwrap();
        symlink("a/b", root.join("inner")).unwrap();
        for (path, want) in [
            ("a/b", "a/b"),
            ("./a/./b", "a/b"),
            ("../../etc/passwd", "etc/passwd"),
            ("/etc/passwd", "etc/passwd"),
            ("a/../../..", ""),
            ("a/up/x", "outside/x"),
            ("absolute/passwd", "etc/passwd"),
            ("inner/../x", "a/x"),
            ("missing/../../../x", "x"),
            ("", ""),
        ] {
            assert_eq!(secure_join(&root, path).unwrap(), root.join(want), "{path:?}");
        }
    }

    #[test]
    fn a_loop_of_links_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        let error = secure_join(dir.path(), "a/x").unwrap_err();
        assert_eq!(error.to_string(), "too many symbolic links in 'a/x'");
    }
}
