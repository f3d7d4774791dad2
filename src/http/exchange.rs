//! One attempt at a request: sending it, following redirects and reading the response.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use reqwest::Response;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue, LOCATION};
use url::Url;

use super::body::{self, SendState};
use super::retry::{Cause, Failure, requested_wait};
use super::{Client, Config, HeaderMap, Method, Reply, Request, answer, content, transport, without_user};
use crate::error::{Error, Kind, Result, word};
use crate::progress::Progress;
use crate::secret::Secret;

/// Maximum number of redirects.
const REDIRECTS: usize = 10;
/// Maximum number of bytes to read from an error body.
const ERROR_BODY: usize = 64 * 1024;
/// Maximum size of a response in memory, in bytes.
const REPLY_BODY: usize = 64 * 1024 * 1024;

/// One attempt at a request.
pub(super) struct Attempt<'a> {
    client: &'a Client,
    request: &'a Request,
    progress: &'a Arc<dyn Progress>,
    number: u32,
    url: Url,
    /// Whether the attempt uses the connection pool for file content.
    bulk: bool,
    /// The state of the current hop.
    state: Mutex<Arc<SendState>>,
}

/// The current URL of an attempt, which redirects can change.
struct Hop {
    url: Url,
    /// Whether all redirects have stayed on the original origin.
    home: bool,
}

