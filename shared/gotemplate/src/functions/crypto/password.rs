//! Hashes of passwords (bcrypt) and passwords derived from a master password.

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::Rng as _;
use sha2::Sha256;

use crate::functions::random::Generator;

/// Go's default: 2^10 rounds.
const COST: u32 = 10;
/// The longest password that bcrypt tells from others.
const MAX_PASSWORD: usize = 72;

/// The bcrypt hash of a password, with a new salt; or a text that says why there is none.
pub(super) fn bcrypt(rng: &mut Generator, password: &[u8]) -> String {
    if password.len() > MAX_PASSWORD {
        let why = format!("bcrypt: password length exceeds {MAX_PASSWORD} bytes");
        return format!("failed to encrypt string with bcrypt: {why}");
    }
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    bcrypt_with_salt(salt, password)
}

fn bcrypt_with_salt(salt: [u8; 16], password: &[u8]) -> String {
    let mut input = password.to_vec();
    input.push(0);
    input.truncate(MAX_PASSWORD);
    let digest = ::bcrypt::bcrypt(COST, salt, &input);
    // The last byte of the digest is not part of the text.
    format!("$2a${COST:02}${}{}", radix64(&salt), radix64(&digest[..23]))
}

/// Base 64 with bcrypt's own alphabet, without padding.
fn radix64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let value = chunk.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for index in 0..=chunk.len() {
            out.push(char::from(ALPHABET[(value >> (18 - 6 * index) & 63) as usize]));
        }
    }
    out
}

const SCOPE: &[u8] = b"com.lyndir.masterpassword";

/// The password of a site, by the Master Password algorithm (version 0); or a text that says why there is none.
///
/// It takes 32 MiB of memory for a moment.
pub(super) fn derive(counter: u32, kind: &[u8], password: &[u8], user: &[u8], site: &[u8]) -> String {
    let Some(templates) = templates(kind) else {
        return format!("cannot find password template {}", String::from_utf8_lossy(kind));
    };
    let salt = [SCOPE, &length(user), user].concat();
    let mut key = [0; 64];
    let derived = scrypt::Params::new(15, 8, 2).map_err(|error| error.to_string()).and_then(|params| {
        scrypt::scrypt(password, &salt, &params, &mut key).map_err(|error| error.to_string())
    });
    if let Err(why) = derived {
        return format!("failed to derive password: {why}");
    }
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else {
        return "failed to derive password: the key does not fit".to_owned();
    };
    mac.update(&[SCOPE, &length(site), site, &counter.to_be_bytes()].concat());
    let seed = mac.finalize().into_bytes();
    let template = templates[usize::from(seed[0]) % templates.len()];
    let letters = template.bytes().zip(&seed[1..]).map(|(class, byte)| {
        let alphabet = alphabet(class);
        char::from(alphabet[usize::from(*byte) % alphabet.len()])
    });
    letters.collect()
}

fn length(text: &[u8]) -> [u8; 4] {
    u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// The shapes that a password of a kind may have.
fn templates(kind: &[u8]) -> Option<&'static [&'static str]> {
    Some(match kind {
        b"maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        b"long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        b"medium" => &["CvcnoCvc", "CvcCvcno"],
        b"short" => &["Cvcn"],
        b"basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        b"pin" => &["nnnn"],
        _ => return None,
    })
}

/// The characters that a letter of a template stands for: vowels, consonants, letters, digits, marks, anything.
fn alphabet(class: u8) -> &'static [u8] {
    match class {
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_bcrypt() {
        // A published test vector of OpenBSD's bcrypt has this form; the crate checks ours.
        for password in ["", "secret", &"x".repeat(72), "a\0b"] {
            let hash = bcrypt_with_salt([7; 16], password.as_bytes());
            assert!(hash.starts_with("$2a$10$") && hash.len() == 60, "{hash}");
            if !password.contains('\0') && password.len() < 72 {
                assert_eq!(::bcrypt::verify(password, &hash).ok(), Some(true), "{password:?}");
            }
        }
    }
}
