//! The output of `haul upload --dry-run`.

use std::borrow::Cow;

use futures_util::Stream;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::batch::{self, BatchArgs, Labels};
use super::report::Outcome;
use crate::context::Context;
use crate::error::Result;
use crate::human;
use crate::model::{File, FileId, NewFile, Source};
use crate::providers::Provider;
use crate::transfer::{Evidence, Preview, Uploads};
use crate::ui::{Columns, Rows};

/// Prints the action that `uploads` would take for each file.
pub(super) async fn preview(
    ctx: &Context,
    args: &BatchArgs,
    provider: &dyn Provider,
    uploads: &Uploads,
    files: impl Stream<Item = Result<Vec<NewFile>>>,
    rows: Rows,
    words: Labels<'_>,
) -> Result<()> {
    let work = async |files: Vec<NewFile>| {
        let mut previews = Vec::with_capacity(files.len());
        for new in files {
            previews.push((uploads.preview(&new, None).await?, new));
        }
        Ok(previews)
    };
    let show = |rows: &mut Rows, previews: Vec<(Preview, NewFile)>| {
        let mut ended = Vec::new();
        for (previews, new) in previews {
            match previews {
                Preview::Reuse(file, evidence) => {
                    ctx.ui.note(&format!("{}: would reuse {}", new.name, file.id));
                    ended.push(Outcome::Skipped(Some(file.id.clone())));
                    rows.push(&Row { file: *file, evidence, kept: None })?;
                    continue;
                }
                Preview::Replace(old) => {
                    ctx.ui.note(&format!("{}: would replace {old}", new.name));
                }
                Preview::Upload => {}
            }
            rows.push(&Planned::new(&new, provider, ctx))?;
            ended.push(Outcome::Done(None));
        }
        Ok(ended)
    };
    batch::run(ctx, args, words, files, work, rows, show).await
}

/// The note about files that were downloaded for comparison.
pub(super) fn compared(uploads: &Uploads) -> Option<String> {
    let (files, bytes) = uploads.downloaded();
    let number = human::count(files, "file");
    (files > 0).then(|| format!("compared {number} by downloading {}", human::size(bytes)))
}

const UPLOADED_FIELDS: [&str; 19] = File::fields_and(&["evidence", "kept"]);

pub(super) const UPLOADED_COLUMNS: Columns = Columns { all: &UPLOADED_FIELDS, ..super::ls::FILE_COLUMNS };

/// An uploaded or reused file.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "uploaded_file")]
pub(super) struct Row {
    #[serde(flatten)]
    pub(super) file: File,
    /// The evidence used to compare the file with an existing one; null if they were not compared.
    pub(super) evidence: Option<Evidence>,
    /// The id of the replaced file if it could not be deleted; otherwise null.
    pub(super) kept: Option<FileId>,
}

/// A file that would be uploaded. Its id is null.
pub(super) struct Planned(Row);

impl Planned {
    /// The row for a file, with the properties that are known before the upload.
    fn new(new: &NewFile, provider: &dyn Provider, ctx: &Context) -> Self {
        let expires_at = new.expires.and_then(|time| ctx.clock.now().checked_add(time).ok());
        let file = File {
            provider: provider.spec().name.to_owned(),
            profile: provider.profile().to_owned(),
            name: new.name.clone(),
            size: match &new.source {
                Source::Remote(remote) => remote.size(),
                _ => Some(new.size),
            },
            content_type: Some(new.content_type.clone()),
            purpose: new.purpose.clone(),
            expires_at,
            metadata: new.metadata.clone(),
            ..File::default()
        };
        Self(Row { file, evidence: None, kept: None })
    }
}

impl Serialize for Planned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serde_json::to_value(&self.0).map_err(S::Error::custom)?;
        row["id"] = Value::Null;
        row.serialize(serializer)
    }
}

impl JsonSchema for Planned {
    fn schema_name() -> Cow<'static, str> {
        "planned_file".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Row::json_schema(generator);
        schema.insert("description".to_owned(), "A file that would be uploaded; it has no id yet.".into());
        if let Some(id) = schema.pointer_mut("/properties/id") {
            *id = json!({ "description": "Null before the upload.", "type": "null" });
        }
        schema
    }
}