/// A response whose body has not been read yet.
struct Answer {
    response: Response,
    /// The URL that sent the response.
    url: Url,
    /// Whether the request was allowed to contain the token.
    trusted: bool,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
        client: &'a Client,
        request: &'a Request,
        progress: &'a Arc<dyn Progress>,
        number: u32,
        content: bool,
    ) -> Self {
        Self {
            client,
            request,
            progress,
            number,
            url: request.full_url(),
            bulk: content || request.bulk || request.body.has_file(),
            state: Mutex::new(SendState::new(&request.body)),
        }
    }

    /// Makes the attempt and reads the response.
    pub(super) async fn reply(&self) -> Result<Reply, Failure> {
        self.in_time(async {
            let answer = self.exchange(false).await?;
            let status = answer.response.status();
            if status.is_success() || self.request.expects == Some(status.as_u16()) {
                self.whole(answer).await
            } else {
                Err(self.refusal(answer).await)
            }
        })
        .await
    }

    /// Makes the attempt and opens the content of the response. Returns `None` if the response does not continue the
    /// range.
    pub(super) async fn content(&self) -> Result<Option<super::ContentStream>, Failure> {
        let range = self.request.range.as_ref();
        self.in_time(async {
            let answer = self.exchange(true).await?;
            let status = answer.response.status();
            if let Some(range) = range.filter(|_| status.as_u16() == 416) {
                let headers = answer.response.headers();
                let complete = content::is_complete(range, headers);
                return Ok(complete.then(|| content::nothing_left(range, headers)));
            }
            if !status.is_success() {
                return Err(self.refusal(answer).await);
            }
            content::of_response(self.config(), range, answer.response).map_err(Failure::end)
        })
        .await
    }

    fn config(&self) -> &'a Config {
        &self.client.inner.config
    }

    fn state(&self) -> Arc<SendState> {
        Arc::clone(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts a hop with its own state.
    fn restart(&self) {
        let next = SendState::new(&self.request.body);
        let before = std::mem::replace(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner), next);
        before.abandon();
    }

    /// Applies the time limit: to the whole attempt if the request is small, or to stalled and slow periods if it is
    /// a transfer.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let limit = self.config().timeout;
        let silence = async {
            if !self.bulk {
                return tokio::time::sleep(limit).await;
            }
            loop {
                let left = self.state().left(limit);
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left).await;
            }
        };
        tokio::select! {
            biased;
            result = work => result,
            () = silence => {
                self.config().trace.attempt(&self.request.method, &self.url, self.number, limit, None);
                let state = self.state();
                let (received, complete) = (state.has_received(), state.is_complete());
                Err(answer::silence(self.config(), &self.url, limit, received, complete))
            }
        }
    }

    /// Sends the request and follows redirects.
    async fn exchange(&self, content: bool) -> Result<Answer, Failure> {
        let mut hop = Hop { url: self.url.clone(), home: true };
        let mut seen = vec![hop.url.clone()];
        loop {
            let request = self.build(&hop, content).map_err(Failure::end)?;
            let response = self.execute(&hop.url, request).await?;
            let is_expected = self.request.expects == Some(response.status().as_u16());
            let Some(next) = redirect(&hop.url, &response).filter(|_| !is_expected) else {
                return Ok(Answer { response, trusted: hop.home && self.is_own(&hop.url), url: hop.url });
            };
            let status = response.status().as_u16();
            let next = next.and_then(|next| self.may_follow(&hop.url, next, status, &seen));
            let next = next.map_err(|error| Failure::end(error.with_status(status)))?;
            // Reading to the end allows the connection to be reused.
            let _ = read_up_to(response, ERROR_BODY, &self.state()).await;
            self.restart();
            hop = Hop { home: hop.home && next.origin() == hop.url.origin(), url: next.clone() };
            seen.push(next);
        }
    }

    /// Decides whether to follow a redirect. A request other than GET is sent again only to the same origin and only
    /// if the status preserves its method and body.
    fn may_follow(&self, from: &Url, next: Url, status: u16, seen: &[Url]) -> Result<Url> {
        let platform = self.config().platform;
        let place = bare(&next);
        let refuse = |why: &str| Err(Error::platform(format!("{platform} redirects to {place}{why}")));
        let is_same = matches!(status, 307 | 308) && next.origin() == from.origin();
        if self.request.method != Method::GET && !is_same {
            let why = format!("; haul does not follow redirects of {} requests", self.request.method);
            let base = self.config().own.iter().find_map(|base| moved_base(base, from, &next));
            return refuse(&why).map_err(|error| match base {
                Some(base) => {
                    error.hint(format!("if this is the platform's new address: `--base-url {}`", word(&base)))
                }
                None => error,
            });
        }
        if !matches!(next.scheme(), "http" | "https") {
            return refuse(", which is not an http or https URL");
        }
        if from.scheme() == "https" && next.scheme() == "http" {
            return refuse(", which is not a secure URL");
        }
        if seen.contains(&next) {
            return refuse(" in a loop");
        }
        if seen.len() > REDIRECTS {
            return refuse(&format!(", after {REDIRECTS} other redirects"));
        }
        Ok(next)
    }

    fn is_own(&self, url: &Url) -> bool {
        !self.request.anonymous && self.client.is_own(url)
    }

    /// The transport's request for one hop, with an opened body.
    fn build(&self, hop: &Hop, content: bool) -> Result<reqwest::Request> {
        let trusted = hop.home && self.is_own(&hop.url);
        let mut built = head(self.config(), self.request, &hop.url, hop.home, trusted)?;
        if content {
            // Ranges and checksums refer to the uncompressed bytes.
            built.headers_mut().insert("accept-encoding", HeaderValue::from_static("identity"));
        }
        let body = &self.request.body;
        if !body.is_empty() {
            let active = &self.client.inner.active_bodies;
            *built.body_mut() = Some(body::open(body, &self.state(), self.progress, active)?);
        }
        Ok(built)
    }

    async fn execute(&self, url: &Url, request: reqwest::Request) -> Result<Response, Failure> {
        let config = self.config();
        let pool = self.client.inner.transport.pool(url, self.bulk, config).map_err(Failure::end)?;
        config.trace.headers("sent", request.headers(), config.token.as_ref());
        let begun = Instant::now();
        let result = pool.execute(request).await;
        let status = result.as_ref().ok().map(|response| response.status().as_u16());
        config.trace.attempt(&self.request.method, url, self.number, begun.elapsed(), status);
        let state = self.state();
        state.next_phase();
        if let Some(problem) = state.problem() {
            return Err(Failure::end(problem));
        }
        let response = result.map_err(|error| answer::failure_of(config, url, error, state.is_complete()))?;
        if self.is_own(url) {
            self.client.note_date(response.headers());
        }
        config.trace.headers("received", response.headers(), config.token.as_ref());
        Ok(response)
    }

    /// Reads the body of a successful response.
    async fn whole(&self, answer: Answer) -> Result<Reply, Failure> {
        let config = self.config();
        let (status, headers) = (answer.response.status().as_u16(), answer.response.headers().clone());
        let request_id = answer::request_id(config.request_ids, &headers);
        let with_answer = |error: Error| error.with_status(status).with_request_id(request_id.clone());
        let state = self.state();
        if !state.is_complete() {
            let message =
                format!("{} returned {status} before it received the whole request", config.platform);
            let error = with_answer(Error::platform(message));
            return Err(Failure::end(if self.request.repeatable { error } else { error.unanswered() }));
        }
        match read_up_to(answer.response, REPLY_BODY, &state).await {
            Ok((body, true)) => Ok(Reply { status, headers, body: body.into(), request_id }),
            Ok((_, false)) => {
                let limit = REPLY_BODY / 1024 / 1024;
                let error =
                    Error::platform(format!("{} sent a response larger than {limit} MiB", config.platform));
                Err(Failure::end(with_answer(error)))
            }
            Err((_, error)) if answer::is_nonsense(&error) => {
                let message = format!("{} sent an invalid response", config.platform);
                let error = with_answer(Error::platform(message).caused_by(error.without_url()));
                // The request succeeded, so sending it again could carry it out twice.
                Err(Failure::end(if self.request.repeatable { error } else { error.unanswered() }))
            }
            Err((_, error)) => {
                let mut failure = answer::failure_of(config, &self.url, error, true);
                failure.error = failure.error.with_request_id(request_id);
                Err(failure)
            }
        }
    }

    /// The failure for an error response.
    async fn refusal(&self, answer: Answer) -> Failure {
        let (status, headers) = (answer.response.status().as_u16(), answer.response.headers().clone());
        // The status is enough: if the body is incomplete, only the message is missing.
        let state = self.state();
        let reading = read_up_to(answer.response, ERROR_BODY, &state);
        let body = match tokio::time::timeout(self.config().timeout, reading).await {
            Ok(Ok((body, _)) | Err((body, _))) => body,
            Err(_) => Vec::new(),
        };
        let request_id = answer::request_id(self.config().request_ids, &headers);
        let reply = Reply { status, headers, body: body.into(), request_id };
        let sender = match (answer.trusted, self.client.is_own(&answer.url)) {
            (true, _) => answer::Sender::Platform,
            (false, true) => answer::Sender::Link,
            (false, false) => answer::Sender::Host(&answer.url),
        };
        let (error, is_final) = answer::error_of(self.config(), &reply, sender);
        Failure {
            error,
            cause: if is_final { Cause::Final } else { Cause::Status(status) },
            fully_sent: state.is_complete(),
            wait: requested_wait(status, &reply.headers),
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.state().abandon();
    }
}

