//! Git's requests over the async client: what `gix` asks of an HTTP implementation.
//!
//! No thread stands between: a request is sent when `gix` first reads its answer, and each read drives the connection until bytes
//! arrive or the limit is reached.

use std::{
    any::Any,
    io::{self, BufRead, Cursor, Read, Write},
    sync::Arc,
};

use gix_transport::client::blocking_io::http::{GetResponse, Http, PostBodyDataKind, PostResponse};
use parking_lot::Mutex;
use reqwest::{
    Method, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION},
};
use url::Url;

use super::client::network;
use crate::{
    error::{Error, Result},
    http::HttpClient,
    limit::Limit,
    url::SafeUrl,
};

const MAX_REDIRECTS: usize = 5;
/// How much of an error answer is kept.
const MAX_SAID: usize = 200;

/// The first failure of a session. `gix` wraps and flattens errors, so the typed one travels here.
#[derive(Clone, Default)]
pub(crate) struct Failure(Arc<Mutex<Option<Error>>>);

impl Failure {
    fn set(&self, error: Error) {
        self.0.lock().get_or_insert(error);
    }

    /// Takes the failure out, if there was one.
    pub(crate) fn take(&self) -> Option<Error> {
        self.0.lock().take()
    }
}

/// Git's HTTP requests to one repository.
pub(crate) struct GitHttp {
    peer: Peer,
    redirected: Option<String>,
}

/// What every request of a session shares.
#[derive(Clone)]
struct Peer {
    http: HttpClient,
    /// The address that the credentials are for, without user information.
    repository: SafeUrl,
    authorization: Option<HeaderValue>,
    limit: Limit,
    failure: Failure,
    budget: Arc<Mutex<Budget>>,
}

/// Bytes that the server may still send.
struct Budget {
    left: u64,
    limit: u64,
}

impl GitHttp {
    /// Requests to `repository`, which may answer with up to `max_bytes` in all.
    pub(crate) fn new(
        http: HttpClient,
        repository: SafeUrl,
        authorization: Option<HeaderValue>,
        limit: Limit,
        max_bytes: u64,
    ) -> (Self, Failure) {
        let failure = Failure::default();
        let budget = Arc::new(Mutex::new(Budget { left: max_bytes, limit: max_bytes }));
        let peer = Peer { http, repository, authorization, limit, failure: failure.clone(), budget };
        (Self { peer, redirected: None }, failure)
    }
}

impl Http for GitHttp {
    type Headers = Headers;
    type ResponseBody = Body;
    type PostBody = PostBody;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Headers, Body>> {
        let tail = url.strip_prefix(base_url).unwrap_or_default();
        let headers = header_map(headers);
        let (response, effective) =
            self.peer.get(url, tail, &headers).map_err(|error| self.peer.fail(error))?;
        if effective != base_url {
            self.redirected = Some(effective);
        }
        let answer = Answer::received(self.peer.clone(), response);
        Ok(GetResponse { headers: Headers::new(&answer), body: Body::new(&answer) })
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Headers, Body, PostBody>> {
        let answer = Answer::pending(self.peer.clone(), url.to_owned(), header_map(headers));
        Ok(PostResponse {
            post_body: PostBody(answer.clone()),
            headers: Headers::new(&answer),
            body: Body::new(&answer),
        })
    }

    fn configure(&mut self, _config: &dyn Any) -> gix::Result {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.redirected.clone()
    }
}

impl Peer {
    /// Sends a GET and follows redirects that keep `tail`. Returns the answer and the base address it came from.
    fn get(&self, url: &str, tail: &str, headers: &HeaderMap) -> Result<(Response, String)> {
        let mut target = Url::parse(url).map_err(|cause| Error::InvalidUrl {
            url: self.repository.to_string(),
            detail: cause.to_string(),
        })?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(Method::GET, target.clone(), headers.clone(), Vec::new())?;
            if !response.status().is_redirection() {
                let response = self.accept(response)?;
                let base = target.as_str().strip_suffix(tail).unwrap_or(target.as_str()).to_owned();
                return Ok((response, base));
            }
            target = self.redirect(&target, &response, tail)?;
        }
        Err(self.refused_redirect(&target, "there are too many redirects"))
    }

    fn redirect(&self, from: &Url, response: &Response, tail: &str) -> Result<Url> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let Some(target) = location.and_then(|location| from.join(location).ok()) else {
            return Err(Error::Server {
                url: self.repository.clone(),
                status: response.status().as_u16(),
                detail: "the redirect names no address".into(),
            });
        };
        match (from.scheme(), target.scheme()) {
            ("https", "https") | ("http", "http" | "https") => {}
            ("https", "http") => return Err(self.refused_redirect(&target, "it leads from https to http")),
            _ => return Err(self.refused_redirect(&target, "it leads to another scheme")),
        }
        if !target.as_str().ends_with(tail) {
            return Err(self.refused_redirect(&target, "it is not the same Git resource"));
        }
        Ok(target)
    }

    fn refused_redirect(&self, target: &Url, why: &'static str) -> Error {
        // A redirect target may carry a token in user information or query: only the place is shown.
        let mut shown = target.clone();
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        shown.set_query(None);
        Error::Redirect { url: self.repository.clone(), target: shown.to_string(), why }
    }

    fn send(&self, method: Method, url: Url, mut headers: HeaderMap, body: Vec<u8>) -> Result<Response> {
        if let Some(authorization) = &self.authorization
            && self.repository.shares_credentials_with(&url)
        {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let request = self.http.client().request(method, url).headers(headers).body(body);
        self.limit
            .block_on(self.http.runtime(), &format!("waiting for '{}'", self.repository), request.send())?
            .map_err(|error| network(&self.repository, error))
    }

    /// Turns an HTTP error status into an error.
    fn accept(&self, response: Response) -> Result<Response> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let url = self.repository.clone();
        let detail = self.said(response);
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Error::Unauthenticated { url, status: status.as_u16(), detail }
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Error::RepositoryNotFound { url, detail },
            _ => Error::Server { url, status: status.as_u16(), detail },
        })
    }

    /// The first line of a plain-text answer.
    fn said(&self, mut response: Response) -> String {
        let plain = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("text/plain"));
        if !plain {
            return String::new();
        }
        let read = self.limit.block_on(self.http.runtime(), "reading an error", response.chunk());
        let Ok(Ok(Some(chunk))) = read else { return String::new() };
        let text = String::from_utf8_lossy(&chunk[..chunk.len().min(MAX_SAID)]).into_owned();
        text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
    }

    /// Remembers `error` and returns what `gix` passes on.
    fn fail(&self, error: Error) -> gix::Error {
        let text = error.to_string();
        self.failure.set(error);
        gix::Error::from_error(io::Error::other(text))
    }

    fn fail_io(&self, error: Error) -> io::Error {
        let text = error.to_string();
        self.failure.set(error);
        io::Error::other(text)
    }
}

