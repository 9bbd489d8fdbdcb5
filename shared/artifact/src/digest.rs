//! Digests of artifacts: which algorithms there are, how they are written, and writers that compute them on the way.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::str::FromStr;

use sha2::Digest as _;

/// A hash algorithm that an artifact or a revision may be named by.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// SHA-1, 40 hex digits. Git's own hashes; accepted for artifacts because Flux accepts it.
    Sha1,
    /// SHA-256, 64 hex digits: the default.
    #[default]
    Sha256,
    /// SHA-384, 96 hex digits.
    Sha384,
    /// SHA-512, 128 hex digits.
    Sha512,
    /// BLAKE3, 64 hex digits.
    Blake3,
}

impl Algorithm {
    /// Every algorithm, in the order in which an error message lists them.
    pub const ALL: [Self; 5] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512, Self::Blake3];

    /// The name as it stands before the colon of a digest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Blake3 => "blake3",
        }
    }

    /// Number of hex digits of a digest.
    pub fn hex_len(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Sha256 | Self::Blake3 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    /// Starts to hash with this algorithm.
    pub fn hasher(self) -> Hasher {
        Hasher(match self {
            Self::Sha1 => State::Sha1(sha1::Sha1::new()),
            Self::Sha256 => State::Sha256(sha2::Sha256::new()),
            Self::Sha384 => State::Sha384(sha2::Sha384::new()),
            Self::Sha512 => State::Sha512(sha2::Sha512::new()),
            Self::Blake3 => State::Blake3(Box::new(blake3::Hasher::new())),
        })
    }

    /// The digest of `bytes`.
    pub fn digest(self, bytes: impl AsRef<[u8]>) -> Digest {
        let mut hasher = self.hasher();
        hasher.update(bytes.as_ref());
        hasher.finish()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| DigestError::Algorithm(text.to_owned()))
    }
}

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The part before the colon names no algorithm that is supported.
    #[error("unsupported digest algorithm '{0}': use one of sha1, sha256, sha384, sha512, blake3")]
    Algorithm(String),
    /// The part after the colon is not what the algorithm produces.
    #[error("invalid {algorithm} digest '{text}': {} hex digits in lower case are needed", algorithm.hex_len())]
    Encoding {
        /// The algorithm that was named.
        algorithm: Algorithm,
        /// The text as given.
        text: String,
    },
}

/// A checked digest, written `<algorithm>:<hex>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

impl Digest {
    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The lower-case hex digits, without the algorithm.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// Hashes a whole stream in constant memory.
    ///
    /// # Errors
    /// What reading returns.
    pub fn of_reader(algorithm: Algorithm, mut reader: impl Read) -> io::Result<Self> {
        let mut hasher = algorithm.hasher();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(n) => hasher.update(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Hashes a file in constant memory.
    ///
    /// # Errors
    /// What opening or reading the file returns.
    pub fn of_file(algorithm: Algorithm, path: &Path) -> io::Result<Self> {
        Self::of_reader(algorithm, std::fs::File::open(path)?)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    /// Reads `<algorithm>:<hex>`; a text without a colon is SHA-256, as Flux's consumers read it.
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = match text.split_once(':') {
            Some((name, hex)) => (name.parse()?, hex),
            None => (Algorithm::Sha256, text),
        };
        let valid = hex.len() == algorithm.hex_len()
            && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if !valid {
            return Err(DigestError::Encoding { algorithm, text: text.to_owned() });
        }
        Ok(Self { algorithm, hex: hex.to_owned() })
    }
}

/// A digest being computed.
pub struct Hasher(State);

enum State {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha1(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
            State::Sha384(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
            State::Blake3(state) => {
                state.update(bytes);
            }
        }
    }

    /// The digest of all bytes added.
    pub fn finish(self) -> Digest {
        let (algorithm, hex) = match self.0 {
            State::Sha1(state) => (Algorithm::Sha1, hex::encode(state.finalize())),
            State::Sha256(state) => (Algorithm::Sha256, hex::encode(state.finalize())),
            State::Sha384(state) => (Algorithm::Sha384, hex::encode(state.finalize())),
            State::Sha512(state) => (Algorithm::Sha512, hex::encode(state.finalize())),
            State::Blake3(state) => (Algorithm::Blake3, state.finalize().to_hex().to_string()),
        };
        Digest { algorithm, hex }
    }
}

/// Hashes and counts what passes through it.
pub struct HashingWriter<W> {
    inner: W,
    hasher: Hasher,
    written: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Wraps a writer.
    pub fn new(algorithm: Algorithm, inner: W) -> Self {
        Self { inner, hasher: algorithm.hasher(), written: 0 }
    }

    /// The writer, the digest of what it got and the number of bytes.
    pub fn finish(self) -> (W, Digest, u64) {
        (self.inner, self.hasher.finish(), self.written)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_gives_the_published_digest_of_abc() {
        for (algorithm, want) in [
            (Algorithm::Sha1, "sha1:a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Algorithm::Sha256, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                Algorithm::Sha384,
                "sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                Algorithm::Sha512,
                "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
            (Algorithm::Blake3, "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
        ] {
            assert_eq!(algorithm.digest("abc").to_string(), want);
            assert_eq!(want.parse::<Digest>().unwrap().algorithm(), algorithm);
        }
    }

    #[test]
    fn text_that_is_no_digest_is_refused() {
        let hex = "a".repeat(64);
        assert_eq!(
            hex.parse::<Digest>().unwrap().to_string(),
            format!("sha256:{hex}"),
            "sha256 when unnamed"
        );
        for text in
            ["", "sha256:", "sha256:zz", "md5:00", "sha256:../../etc/passwd", ":", &hex.to_uppercase()]
        {
            assert!(text.parse::<Digest>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_hashing_writer_counts_and_hashes_what_was_written() {
        let mut writer = HashingWriter::new(Algorithm::Sha256, Vec::new());
        writer.write_all(b"ab").unwrap();
        writer.write_all(b"c").unwrap();
        let (bytes, digest, written) = writer.finish();
        assert_eq!((bytes.as_slice(), written), (&b"abc"[..], 3));
        assert_eq!(digest, Algorithm::Sha256.digest("abc"));
    }
}
