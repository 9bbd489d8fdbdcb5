//! Who owns which field: server-side apply, updates and patches, as kube-apiserver's structured-merge-diff does them.
//!
//! Pure functions over values. [`apply`] and [`update`] take the live object and give the new one with its
//! `managedFields`; the patches give the new object without looking at ownership.

mod fields;
mod json_patch;
mod last_applied;
mod managed;
mod strategic;
mod typed;

pub(crate) use fields::Set;
pub(crate) use json_patch::{patch_json, patch_merge};
pub(crate) use last_applied::apply;
pub(crate) use managed::{
    ApplyError, Manager, empty_struct, is_count, reset_fields, same_except_times, update,
};
pub(crate) use strategic::{go_print, patch_strategic};

/// Why a patch cannot be applied.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(crate) enum PatchError {
    /// The patch is malformed: status 400 BadRequest.
    #[error("{0}")]
    Malformed(String),
    /// The patch does not fit the object: status 422 Invalid.
    #[error("{0}")]
    Unprocessable(String),
    /// The patch does not fit the schema: status 500, without a reason.
    #[error("{0}")]
    Unfit(String),
}
