//! Failures of a store on other machines. A client learns only that the store is not available; the operator learns
//! why.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;

use crate::error::{Error, Kind};
use crate::model::Warn;

/// Minimum time between two reports of the same failure.
const EVERY: Duration = Duration::from_mins(1);

/// Reports failures to the operator.
pub(super) struct Outages {
    warn: Warn,
    every: Duration,
    last: Mutex<Option<(String, Instant)>>,
}

impl Outages {
    pub(super) fn new(warn: Warn) -> Self {
        Self { warn, every: EVERY, last: Mutex::default() }
    }

    /// The error to show to a client. Only failures to reach the store are hidden; the messages of other errors,
    /// which name files and limits, are not changed.
    pub(super) fn hide(&self, error: Error) -> Error {
        if !matches!(error.kind(), Kind::Unreachable | Kind::Auth) {
            return error;
        }
        let text = error.to_string();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = last.as_ref().is_some_and(|(known, at)| *known == text && at.elapsed() < self.every);
        if !is_known {
            self.warn.say(&text);
            *last = Some((text, Instant::now()));
        }
        Error::new(Kind::Unreachable, "the store is not available").caused_by(error)
    }
}

/// The status of a response about a failure of the store.
pub(super) fn status_of(error: &Error) -> StatusCode {
    match error.kind() {
        Kind::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_client_gets_no_address_and_the_operator_one_warning() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&said);
        let warn = Warn::by(move |text: &str| log.lock().unwrap().push(text.to_owned()));
        let outages = Outages::new(warn.clone());
        let away = || Error::new(Kind::Unreachable, "postgres://haul@db/haul: cannot reach PostgreSQL");
        for _ in 0..2 {
            let hidden = outages.hide(away());
            assert_eq!(hidden.message(), "the store is not available");
            assert_eq!(status_of(&hidden), 503);
        }
        assert_eq!(*said.lock().unwrap(), ["postgres://haul@db/haul: cannot reach PostgreSQL"]);
        outages.hide(Error::new(Kind::Auth, "s3://bucket: cannot write objects"));
        outages.hide(away());
        assert_eq!(said.lock().unwrap().len(), 3);
        Outages { every: Duration::ZERO, ..Outages::new(warn) }.hide(away());
        assert_eq!(said.lock().unwrap().len(), 4);
        let own = outages.hide(Error::failed("file_1: its content is damaged"));
        assert_eq!((own.message(), status_of(&own).as_u16()), ("file_1: its content is damaged", 500));
        assert_eq!(said.lock().unwrap().len(), 4);
    }
}
