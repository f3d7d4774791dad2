//! Transfers between disk and providers: planning, concurrency, resumption and verification.

mod copy;
mod digest;
mod download;
mod identity;
mod job;
mod ledger;
mod lost;
pub mod mark;
mod multipart;
mod names;
mod options;
mod part;
mod plan;
mod pool;
mod selection;
mod special;
mod targets;
mod together;
mod upload;
mod wait;
mod walk;
mod writer;

pub use copy::RemoteFile;
pub use download::{DownloadOptions, Existing, Target, download, preview};
pub use identity::{Compare, Evidence};
pub use ledger::Ledger;
pub use names::{base_name, inside, marked, safe_path};
pub use options::{Action, COMPARE_LIMIT, IfExists, Known, Leftover, Preview, UploadOptions, Uploaded};
pub use plan::plan;
pub use pool::{Jobs, Pool};
pub use selection::{Planned, Selection};
pub use special::refuse_special;
pub use targets::{Claim, Targets};
pub use upload::Uploads;
pub use wait::{Polling, once_found, wait_until_processed};
pub use walk::LeftOut;
