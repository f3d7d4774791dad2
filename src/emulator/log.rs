//! One JSON line a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::http::{Method, Uri};
use serde_json::json;
use tokio::sync::mpsc::UnboundedSender;

use super::params::Params;
use crate::model::Clock;

/// What is known of a request so far; the line is written when it is dropped, that is when the answer has gone.
pub(super) struct Entry {
    to: Option<UnboundedSender<String>>,
    clock: Clock,
    start: Instant,
    method: Method,
    path: String,
    /// The platform's name.
    pub(super) platform: Option<&'static str>,
    /// The scripted fault's word.
    pub(super) fault: Option<&'static str>,
    /// The status; None where there was no answer.
    pub(super) status: Option<u16>,
    /// Bytes of the request's body that were read.
    pub(super) received: Arc<AtomicU64>,
    /// Bytes of the answer's body that were sent.
    pub(super) sent: u64,
}

impl Entry {
    pub(super) fn new(to: Option<UnboundedSender<String>>, clock: Clock, method: &Method, uri: &Uri) -> Self {
        let path = if to.is_some() { public(uri) } else { String::new() };
        Self {
            to,
            clock,
            start: Instant::now(),
            method: method.clone(),
            path,
            platform: None,
            fault: None,
            status: None,
            received: Arc::default(),
            sent: 0,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(to) = &self.to else { return };
        let line = json!({
            "time": format!("{:.3}", self.clock.now()),
            "method": self.method.as_str(),
            "path": self.path,
            "status": self.status,
            "platform": self.platform,
            "fault": self.fault,
            "bytes_in": self.received.load(Ordering::Relaxed),
            "bytes_out": self.sent,
            "ms": u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        let _ = to.send(line.to_string());
    }
}

/// Path and query, with `***` for what would let a reader of the log in.
fn public(uri: &Uri) -> String {
    let Some(query) = uri.query() else { return uri.path().to_owned() };
    let secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        matches!(name.as_str(), "token" | "key" | "signature" | "sig" | "api_key" | "access_token")
            || ["-signature", "-credential", "-security-token"].iter().any(|end| name.ends_with(end))
    };
    let mut shown = url::form_urlencoded::Serializer::new(String::new());
    if !Params::parse(query).iter().any(|(name, _)| secret(name)) {
        return format!("{}?{query}", uri.path());
    }
    for (name, value) in Params::parse(query).iter() {
        shown.append_pair(name, if secret(name) { "***" } else { value });
    }
    format!("{}?{}", uri.path(), shown.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_a_query_are_not_shown() {
        let shown = |uri: &str| public(&uri.parse().unwrap());
        assert_eq!(shown("/f?page_token=t&limit=1"), "/f?page_token=t&limit=1");
        assert_eq!(shown("/f?expires=1&Signature=abc"), "/f?expires=1&Signature=***");
        assert_eq!(shown("/f?X-Amz-Signature=abc&token=t&a=b"), "/f?X-Amz-Signature=***&token=***&a=b");
    }
}
