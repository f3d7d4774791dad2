//! What `-vv` and `-vvv` tell: the client's requests, and their headers. Nobody else's events: those of the libraries
//! below could hold a token.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::Ui;

/// The target of the client's events.
const TARGET: &str = "haul::http";

/// Shows traces on this ui from now on, if `-vv` or more asked for them: one line a request, at `-vvv` one a header.
pub fn install(ui: &Ui) {
    let level = match ui.verbosity() {
        0 | 1 => return,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let subscriber = tracing_subscriber::registry().with(Lines { ui: ui.clone(), level });
    // Fails only where somebody else listens already, as a test may.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

struct Lines {
    ui: Ui,
    level: LevelFilter,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() == TARGET && *metadata.level() <= self.level {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == TARGET && *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        self.ui.detail(&said.line());
    }
}

/// The parts of an event.
#[derive(Default)]
struct Said {
    message: String,
    method: String,
    url: String,
    status: Option<u64>,
    attempt: u64,
    took: String,
    name: String,
    value: String,
}

impl Said {
    /// `GET https://api.example.com/v1/files: 200 in 81ms`, or `sent accept: application/json`.
    fn line(&self) -> String {
        if !self.name.is_empty() {
            return format!("{} {}: {}", self.message, self.name, self.value);
        }
        let mut line = format!("{} {}: ", self.method, self.url);
        let end = match self.status {
            Some(status) => write!(line, "{status} in {}", self.took),
            None => write!(line, "no answer in {}", self.took),
        };
        // Writing to a string cannot fail.
        let _ = end;
        if self.attempt > 1 {
            let _ = write!(line, ", attempt {}", self.attempt);
        }
        line
    }
}

impl Visit for Said {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "status" => self.status = Some(value),
            "attempt" => self.attempt = value,
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let place = match field.name() {
            "message" => &mut self.message,
            "method" => &mut self.method,
            "url" => &mut self.url,
            "took" => &mut self.took,
            "name" => &mut self.name,
            "value" => &mut self.value,
            _ => return,
        };
        *place = if field.name() == "took" { format!("{value:.1?}") } else { format!("{value:?}") };
    }
}
