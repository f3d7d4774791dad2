//! Waits until a platform has processed a file, or until a new file can be found.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};

use crate::error::{Error, Kind, Result, reference};
use crate::model::{File, StatusWords};
use crate::providers::Provider;

/// Maximum delay before a new file is requested again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The polling schedule.
#[derive(Clone, Copy, Debug)]
pub struct Polling {
    /// The first and the longest delay between requests.
    pub pauses: (Duration, Duration),
    /// The maximum total wait.
    pub longest: Duration,
}

impl Default for Polling {
    fn default() -> Self {
        Self {
            pauses: (Duration::from_millis(500), Duration::from_secs(10)),
            longest: Duration::from_hours(1),
        }
    }
}

/// Polls until the platform has processed the file. A file without a status counts as processed. If processing fails
/// or does not finish within the maximum wait, returns an error of kind `Platform`.
pub async fn wait_until_processed(
    provider: &Arc<dyn Provider>,
    file: File,
    polling: Polling,
) -> Result<File> {
    let Polling { pauses, longest } = polling;
    let (begun, mut pause, mut file) = (Instant::now(), pauses.0, file);
    let (platform, own, common) = (provider.spec().name, provider.spec().status, StatusWords::COMMON);
    loop {
        let status = file.status.as_deref().unwrap_or("complete").to_lowercase();
        if [own.ready, common.ready].concat().contains(&status.as_str()) {
            return Ok(file);
        }
        if provider.spec().has_failed(&status) {
            let why = ["status_details", "upload_error_message", "processing_error_message"];
            let why = why.iter().find_map(|key| file.extra.get(*key)?.as_str());
            let mut errors = ["error", "last_error"].iter();
            let why = why.or_else(|| errors.find_map(|key| file.extra.get(*key)?.get("message")?.as_str()));
            let error = Error::platform(format!("{}: {platform} failed to process it: {status}", file.name));
            let error = why.into_iter().fold(error, Error::cause);
            return Err(error.about(file.id.to_string()));
        }
        if begun.elapsed() >= longest {
            let minutes = longest.as_secs() / 60;
            let error =
                Error::platform(format!("{}: still {status} on {platform} after {minutes} min", file.name));
            let within = provider
                .collection()
                .map_or_else(String::new, |collection| format!(" {}", collection.option()));
            let reference = reference(provider.profile(), &file.id);
            let look = format!("to check again: `haul info {reference}{within}`");
            return Err(error.hint(look).about(file.id.to_string()));
        }
        sleep(pause).await;
        pause = pause.saturating_add(pause.div_f64(2.0)).min(pauses.1);
        file = once_found(provider.as_ref(), &file, || provider.stat(&file.id)).await?;
    }
}

/// Makes a request for a file. While the platform may not find the file because it is [new](Provider::settles_in), a
/// request that fails with "not found" is repeated after a delay.
pub async fn once_found<'a, T>(
    provider: &dyn Provider,
    file: &File,
    mut request: impl FnMut() -> BoxFuture<'a, Result<T>>,
) -> Result<T> {
    let mut pause = provider.client().map(crate::http::Client::base_pause).unwrap_or_default();
    let mut end = None;
    loop {
        let error = match request().await {
            Err(error) if error.kind() == Kind::NotFound => error,
            result => return result,
        };
        // The end is computed after the first response, which may report the platform's time. It is relative to
        // `now`, so a file with any time left is requested again even if this process is delayed in between.
        let now = Instant::now();
        let end = *end.get_or_insert_with(|| now.checked_add(provider.settles_in(file)));
        let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(now));
        if left.is_zero() {
            return Err(error);
        }
        sleep(pause.min(left)).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}
