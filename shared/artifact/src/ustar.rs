//! The tar headers that we write: USTAR where it fits, one PAX record set before it where it does not.
//!
//! Written here and not with the `tar` crate because the digest of an artifact depends on each byte: Flux's archives
//! have a checksum field and a name prefix that the crate writes differently.

use std::io::{self, Write};

pub(crate) const BLOCK: usize = 512;

/// Largest size that eleven octal digits hold.
const MAX_OCTAL_SIZE: u64 = 0o77_777_777_777;

/// What kind of entry a header starts.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
}

/// Writes the header of one entry: owner 0, no times.
pub(crate) fn write_header(
    out: &mut impl Write,
    name: &[u8],
    kind: Kind,
    mode: u32,
    size: u64,
) -> io::Result<()> {
    let flag = match kind {
        Kind::File => b'0',
        Kind::Directory => b'5',
    };
    let split = if name.len() <= 100 { Some((&b""[..], name)) } else { split_name(name) };
    match split {
        Some((prefix, base)) if name.is_ascii() && size <= MAX_OCTAL_SIZE => {
            out.write_all(&header(prefix, base, flag, mode, size))
        }
        _ => {
            let mut records = Vec::new();
            if !name.is_ascii() || name.len() > 100 {
                push_record(&mut records, "path", name);
            }
            if size > MAX_OCTAL_SIZE {
                push_record(&mut records, "size", size.to_string().as_bytes());
            }
            let (dir, base) = match name.iter().rposition(|byte| *byte == b'/') {
                Some(at) => name.split_at(at + 1),
                None => (&b""[..], name),
            };
            let pax_name = ascii(&[dir, b"PaxHeaders.0/", base].concat());
            out.write_all(&header(b"", cut(&pax_name), b'x', 0, records.len() as u64))?;
            out.write_all(&records)?;
            write_padding(out, records.len() as u64)?;
            let declared = if size > MAX_OCTAL_SIZE { 0 } else { size };
            out.write_all(&header(b"", cut(&ascii(name)), flag, mode, declared))
        }
    }
}

/// Fills up to a whole block after `size` bytes of content.
pub(crate) fn write_padding(out: &mut impl Write, size: u64) -> io::Result<()> {
    let over = (size % BLOCK as u64) as usize;
    if over == 0 { Ok(()) } else { out.write_all(&[0; BLOCK][over..]) }
}

/// Ends the archive.
pub(crate) fn write_end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

fn header(prefix: &[u8], name: &[u8], flag: u8, mode: u32, size: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    octal(&mut block[100..108], u64::from(mode));
    octal(&mut block[108..116], 0);
    octal(&mut block[116..124], 0);
    octal(&mut block[124..136], size);
    octal(&mut block[136..148], 0);
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    octal(&mut block[329..337], 0);
    octal(&mut block[337..345], 0);
    block[345..345 + prefix.len()].copy_from_slice(prefix);
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut block[148..155], sum);
    block
}

/// Zero-padded octal digits, ended by NUL.
fn octal(field: &mut [u8], mut value: u64) {
    let digits = field.len() - 1;
    field[digits] = 0;
    for digit in field[..digits].iter_mut().rev() {
        *digit = b'0' + (value & 7) as u8;
        value >>= 3;
    }
}

/// Splits a long name at the last `/` that leaves at most 155 bytes before and 1 to 100 after it.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = name.iter().take(156).rposition(|byte| *byte == b'/').filter(|at| *at > 0)?;
    let (prefix, base) = (&name[..at], &name[at + 1..]);
    (1..=100).contains(&base.len()).then_some((prefix, base))
}

/// `<length> <key>=<value>\n`, where the length counts its own digits.
fn push_record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut total = rest + rest.to_string().len();
    if rest + total.to_string().len() != total {
        total = rest + total.to_string().len();
    }
    records.extend_from_slice(format!("{total} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn ascii(name: &[u8]) -> Vec<u8> {
    name.iter().copied().filter(|byte| byte.is_ascii() && *byte != 0).collect()
}

/// The first hundred bytes, not ending in `/`.
fn cut(name: &[u8]) -> &[u8] {
    let mut name = &name[..name.len().min(100)];
    while let Some(shorter) = name.strip_suffix(b"/") {
        name = shorter;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_and_script_are_read_back_by_another_reader() {
        let long_dir = "d".repeat(120);
        let names = [
            "short".to_owned(),
            "x".repeat(100),
            "x".repeat(101),
            format!("{long_dir}/{}", "f".repeat(100)),
            format!("{long_dir}/{}", "f".repeat(101)),
            format!("{}f", "d/".repeat(200)),
            "ünïcödé/文件".to_owned(),
            format!("é{}", "y".repeat(89)), // the record's length has two digits, or three
            format!("é{}", "y".repeat(300)),
        ];
        let mut bytes = Vec::new();
        for name in &names {
            write_header(&mut bytes, name.as_bytes(), Kind::File, 0o600, 1).unwrap();
            bytes.push(b'x');
            write_padding(&mut bytes, 1).unwrap();
        }
        write_end(&mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let read: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap())
            .collect();
        assert_eq!(read, names);
    }
}
