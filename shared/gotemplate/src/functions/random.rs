//! Random texts, numbers and identifiers, from a secure source.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use rand::{
    Rng as _, RngExt as _, SeedableRng as _,
    rngs::{StdRng, ThreadRng},
};

use super::{
    encode::base64,
    fail,
    runes::{push, runes},
};
use crate::{Context, Function, Type, Value};

const INT: &[Type] = &[Type::Int];

/// The functions of this family.
pub(super) fn functions(source: &Source) -> Vec<Function> {
    let text = |name, accept: fn(&u8) -> bool| {
        let (source, alphabet) = (source.clone(), (b' '..=b'~').filter(accept).collect::<Vec<u8>>());
        Function::new(name, INT, move |cx, args| {
            // Sprig's functions give nothing for a count that makes no sense.
            let count = usize::try_from(args.int(0)?).unwrap_or(0);
            cx.charge(count)?;
            let mut rng = source.rng(cx);
            let letters = (0..count).map(|_| alphabet[rng.random_range(0..alphabet.len())]);
            Ok(Value::string(letters.collect::<Vec<u8>>()))
        })
    };
    let (ints, bytes, ids, shuffles) = (source.clone(), source.clone(), source.clone(), source.clone());
    vec![
        text("randAlpha", u8::is_ascii_alphabetic),
        text("randNumeric", u8::is_ascii_digit),
        text("randAlphaNum", u8::is_ascii_alphanumeric),
        text("randAscii", |_| true),
        Function::new("randBytes", INT, move |cx, args| {
            let count = usize::try_from(args.int(0)?)
                .map_err(|_| fail("runtime error: makeslice: len out of range"))?;
            cx.charge(count.saturating_mul(2))?;
            let mut buffer = vec![0; count];
            bytes.rng(cx).fill_bytes(&mut buffer);
            Ok(Value::from(base64(&buffer)))
        }),
        Function::new("randInt", &[Type::Int, Type::Int], move |cx, args| {
            let (min, span) = (args.int(0)?, args.int(1)?.wrapping_sub(args.int(0)?));
            if span <= 0 {
                return Err(fail("invalid argument to Intn"));
            }
            Ok(Value::Int(min.wrapping_add(ints.rng(cx).random_range(0..span))))
        }),
        Function::new("uuidv4", &[], move |cx, _| {
            let mut bytes = [0; 16];
            ids.rng(cx).fill_bytes(&mut bytes);
            Ok(Value::from(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()))
        }),
        Function::new("shuffle", &[Type::String], move |cx, args| {
            let mut chars: Vec<char> = runes(args.string(0)?).map(|(c, _)| c).collect();
            let mut rng = shuffles.rng(cx);
            for end in (1..chars.len()).rev() {
                chars.swap(end, rng.random_range(0..=end));
            }
            let mut out = Vec::new();
            chars.into_iter().for_each(|c| push(&mut out, c));
            cx.charge(out.len())?;
            Ok(Value::string(out))
        }),
    ]
}

/// Where random numbers come from.
///
/// With a seed in the options ([`crate::Options::seed`]) the calls of one set of functions give the same numbers in the
/// same order in every process.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    calls: Arc<AtomicU64>,
}

impl Source {
    /// The numbers for one call.
    pub(super) fn rng(&self, cx: &Context<'_>) -> Generator {
        match cx.options().seed {
            None => Generator::Secure(rand::rng()),
            Some(seed) => {
                let call = self.calls.fetch_add(1, Ordering::Relaxed);
                Generator::Seeded(Box::new(StdRng::seed_from_u64(seed.wrapping_add(call))))
            }
        }
    }
}

/// A generator of random numbers.
pub(super) enum Generator {
    /// Fed by the system; nobody can guess what comes.
    Secure(ThreadRng),
    /// For tests.
    Seeded(Box<StdRng>),
}

impl rand::TryRng for Generator {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        match self {
            Self::Secure(rng) => rng.try_next_u32(),
            Self::Seeded(rng) => rng.try_next_u32(),
        }
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        match self {
            Self::Secure(rng) => rng.try_next_u64(),
            Self::Seeded(rng) => rng.try_next_u64(),
        }
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
        match self {
            Self::Secure(rng) => rng.try_fill_bytes(to),
            Self::Seeded(rng) => rng.try_fill_bytes(to),
        }
    }
}

impl rand::TryCryptoRng for Generator {}
