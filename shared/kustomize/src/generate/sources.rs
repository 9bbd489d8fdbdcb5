//! Where the keys and values of generated objects come from.

use std::path::Path;

use crate::error::{BuildError, Result, Within as _};
use crate::file::KvSources;
use crate::generate::Pairs;
use crate::loader::Files;

/// Loads all pairs of an entry: envs, literals, files.
pub(crate) fn load(files: &Files<'_>, dir: &Path, sources: &KvSources) -> Result<Pairs> {
    let listed = |kind: &str, list: &[String]| format!("{kind}: [{}]", list.join(" "));
    let mut pairs = Vec::new();
    let all = (|| {
        for path in &sources.envs {
            let content = files.read(dir, path).within(|| listed("env source files", &sources.envs))?;
            env_pairs(&content, &mut pairs).within(|| listed("env source files", &sources.envs))?;
        }
        for literal in &sources.literals {
            let pair = literal_pair(literal)
                .within(|| format!("literal sources [{}]", sources.literals.join(" ")))?;
            pairs.push(pair);
        }
        for source in &sources.files {
            let pair = (|| {
                let (key, path) = file_source(source)?;
                Ok((key, files.read(dir, &path)?))
            })();
            pairs.push(pair.within(|| listed("file sources", &sources.files))?);
        }
        Ok(())
    })();
    all.within(|| "loading KV pairs".into())?;
    Ok(pairs)
}

/// `key=value`, without one pair of quotes around the value.
fn literal_pair(source: &str) -> Result<(String, Vec<u8>)> {
    let invalid = || BuildError::invalid(format!("invalid literal source {source}, expected key=value"));
    let (key, value) = source.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(invalid)?;
    let unquoted = ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)));
    Ok((key.to_owned(), unquoted.unwrap_or(value).as_bytes().to_vec()))
}

/// `path` or `key=path`.
fn file_source(source: &str) -> Result<(String, String)> {
    let wrong = |text: String| Err(BuildError::invalid(text));
    match source.split_once('=') {
        None => {
            let base = source.trim_end_matches('/').rsplit('/').next().unwrap_or(source);
            Ok((base.to_owned(), source.to_owned()))
        }
        Some((_, path)) if path.contains('=') => {
            wrong(format!("source \"{source}\" key name or file path contains '='"))
        }
        Some(("", path)) => {
            wrong(format!("missing key name for file path \"{path}\" in source \"{source}\""))
        }
        Some((key, "")) => wrong(format!("missing file path for key name \"{key}\" in source \"{source}\"")),
        Some((key, path)) => Ok((key.to_owned(), path.to_owned())),
    }
}

/// The lines of an env file.
fn env_pairs(content: &[u8], pairs: &mut Pairs) -> Result<()> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    for line in content.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(text) = std::str::from_utf8(line) else {
            let bytes: Vec<_> = line.iter().map(u8::to_string).collect();
            let shown = String::from_utf8_lossy(line);
            return Err(BuildError::invalid(format!(
                "line [{}] has invalid utf8 bytes : {shown}",
                bytes.join(" ")
            )));
        };
        let text = text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        match text.split_once('=') {
            None => pairs.push((text.to_owned(), Vec::new())),
            Some(("", _)) => {}
            Some((key, value)) => pairs.push((key.to_owned(), value.as_bytes().to_vec())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_lose_one_pair_of_quotes() {
        for (source, key, value) in [
            ("a=b", "a", "b"),
            ("a=b=c", "a", "b=c"),
            ("a=\"b\"", "a", "b"),
            ("a='b'", "a", "b"),
            ("a=''b''", "a", "'b'"),
            ("a=\"", "a", "\""),
            ("a=\"b'", "a", "\"b'"),
            ("a= b ", "a", " b "),
            ("'k'=1", "'k'", "1"),
            ("a=", "a", ""),
        ] {
            assert_eq!(
                literal_pair(source).unwrap(),
                (key.to_owned(), value.as_bytes().to_vec()),
                "{source}"
            );
        }
        for source in ["a", "=a"] {
            let text = literal_pair(source).unwrap_err().to_string();
            assert_eq!(text, format!("invalid literal source {source}, expected key=value"));
        }
    }

    #[test]
    fn env_files_keep_quotes_and_trailing_spaces() {
        let mut pairs = Vec::new();
        env_pairs(
            "\u{feff}A=1\r\n# c\n\n  B = 2 \nE=\"q\"\nI=a # x\nX\nexport G=1\n=v\n".as_bytes(),
            &mut pairs,
        )
        .unwrap();
        let pairs: Vec<_> =
            pairs.iter().map(|(k, v)| (k.as_str(), std::str::from_utf8(v).unwrap())).collect();
        assert_eq!(
            pairs,
            [("A", "1"), ("B ", " 2 "), ("E", "\"q\""), ("I", "a # x"), ("X", ""), ("export G", "1")]
        );
    }
}
