//! The field transformers, one per file.

mod images;
mod labels;
mod names;
mod namespace;
mod replicas;

pub(crate) use images::images;
pub(crate) use labels::{annotations, label_specs, labels};
pub(crate) use names::{Affix, affix};
pub(crate) use namespace::{Subjects, namespace};
pub(crate) use replicas::replicas;
