//! One attempt: the real request, its redirects, its answer.

use std::sync::Arc;
use std::time::Instant;

use reqwest::Response;
use reqwest::header::{HeaderValue, LOCATION};
use url::Url;

use super::body::{self, Sending};
use super::build::{self, bare, without_user};
use super::retry::{Cause, Failure, asked_wait};
use super::{Client, Config, Method, Reply, Request, answer, content, lost};
use crate::error::{Error, Result};
use crate::progress::Progress;

/// The longest chain of redirects that is followed.
const REDIRECTS: usize = 10;
/// The longest error body that is read, in bytes.
const ERROR_BODY: usize = 64 * 1024;
/// The longest answer that is kept in memory, in bytes.
const REPLY_BODY: usize = 64 * 1024 * 1024;

/// One attempt at a request.
pub(super) struct Attempt<'a> {
    client: &'a Client,
    request: &'a Request,
    progress: &'a Arc<dyn Progress>,
    number: u32,
    url: Url,
    /// Whether it goes over the connections for contents.
    bulk: bool,
    sending: Arc<Sending>,
}

/// Where an attempt has got to: a redirect may lead elsewhere.
struct Hop {
    url: Url,
    /// Whether the chain has stayed on the origin it started from.
    home: bool,
}

/// An answer whose body is still to be read, and whether the platform itself gave it.
struct Answer {
    response: Response,
    own: bool,
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
            url: build::full_url(request),
            bulk: content || request.bulk || request.body.has_file(),
            sending: Sending::new(&request.body),
        }
    }

    /// Makes the attempt and reads the whole answer.
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

    /// Makes the attempt and opens the content of the answer; None if the answer does not continue the range.
    pub(super) async fn content(&self) -> Result<Option<super::Content>, Failure> {
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

    /// Puts the time limit round an attempt: in whole for a small call, on silence for one that moves contents.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let limit = self.config().timeout;
        let silence = async {
            if !self.bulk {
                return tokio::time::sleep(limit).await;
            }
            while let Some(left) = limit.checked_sub(self.sending.silence()).filter(|left| !left.is_zero()) {
                tokio::time::sleep(left).await;
            }
        };
        tokio::select! {
            biased;
            result = work => result,
            () = silence => {
                self.config().trace.attempt(&self.request.method, &self.url, self.number, limit, None);
                Err(lost::silence(self.config(), &self.url, limit, self.sending.is_complete()))
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
            let Some(next) = redirect(&hop.url, &response) else {
                return Ok(Answer { response, own: hop.home && self.is_own(&hop.url) });
            };
            let status = response.status().as_u16();
            let next = next.and_then(|next| self.may_follow(&hop.url, next, &seen));
            let next = next.map_err(|error| Failure::end(error.with_status(status)))?;
            // Read to its end, so that the connection can be used again.
            let _ = read_up_to(response, ERROR_BODY, &self.sending).await;
            hop = Hop { home: hop.home && next.origin() == hop.url.origin(), url: next.clone() };
            seen.push(next);
        }
    }

    fn may_follow(&self, from: &Url, next: Url, seen: &[Url]) -> Result<Url> {
        let platform = self.config().platform;
        let place = bare(&next);
        let refuse = |why: &str| Err(Error::platform(format!("{platform} redirects to {place}{why}")));
        if self.request.method != Method::GET {
            return refuse(&format!(", which is not followed for a {}", self.request.method));
        }
        if !matches!(next.scheme(), "http" | "https") {
            return refuse(", which is not HTTP");
        }
        if from.scheme() == "https" && next.scheme() == "http" {
            return refuse(", which would leave the secure connection");
        }
        if seen.contains(&next) {
            return refuse(" in a circle");
        }
        if seen.len() > REDIRECTS {
            return refuse(&format!(", the end of a chain of {REDIRECTS}"));
        }
        Ok(next)
    }

    fn is_own(&self, url: &Url) -> bool {
        !self.request.anonymous && self.client.is_own(url)
    }

    /// The real request of one hop, its body opened.
    fn build(&self, hop: &Hop, content: bool) -> Result<reqwest::Request> {
        let trusted = hop.home && self.is_own(&hop.url);
        let mut built = build::head(self.config(), self.request, &hop.url, hop.home, trusted)?;
        if content {
            // The file's own bytes are wanted, not a compression of them.
            built.headers_mut().insert("accept-encoding", HeaderValue::from_static("identity"));
        }
        let body = &self.request.body;
        if !body.is_empty() {
            let active = &self.client.inner.active_bodies;
            *built.body_mut() = Some(body::open(body, &self.sending, self.progress, active)?);
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
        self.sending.moved();
        if let Some(problem) = self.sending.problem() {
            return Err(Failure::end(problem));
        }
        let response =
            result.map_err(|error| lost::failure_of(config, url, error, self.sending.is_complete()))?;
        if self.is_own(url) {
            self.client.note_date(response.headers());
        }
        config.trace.headers("received", response.headers(), config.token.as_ref());
        Ok(response)
    }

    /// The whole answer of a success.
    async fn whole(&self, answer: Answer) -> Result<Reply, Failure> {
        let config = self.config();
        let (status, headers) = (answer.response.status().as_u16(), answer.response.headers().clone());
        let id = answer::request_id(&headers);
        let told = |error: Error| error.with_status(status).with_request_id(id.clone());
        if !self.sending.is_complete() {
            let message = format!("{} answered {status} before it had the whole request", config.platform);
            let error = told(Error::platform(message));
            return Err(Failure::end(if self.request.repeatable { error } else { error.unanswered() }));
        }
        match read_up_to(answer.response, REPLY_BODY, &self.sending).await {
            Ok((body, true)) => Ok(Reply { status, headers, body: body.into() }),
            Ok((_, false)) => {
                let limit = REPLY_BODY / 1024 / 1024;
                let error =
                    Error::platform(format!("{} answered with more than {limit} MiB", config.platform));
                Err(Failure::end(told(error)))
            }
            Err((_, error)) if lost::is_nonsense(&error) => {
                let message = format!("{} sent an answer that cannot be read", config.platform);
                let error = told(Error::platform(message).caused_by(error.without_url()));
                // It was a success, whatever it said: sending it again would do it twice.
                Err(Failure::end(if self.request.repeatable { error } else { error.unanswered() }))
            }
            Err((_, error)) => {
                let mut failure = lost::failure_of(config, &self.url, error, true);
                failure.error = failure.error.with_request_id(id);
                Err(failure)
            }
        }
    }

    /// The failure of an answer that is no success.
    async fn refusal(&self, answer: Answer) -> Failure {
        let (status, headers) = (answer.response.status().as_u16(), answer.response.headers().clone());
        // The status is known: a body that does not come, or breaks off, only costs its words.
        let reading = read_up_to(answer.response, ERROR_BODY, &self.sending);
        let body = match tokio::time::timeout(self.config().timeout, reading).await {
            Ok(Ok((body, _)) | Err((body, _))) => body,
            Err(_) => Vec::new(),
        };
        let reply = Reply { status, headers, body: body.into() };
        let (error, is_final) = answer::error_of(self.config(), &reply, answer.own);
        Failure {
            error,
            cause: if is_final { Cause::Final } else { Cause::Status(status) },
            fully_sent: self.sending.is_complete(),
            wait: asked_wait(status, &reply.headers),
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.sending.abandon();
    }
}

/// Reads a body up to `limit` bytes, and says whether that was all; after an error, what came before it.
async fn read_up_to(
    mut response: Response,
    limit: usize,
    sending: &Sending,
) -> Result<(Vec<u8>, bool), (Vec<u8>, reqwest::Error)> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok((body, true)),
            Ok(Some(bytes)) => {
                sending.moved();
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

/// Where a redirect points; None if the answer is none.
fn redirect(from: &Url, response: &Response) -> Option<Result<Url>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    let target = std::str::from_utf8(location.as_bytes()).ok().and_then(|text| from.join(text).ok());
    let target = target.map(without_user);
    Some(target.ok_or_else(|| Error::platform(format!("{} redirects to no valid URL", bare(from)))))
}
