//! Where the artifacts of an object lie, and how clients reach them.

/// The object that artifacts belong to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    kind: String,
    namespace: String,
    name: String,
}

impl Location {
    /// The place of an object's artifacts; the kind is written in lower case.
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: kind.to_lowercase(), namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// `<kind>/<namespace>/<name>`, relative to the root of the store.
    pub fn dir(&self) -> String {
        format!("{}/{}/{}", self.kind, self.namespace, self.name)
    }

    /// `<kind>/<namespace>/<name>/<file>`, relative to the root of the store.
    pub fn file(&self, file: &str) -> String {
        format!("{}/{file}", self.dir())
    }
}

/// The address under which clients reach the file server, e.g. `http://source-controller.flux-system.svc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised(String);

impl Advertised {
    /// From `--storage-adv-addr`, or where that is empty from the address that the server binds, as Flux derives it:
    /// no host means `localhost`, and `0.0.0.0` means `hostname`.
    pub fn new(advertised: &str, bind: &str, hostname: &str) -> Self {
        let address = match advertised {
            "" => match bind.rsplit_once(':') {
                Some(("", port)) => format!("localhost:{port}"),
                Some(("0.0.0.0" | "[::]", port)) => format!("{hostname}:{port}"),
                _ => bind.to_owned(),
            },
            given => given.trim_end_matches('/').to_owned(),
        };
        let has_scheme = address.starts_with("http://") || address.starts_with("https://");
        Self(if has_scheme { address } else { format!("http://{address}") })
    }

    /// The URL of a path in the store.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.0)
    }

    /// The same path on this address; `url` comes from an earlier run with perhaps another address.
    ///
    /// A text that is not a URL with a path is returned unchanged.
    pub fn rehost(&self, url: &str) -> String {
        match url.split_once("://").and_then(|(_, rest)| rest.split_once('/')) {
            Some((_, path)) => self.url(path),
            None => url.to_owned(),
        }
    }
}
