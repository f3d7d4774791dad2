//! The optional operations of a profile whose settings name a collection of files, such as a vector store.

use std::sync::Arc;

use async_trait::async_trait;

use super::Provider;
use crate::error::{Result, word};
use crate::model::File;

/// A collection. The provider's listing contains its files, [`stat`](Provider::stat) finds only these, and
/// [`delete`](Provider::delete) detaches a file without deleting it.
#[async_trait]
pub trait Collection: Send + Sync {
    /// The name in messages, such as `vector store vs_1`.
    fn name(&self) -> String;

    /// The key of the setting and its value.
    fn setting(&self) -> (&'static str, &str);

    /// Checks that the collection exists. Later calls do not repeat a successful check.
    async fn check(&self) -> Result<()>;

    /// Adds a file, unless it is in the collection already. `is_new` is true if the file has just been uploaded.
    async fn attach(&self, file: File, is_new: bool) -> Result<File>;

    /// The provider without the collection, for all files of the profile.
    fn all_files(&self) -> Arc<dyn Provider>;

    /// The option that selects the collection.
    fn option(&self) -> String {
        let (key, value) = self.setting();
        format!("--set {}", word(&format!("{key}={value}")))
    }

    /// The option that selects all files, even if the profile sets a collection.
    fn option_for_all(&self) -> String {
        format!("--set {}=", self.setting().0)
    }
}
