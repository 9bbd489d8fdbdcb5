//! Base 64, base 32 and checksums.

use sha1::Digest as _;

use crate::{Args, Context, Error, Function, Type, Value};

/// The functions of this family.
pub(super) fn functions() -> Vec<Function> {
    vec![
        text("b64enc", |bytes| Ok(base64(bytes).into_bytes())),
        text("b64dec", |bytes| from_base64(bytes).map_err(|at| illegal("base64", at))),
        text("b32enc", |bytes| Ok(encode(bytes, &BASE32).into_bytes())),
        text("b32dec", |bytes| {
            // Here offsets are counted without line breaks.
            let bytes: Vec<u8> = bytes.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
            decode(&bytes, &BASE32).map_err(|at| illegal("base32", at))
        }),
        text("sha1sum", |bytes| Ok(hex::encode(sha1::Sha1::digest(bytes)).into_bytes())),
        text("sha256sum", |bytes| Ok(hex::encode(sha2::Sha256::digest(bytes)).into_bytes())),
        text("sha512sum", |bytes| Ok(hex::encode(sha2::Sha512::digest(bytes)).into_bytes())),
        text("adler32sum", |bytes| Ok(adler32(bytes).to_string().into_bytes())),
    ]
}

/// A function from text to text, whose failure is a text too.
fn text(name: &'static str, change: fn(&[u8]) -> Result<Vec<u8>, String>) -> Function {
    let body = move |cx: &Context<'_>, args: &Args| -> Result<Value, Error> {
        let text = change(args.string(0)?).unwrap_or_else(String::into_bytes);
        cx.charge(text.len())?;
        Ok(Value::string(text))
    };
    Function::new(name, &[Type::String], body)
}

fn illegal(encoding: &str, at: usize) -> String {
    format!("illegal {encoding} data at input byte {at}")
}

/// Base 64 with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    encode(bytes, &BASE64)
}

/// Reads base 64 with padding, as Go does: line breaks are skipped.
///
/// # Errors
/// The offset of the first fault in the input.
pub(super) fn from_base64(text: &[u8]) -> Result<Vec<u8>, usize> {
    decode(text, &BASE64)
}

/// An encoding of some bits per character.
struct Encoding {
    alphabet: &'static [u8],
    bits: u32,
    /// Characters per group, which stand for whole bytes.
    group: usize,
}

const BASE64: Encoding = Encoding {
    alphabet: b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    bits: 6,
    group: 4,
};
const BASE32: Encoding = Encoding { alphabet: b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", bits: 5, group: 8 };

fn encode(bytes: &[u8], encoding: &Encoding) -> String {
    let bytes_per_group = encoding.group * encoding.bits as usize / 8;
    let mut out = String::with_capacity(bytes.len().div_ceil(bytes_per_group) * encoding.group);
    for chunk in bytes.chunks(bytes_per_group) {
        let missing = 8 * (bytes_per_group - chunk.len());
        let value = chunk.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte)) << missing;
        let used = (chunk.len() * 8).div_ceil(encoding.bits as usize);
        for index in 0..encoding.group {
            let shift = encoding.bits as usize * (encoding.group - 1 - index);
            let digit = usize::try_from(value >> shift & ((1 << encoding.bits) - 1)).unwrap_or(0);
            out.push(if index < used { char::from(encoding.alphabet[digit]) } else { '=' });
        }
    }
    out
}

fn decode(text: &[u8], encoding: &Encoding) -> Result<Vec<u8>, usize> {
    let mut digits = [0xff_u8; 256];
    for (value, letter) in (0..).zip(encoding.alphabet) {
        digits[usize::from(*letter)] = value;
    }
    let mut input = text.iter().enumerate().filter(|(_, b)| !matches!(b, b'\r' | b'\n'));
    let mut out = Vec::with_capacity(text.len() * encoding.bits as usize / 8);
    loop {
        let (mut value, mut used) = (0_u64, 0);
        let mut padded = false;
        while used < encoding.group {
            let Some((at, byte)) = input.next() else {
                if used == 0 {
                    return Ok(out);
                }
                return Err(text.len() - used);
            };
            if *byte == b'=' {
                encoding.padding(&mut input, at, used, text.len())?;
                padded = true;
                break;
            }
            let digit = digits[usize::from(*byte)];
            if digit == 0xff {
                return Err(at);
            }
            value = value << encoding.bits | u64::from(digit);
            used += 1;
        }
        let bits = used * encoding.bits as usize;
        let whole = bits / 8;
        let value = value >> (bits % 8);
        out.extend_from_slice(&value.to_be_bytes()[8 - whole..]);
        if padded {
            return Ok(out);
        }
    }
}

impl Encoding {
    /// Checks the padding whose first character is at `at`. The offsets of faults are Go's, some of them one short.
    fn padding<'a>(
        &self,
        input: &mut impl Iterator<Item = (usize, &'a u8)>,
        at: usize,
        used: usize,
        length: usize,
    ) -> Result<(), usize> {
        let more = self.group - used.min(self.group) - 1;
        if used < 2 || (self.group == 8 && length - at > 8) {
            return Err(at);
        }
        if self.group == 8 && length - at <= more {
            return Err(length);
        }
        for _ in 0..more {
            match input.next() {
                Some((_, b'=')) => {}
                Some((next, _)) => return Err(next - 1),
                None => return Err(length),
            }
        }
        if self.group == 8 {
            return if matches!(used, 3 | 6) { Err(at) } else { Ok(()) };
        }
        input.next().map_or(Ok(()), |(next, _)| Err(next))
    }
}

fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (mut a, mut b) = (1_u32, 0_u32);
    // So many additions cannot overflow.
    for chunk in bytes.chunks(5552) {
        for byte in chunk {
            a += u32::from(*byte);
            b += a;
        }
        a %= MODULUS;
        b %= MODULUS;
    }
    b << 16 | a
}
