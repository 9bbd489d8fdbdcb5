//! The event as it is, to any HTTP endpoint; signed on demand.

use crate::call::Call;
use crate::event::Event;
use crate::settings::Settings;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Header with the signature.
const SIGNATURE: &str = "x-signature";

pub(super) fn plain(settings: &Settings, event: &Event) -> Result<Call, String> {
    let mut call =
        Call::json(settings.url("generic")?, event)?.header("gotk-component", &event.reporting_controller)?;
    for (name, value) in &settings.headers {
        call = call.header(name, value)?;
    }
    Ok(call)
}

pub(super) fn signed(settings: &Settings, event: &Event) -> Result<Call, String> {
    if settings.raw_token.is_empty() {
        return Err("HMAC key is empty".to_owned());
    }
    let call = plain(settings, event)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&settings.raw_token)
        .map_err(|_| "the HMAC key cannot be used".to_owned())?;
    mac.update(&call.body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    call.header(SIGNATURE, &signature)
}
