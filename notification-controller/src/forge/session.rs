//! Requests to a forge's API.

use crate::call::{Call, shown};
use crate::settings::Settings;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use serde_json::Value;
use url::Url;

/// A client with the headers that authenticate it.
pub(super) struct Session<'a> {
    settings: &'a Settings,
    headers: HeaderMap,
}

impl<'a> Session<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        Self { settings, headers: HeaderMap::new() }
    }

    /// Adds a header to all requests.
    ///
    /// # Errors
    /// A value that no header may hold; it is not repeated.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Result<Self, String> {
        let value = HeaderValue::from_str(value).map_err(|_| {
            format!("the value of the header '{name}' holds characters that no header may hold")
        })?;
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    /// Reads something; null where there is nothing (404).
    pub(super) async fn get(&self, url: Url) -> Result<Value, String> {
        let call = Call::post(url, "application/json", Vec::new());
        match self.exchange(Call { method: Method::GET, ..call }).await? {
            (404, _) => Ok(Value::Null),
            (200..300, body) => {
                serde_json::from_slice(&body).map_err(|err| format!("the answer is not JSON: {err}"))
            }
            (status, body) => Err(format!("{status} - {}", shown(&body))),
        }
    }

    /// Posts something.
    pub(super) async fn post(&self, url: Url, body: &impl Serialize) -> Result<(), String> {
        self.write(Method::POST, url, body).await
    }

    /// Writes something.
    pub(super) async fn write(&self, method: Method, url: Url, body: &impl Serialize) -> Result<(), String> {
        match self.exchange(Call { method, ..Call::json(url, body)? }).await? {
            (200..300, _) => Ok(()),
            (status, body) => Err(format!("{status} - {}", shown(&body))),
        }
    }

    async fn exchange(&self, mut call: Call) -> Result<(u16, Vec<u8>), String> {
        call.headers.extend(self.headers.clone());
        // Forges refuse clients without a name.
        let agent = concat!("sluice/", env!("CARGO_PKG_VERSION"));
        call.headers.insert(http::header::USER_AGENT, HeaderValue::from_static(agent));
        let (status, _, body) = call.exchange(&self.settings.client).await.map_err(|err| err.to_string())?;
        Ok((status.as_u16(), body))
    }
}