/// A request that is not sent yet, or its answer. Headers and body of one answer share it.
#[derive(Clone)]
struct Answer(Arc<Mutex<State>>);

struct State {
    peer: Peer,
    request: Option<Request>,
    headers: Vec<u8>,
    response: Option<Response>,
}

struct Request {
    url: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn pending(peer: Peer, url: String, headers: HeaderMap) -> Self {
        let request = Some(Request { url, headers, body: Vec::new() });
        Self(Arc::new(Mutex::new(State { peer, request, headers: Vec::new(), response: None })))
    }

    fn received(peer: Peer, response: Response) -> Self {
        let headers = header_lines(&response);
        Self(Arc::new(Mutex::new(State { peer, request: None, headers, response: Some(response) })))
    }
}

impl State {
    /// Sends the request, if that has not happened.
    fn sent(&mut self) -> io::Result<()> {
        let Some(Request { url, headers, body }) = self.request.take() else { return Ok(()) };
        let target = Url::parse(&url).map_err(io::Error::other)?;
        let response = self
            .peer
            .send(Method::POST, target.clone(), headers, body)
            .and_then(|response| {
                if response.status().is_redirection() {
                    return Err(self
                        .peer
                        .refused_redirect(&target, "only the first request may be redirected"));
                }
                self.peer.accept(response)
            })
            .map_err(|error| self.peer.fail_io(error))?;
        self.headers = header_lines(&response);
        self.response = Some(response);
        Ok(())
    }

    /// The next bytes of the body; empty at its end.
    fn chunk(&mut self) -> io::Result<Vec<u8>> {
        self.sent()?;
        let Some(response) = &mut self.response else { return Ok(Vec::new()) };
        let peer = &self.peer;
        let doing = format!("receiving from '{}'", peer.repository);
        let chunk = peer
            .limit
            .block_on(peer.http.runtime(), &doing, response.chunk())
            .and_then(|read| read.map_err(|error| network(&peer.repository, error)))
            .map_err(|error| peer.fail_io(error))?;
        let Some(chunk) = chunk else {
            self.response = None;
            return Ok(Vec::new());
        };
        {
            let mut budget = peer.budget.lock();
            match budget.left.checked_sub(chunk.len() as u64) {
                Some(left) => budget.left = left,
                None => {
                    let limit = budget.limit;
                    return Err(peer.fail_io(Error::TooLarge { url: peer.repository.clone(), limit }));
                }
            }
        }
        Ok(chunk.into())
    }
}

/// The header lines of an answer.
pub(crate) struct Headers {
    answer: Answer,
    lines: Option<Cursor<Vec<u8>>>,
}

impl Headers {
    fn new(answer: &Answer) -> Self {
        Self { answer: answer.clone(), lines: None }
    }

    fn lines(&mut self) -> io::Result<&mut Cursor<Vec<u8>>> {
        if self.lines.is_none() {
            let mut state = self.answer.0.lock();
            state.sent()?;
            self.lines = Some(Cursor::new(std::mem::take(&mut state.headers)));
        }
        self.lines.as_mut().ok_or_else(|| io::Error::other("no headers"))
    }
}

impl Read for Headers {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.lines()?.read(buf)
    }
}

impl BufRead for Headers {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.lines()?.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Some(lines) = &mut self.lines {
            lines.consume(amount);
        }
    }
}

/// The body of an answer, as a stream.
pub(crate) struct Body {
    answer: Answer,
    chunk: Cursor<Vec<u8>>,
}

impl Body {
    fn new(answer: &Answer) -> Self {
        Self { answer: answer.clone(), chunk: Cursor::default() }
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.fill_buf()?;
        self.chunk.read(buf)
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.position() as usize >= self.chunk.get_ref().len() {
            self.chunk = Cursor::new(self.answer.0.lock().chunk()?);
        }
        self.chunk.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.consume(amount);
    }
}

/// Collects the body of a request; it is small, since it holds wants and haves.
pub(crate) struct PostBody(Answer);

impl Write for PostBody {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0.0.lock().request {
            Some(request) => request.body.extend_from_slice(bytes),
            None => return Err(io::Error::other("the request was sent already")),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn header_map(lines: impl IntoIterator<Item = impl AsRef<str>>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in lines {
        if let Some((name, value)) = line.as_ref().split_once(':')
            && let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name.trim()), HeaderValue::try_from(value.trim()))
        {
            map.append(name, value);
        }
    }
    map
}

fn header_lines(response: &Response) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in response.headers() {
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(value.as_bytes());
        lines.push(b'\n');
    }
    lines
}
