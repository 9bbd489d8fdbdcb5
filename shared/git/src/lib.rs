//! Git over HTTP on gix: ls-remote, shallow fetch into a bare mirror, checkout.
