//! Submodules: repositories that a tree mounts at a commit.

use std::{collections::HashMap, path::Path};

use gix::{ObjectId, bstr::ByteSlice as _};
use sha2::{Digest as _, Sha256};

use crate::{
    checkout::{Budget, write_commit},
    error::{Error, Result, chain},
    limit::Limit,
    mirror::{Mirror, Paths},
    refs::Resolved,
    remote::Remote,
};

/// Levels of submodules of submodules, as in Flux.
const MAX_LEVELS: u32 = 10;
/// Bound on the text of `.gitmodules`.
const MAX_MODULES_BYTES: usize = 1 << 20;

/// Fetches each submodule of `gitlinks` (path and commit) and writes it to its place in `into`.
///
/// A path that `.gitmodules` does not name stays an empty directory, as with Git. Credentials go along to the same server only.
#[expect(clippy::too_many_arguments, reason = "the state of one checkout, used by this call alone")]
pub(crate) fn write_all(
    paths: &Paths,
    remote: &Remote,
    modules: &[u8],
    gitlinks: &[(String, ObjectId)],
    into: &Path,
    budget: &mut Budget,
    limit: &Limit,
    level: u32,
) -> Result<()> {
    let addresses =
        addresses(modules).map_err(|detail| Error::UnsafeTree { path: ".gitmodules".into(), why: detail })?;
    for (path, commit) in gitlinks {
        let Some(address) = addresses.get(path) else { continue };
        let failed = |cause: Error| Error::Submodule { path: path.clone(), cause: Box::new(cause) };
        if level >= MAX_LEVELS || budget.submodules_left == 0 {
            let why =
                format!("submodules are nested more than {MAX_LEVELS} deep, or there are more than 256");
            return Err(Error::UnsafeTree { path: path.clone(), why });
        }
        budget.submodules_left -= 1;
        one(paths, remote, address, *commit, &into.join(path), budget, limit, level).map_err(failed)?;
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the state of one checkout, used by this call alone")]
fn one(
    paths: &Paths,
    remote: &Remote,
    address: &str,
    commit: ObjectId,
    into: &Path,
    budget: &mut Budget,
    limit: &Limit,
    level: u32,
) -> Result<()> {
    let url = remote.url().join_submodule(address)?;
    let name = hex::encode(&Sha256::digest(url.without_user_info().url().as_str())[..16]);
    let remote = remote.sibling(url);
    let dir = paths.submodule(&name);
    std::fs::create_dir_all(&dir).map_err(Error::local("create directory", &dir))?;
    let mirror = Mirror::open(dir)?;
    mirror.obtain(&remote, &Resolved::pinned(commit), limit)?;
    budget
        .whole_tree(|budget| write_commit(mirror.paths(), &remote, commit, into, budget, limit, level + 1))?;
    Ok(())
}

/// Path → address, as `.gitmodules` says.
fn addresses(text: &[u8]) -> Result<HashMap<String, String>, String> {
    if text.len() > MAX_MODULES_BYTES {
        return Err(format!("it is larger than {MAX_MODULES_BYTES} bytes"));
    }
    let config = gix::config::File::from_bytes_no_includes(
        text,
        gix::config::file::Metadata::api(),
        gix::config::file::init::Options::default(),
    )
    .map_err(|error| chain(&error))?;
    let mut addresses = HashMap::new();
    for section in config.sections_by_name("submodule").into_iter().flatten() {
        let value = |key: &str| section.value(key).and_then(|value| value.to_str().ok().map(str::to_owned));
        if let (Some(path), Some(url)) = (value("path"), value("url")) {
            addresses.insert(path.trim_end_matches('/').to_owned(), url);
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gitmodules_maps_paths_to_addresses() {
        let text = "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n[submodule \"no-url\"]\n\tpath = x\n# comment\n[core]\n\tpath = y\n\turl = z\n";
        let found = addresses(text.as_bytes()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found["vendor/lib"], "../lib.git");
        assert!(addresses(b"[submodule \"broken").is_err());
        assert!(addresses(b"").unwrap().is_empty());
    }
}
