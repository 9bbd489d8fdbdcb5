//! Kinds that are accepted but not built yet: they say so, and nothing is retried.

use sluice_api::source::Bucket;
use std::marker::PhantomData;

use crate::kind::{Failure, Produced, SourceKind, Stop};
use crate::object::SourceObject;
use crate::work::Work;

/// A kind without an implementation.
#[derive(Debug, Default)]
pub struct Unbuilt<O>(PhantomData<fn() -> O>);

impl<O> Unbuilt<O> {
    /// For the objects of that kind.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

macro_rules! unbuilt {
    ($($kind:ty),+) => { $(
        impl SourceKind for Unbuilt<$kind> {
            type Object = $kind;

            async fn produce(&self, _: &mut Work<$kind>) -> Result<Produced, Stop> {
                Err(not_built::<$kind>().stall())
            }
        }
    )+ };
}

unbuilt!(Bucket);

fn not_built<O: SourceObject>() -> Failure {
    Failure::fetch(
        "UnsupportedSourceKind",
        format!(
            "{} is not supported by this version of Sluice yet: use a GitRepository or an OCIRepository",
            O::kind(&())
        ),
    )
}