/// Reads up to `limit` bytes of a body and returns whether it is complete. An error includes the bytes read before it
/// occurred.
async fn read_up_to(
    mut response: Response,
    limit: usize,
    state: &SendState,
) -> Result<(Vec<u8>, bool), (Vec<u8>, reqwest::Error)> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok((body, true)),
            Ok(Some(bytes)) => {
                state.received(bytes.len());
                let room = limit - body.len();
                body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                if bytes.len() > room {
                    return Ok((body, false));
                }
            }
            Err(error) => return Err((body, error)),
        }
    }
}

/// The target of a redirect. Returns `None` if the response is not a redirect.
fn redirect(from: &Url, response: &Response) -> Option<Result<Url>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    let target = std::str::from_utf8(location.as_bytes()).ok().and_then(|text| from.join(text).ok());
    let target = target.map(without_user);
    Some(target.ok_or_else(|| Error::platform(format!("{} redirects to an invalid URL", bare(from)))))
}

/// The new base URL, if a redirect changes only the part of the URL that belongs to the base.
fn moved_base(base: &Url, from: &Url, next: &Url) -> Option<String> {
    let own = base.path().strip_suffix('/').unwrap_or(base.path());
    let rest = from.path().strip_prefix(own).filter(|_| base.origin() == from.origin())?;
    let moved = next.path().strip_suffix(rest)?;
    (next.has_host() && !rest.is_empty()).then(|| format!("{}{moved}", answer::origin(next)))
}

/// The transport's request without its body. `home` means that no redirect has left the original origin, and
/// `trusted` that the request may contain the token.
fn head(
    config: &Config,
    request: &Request,
    url: &Url,
    home: bool,
    trusted: bool,
) -> Result<reqwest::Request> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::usage(format!("{} is not an http or https URL", bare(url))));
    }
    let mut built = reqwest::Request::new(request.method.clone(), url.clone());
    let headers = built.headers_mut();
    if request.signed {
        let is_bearer =
            |(name, value): &(_, String)| *name == "authorization" && value.starts_with("Bearer ");
        if request.headers.iter().any(is_bearer) {
            guard_plain(config, url)?;
        }
    } else if trusted {
        if let Some(token) = &config.token {
            guard_plain(config, url)?;
            let (name, value) = credential(config, token)?;
            headers.insert(name, value);
        } else if !transport::is_loopback(url) {
            // The platform would reject the request, but an emulator on this machine may not need a token.
            let error = Error::new(Kind::Auth, format!("no token for {}", config.platform));
            return Err(config.token_hints.iter().fold(error, |error, hint| error.hint(hint.clone())));
        }
    }
    for (name, value) in request.all_headers() {
        // Headers meant for one origin are not sent to another.
        let is_general = ["range", "if-range", "content-length", "content-type"].contains(&name.as_ref());
        if home || is_general {
            set(headers, &name, &value)?;
        }
    }
    Ok(built)
}

/// The header with the token.
fn credential(config: &Config, token: &Secret) -> Result<(HeaderName, HeaderValue)> {
    let (name, text) = match &config.auth_header {
        None => (AUTHORIZATION, format!("Bearer {}", token.expose())),
        Some(header) => {
            let name = HeaderName::try_from(header)
                .map_err(|_| Error::usage(format!("auth_header: invalid header name {header:?}")))?;
            (name, token.expose().to_owned())
        }
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        let error = Error::new(Kind::Auth, "the token contains invalid characters");
        config.token_hints.iter().fold(error, |error, hint| error.hint(hint.clone()))
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn guard_plain(config: &Config, url: &Url) -> Result<()> {
    if url.scheme() != "http" || config.insecure_http || transport::is_loopback(url) {
        return Ok(());
    }
    let place = answer::origin(url);
    Err(Error::usage(format!("{place} is not secure: the token would be sent unencrypted"))
        .hint("use a base URL that starts with https://")
        .hint("to send it anyway: `--insecure-http`"))
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) -> Result<()> {
    let known = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
    let (name, value) = known.ok_or_else(|| Error::usage(format!("invalid header `{name}`")))?;
    headers.insert(name, value);
    Ok(())
}

/// The URL as shown in errors: without user name, password, query and fragment.
fn bare(url: &Url) -> String {
    let mut url = without_user(url.clone());
    url.set_query(None);
    url.to_string()
}
