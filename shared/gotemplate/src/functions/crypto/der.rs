//! DER, as much of it as keys and certificates need: values are written from the inside out.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// A value of a tag whose content is the given parts.
pub(super) fn wrap(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut out = vec![tag];
    if length < 0x80 {
        out.push(u8::try_from(length).unwrap_or(0));
    } else {
        let bytes = length.to_be_bytes();
        let used = &bytes[bytes.iter().take_while(|b| **b == 0).count()..];
        out.push(0x80 | u8::try_from(used.len()).unwrap_or(0));
        out.extend_from_slice(used);
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    wrap(SEQUENCE, parts)
}

/// A number that is not negative, from its bytes.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let digits = &bytes[zeros..];
    // A leading zero keeps the number positive.
    let sign: &[u8] = if digits.first().is_none_or(|b| *b >= 0x80) { &[0] } else { &[] };
    wrap(INTEGER, &[sign, digits])
}

/// Whole bytes as a string of bits.
pub(super) fn bits(bytes: &[u8]) -> Vec<u8> {
    wrap(BIT_STRING, &[&[0], bytes])
}

/// An element that is marked with a number instead of being named by its type.
pub(super) fn context(number: u8, parts: &[&[u8]]) -> Vec<u8> {
    wrap(0xa0 | number, parts)
}

pub(super) fn boolean_true() -> Vec<u8> {
    vec![0x01, 1, 0xff]
}

/// An object identifier from its encoded form.
pub(super) fn oid(encoded: &[u8]) -> Vec<u8> {
    wrap(0x06, &[encoded])
}

pub(super) fn null() -> Vec<u8> {
    vec![0x05, 0]
}

/// Splits the first value off: its tag, its content, the rest. None if the text is cut short.
pub(super) fn split(text: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = text.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        let digits = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), &rest[count..])
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_short_as_possible() {
        assert_eq!(wrap(OCTET_STRING, &[&[1, 2]]), [4, 2, 1, 2]);
        assert_eq!(wrap(OCTET_STRING, &[&[0; 200]])[..3], [4, 0x81, 200]);
        assert_eq!(wrap(OCTET_STRING, &[&[0; 300]])[..4], [4, 0x82, 1, 44]);
        assert_eq!(integer(&[0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[]), [2, 1, 0]);
    }

    #[test]
    fn values_cut_short_are_refused() {
        let text = wrap(OCTET_STRING, &[&[7; 300]]);
        assert_eq!(
            split(&text).map(|(tag, content, rest)| (tag, content.len(), rest.len())),
            Some((4, 300, 0))
        );
        for end in 0..text.len() {
            assert_eq!(split(&text[..end]), None, "{end}");
        }
        assert_eq!(split(&[4, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
