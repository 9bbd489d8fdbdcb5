//! Credentials, which never show in text.

use std::fmt;

use base64::Engine as _;
use reqwest::header::HeaderValue;

use crate::error::{Error, Result};

/// Text that must not be shown: no `Display`, a redacted `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Wraps secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// How to prove who we are to a Git server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Auth {
    /// Anonymous.
    #[default]
    None,
    /// HTTP basic authentication.
    Basic {
        /// The user name.
        username: String,
        /// The password or token.
        password: Secret,
    },
    /// `Authorization: Bearer …`.
    Bearer(Secret),
}

impl Auth {
    /// The header value for these credentials, marked as sensitive.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] when they hold characters that HTTP cannot carry.
    pub(crate) fn header(&self) -> Result<Option<HeaderValue>> {
        let text = match self {
            Auth::None => return Ok(None),
            Auth::Basic { username, password } => {
                let pair = format!("{username}:{}", password.expose());
                format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
            }
            Auth::Bearer(token) => format!("Bearer {}", token.expose().trim()),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| Error::InvalidCredentials {
            detail: "the bearer token holds characters that an HTTP header cannot carry".into(),
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_show_in_debug_text() {
        for auth in [
            Auth::Basic { username: "me".into(), password: Secret::new("hunter2") },
            Auth::Bearer(Secret::new("hunter2")),
        ] {
            let shown = format!("{auth:?} {:?}", auth.header().unwrap());
            assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");
        }
        let error = Auth::Bearer(Secret::new("hunter\n2")).header().unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter"), "{error:?}");
    }
}
