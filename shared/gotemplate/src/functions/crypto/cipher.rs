//! AES-256-CBC as Sprig's `encryptAES` and `decryptAES` use it. It hides texts but does not protect them from change.

use aes::Aes256;
use cbc::cipher::{
    BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _,
    block_padding::{NoPadding, Pkcs7},
};
use rand::Rng as _;

use crate::functions::{
    encode::{base64, from_base64},
    random::Generator,
};

const BLOCK: usize = 16;

/// Encrypts a text: base 64 of a random start value and the padded text. An empty text stays empty.
pub(super) fn encrypt(rng: &mut Generator, password: &[u8], text: &[u8]) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut start = [0; BLOCK];
    rng.fill_bytes(&mut start);
    let body =
        cbc::Encryptor::<Aes256>::new(&key(password).into(), &start.into()).encrypt_padded_vec::<Pkcs7>(text);
    base64(&[start.as_slice(), &body].concat())
}

/// Decrypts what [`encrypt`] has made.
///
/// # Errors
/// Go's texts for what is no base 64 or too short, and for a wrong password (which is found only by chance).
pub(super) fn decrypt(password: &[u8], text: &[u8]) -> Result<Vec<u8>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let data = from_base64(text).map_err(|at| format!("illegal base64 data at input byte {at}"))?;
    let Some((start, body)) = data.split_first_chunk::<BLOCK>() else {
        let capacity = text.len() / 4 * 3;
        return Err(format!("runtime error: slice bounds out of range [:{BLOCK}] with capacity {capacity}"));
    };
    if body.is_empty() {
        return Err("runtime error: index out of range [-1]".to_owned());
    }
    let mut plain = cbc::Decryptor::<Aes256>::new(&key(password).into(), start.into())
        .decrypt_padded_vec::<NoPadding>(body)
        .map_err(|_| "crypto/cipher: input not full blocks".to_owned())?;
    let padding = plain.last().copied().map_or(0, usize::from);
    let Some(length) = plain.len().checked_sub(padding) else {
        let beyond = padding - plain.len();
        return Err(format!("runtime error: slice bounds out of range [:-{beyond}]"));
    };
    plain.truncate(length);
    Ok(plain)
}

/// The first 32 bytes of the password, filled up with zeros.
fn key(password: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(password) {
        *to = *from;
    }
    key
}
