//! `haul link`

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use clap::Args;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use schemars::JsonSchema;
use serde::Serialize;

use super::batch::{self, BatchArgs, JobsArgs, Labels};
use super::confirm::{ConfirmArgs, Operation};
use super::ls::FILE_COLUMNS;
use super::report::{Entry, Outcome, Reported};
use super::select::{Chosen, Selector};
use super::upload::lifetime;
use crate::context::Context;
use crate::error::Result;
use crate::model::{File, Link};
use crate::providers::{FileLink, Op, Provider, all_links, check_lifetime, require};
use crate::transfer::once_found;
use crate::ui::Columns;

/// The arguments of `haul link`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul link report.pdf\n  \
    haul link llamacloud:report.pdf --expires 1h\n  \
    haul link report.pdf --list\n  \
    haul link --list -p xai\n  \
    haul link report.pdf --revoke")]
#[command(mut_arg("refs", |refs| refs.required_unless_present_any(["filter", "list", "revoke", "retry_from"])))]
pub struct LinkArgs {
    #[command(flatten)]
    selector: Selector,
    /// Lifetime of the link, such as 1h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with_all = ["list", "revoke"])]
    expires: Option<String>,
    /// List the links to the file; without a file, all links of the profile
    #[arg(long, conflicts_with = "revoke")]
    list: bool,
    /// Revoke this link; LINK can be omitted if the file has only one
    #[arg(long, value_name = "LINK", num_args = 0..=1, default_missing_value = "")]
    revoke: Option<String>,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    batch: BatchArgs,
}

pub(super) const LINK_COLUMNS: Columns = Columns {
    all: &["url", "expires_at", "link_id", "file"],
    shown: &["url", "expires_at", "link_id"],
    piped: Some(&["url"]),
};

/// The columns of the links of all files.
const ALL_COLUMNS: Columns = Columns { shown: &["file.name", "expires_at", "url"], ..LINK_COLUMNS };

/// A link to the content of a file.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "link")]
pub(super) struct Row {
    /// The URL; anyone who has it can read the file.
    url: Option<String>,
    /// Expiry, UTC; null if it does not expire.
    expires_at: Option<jiff::Timestamp>,
    /// The platform's id for the link, if it has one.
    link_id: Option<String>,
    /// The linked file.
    file: File,
}

impl Row {
    fn new(link: Link, file: &File) -> Self {
        Self { url: Some(link.url), expires_at: link.expires_at, link_id: link.id, file: file.clone() }
    }
}

impl LinkArgs {
    /// Creates, lists or revokes links.
    pub async fn run(mut self, ctx: &Context) -> Result<()> {
        if self.selector.refs.is_empty() && self.selector.filter.is_none() {
            // In `--revoke REF`, clap parses the reference as the value of the flag. A link cannot be revoked without
            // a file, so the value must be the reference.
            self.selector.refs.extend(self.revoke.replace(String::new()));
        }
        let lifetime = match &self.expires {
            None => None,
            Some(text) => Some(lifetime(text)?),
        };
        let op = match (self.list, &self.revoke) {
            (true, _) => Op::Links,
            (_, Some(_)) => Op::Unlink,
            _ => Op::Link,
        };
        if let Some(profiles) = self.profiles_to_list(ctx) {
            return self.list_all(ctx, &profiles).await;
        }
        let selector = self.selector.prepare(ctx, &self.batch, Some(op)).await?;
        let revoke = self.revoke.as_deref().filter(|link| !link.is_empty());
        let operation = match op {
            Op::Unlink => Operation { verb: "revoke the links to", done: "revoked", preposition: "on" },
            Op::Links => Operation { verb: "list the links to", done: "listed", preposition: "on" },
            _ => Operation { verb: "create links to", done: "linked", preposition: "on" },
        };
        let dry_run = self.confirm.dry_run;
        let words = match (op, dry_run) {
            (Op::Links, _) => Labels::of("listed").without_summary(),
            (Op::Unlink, true) => Labels::of("would be revoked"),
            (_, true) => Labels::of("would be linked"),
            _ => Labels::of(operation.done),
        };
        let words = words.in_dry_run(dry_run.then_some(match op {
            Op::Links => "nothing listed",
            Op::Unlink => "nothing revoked",
            _ => "nothing linked",
        }));
        let rows = ctx.ui.rows(if dry_run { FILE_COLUMNS } else { LINK_COLUMNS })?;
        // A link lets others read a file, so a pattern or filter requires confirmation, as for a deletion.
        let files = if selector.is_pattern(ctx) && op != Op::Links {
            let chosen: Vec<Result<Chosen>> = selector.files_once(ctx, Some(op)).collect().await;
            self.confirm.confirm(ctx, &chosen, true, operation).await?;
            stream::iter(chosen).boxed_local()
        } else {
            selector.files(ctx, Some(op))
        };
        batch::run(
            ctx,
            &self.batch,
            words,
            files,
            async |chosen: Chosen| {
                let (provider, id) = (&chosen.provider, &chosen.file.id);
                if let Some(able) = provider.capabilities().link {
                    check_lifetime(provider.spec().name, "a link", able.lifetime, lifetime)?;
                }
                let links = match op {
                    _ if dry_run => Ok(Vec::new()),
                    Op::Links => provider.links(id).await,
                    Op::Unlink => provider.unlink(id, revoke).await.map(|()| Vec::new()),
                    _ => {
                        let create = || provider.link(id, lifetime);
                        once_found(provider.as_ref(), &chosen.file, create).await.map(|link| vec![link])
                    }
                };
                let links = links.map_err(|error| chosen.failed(error))?;
                Ok((chosen.file, links))
            },
            rows,
            |rows, (file, links)| {
                if dry_run {
                    rows.push(&file)?;
                    return Ok(vec![Outcome::Done(Some(file.id))]);
                }
                if op == Op::Unlink {
                    ctx.ui.note(&format!("{}: link revoked", file.name));
                }
                for link in links {
                    rows.push(&Row::new(link, &file))?;
                }
                Ok(vec![Outcome::Done(Some(file.id))])
            },
        )
        .await
    }

    /// The profiles whose links are listed, with `None` for the command's profile. Returns `None` if files are
    /// selected.
    fn profiles_to_list(&self, ctx: &Context) -> Option<Vec<Option<String>>> {
        let Selector { refs, filter, .. } = &self.selector;
        if !self.list || filter.is_some() || self.batch.retry_from.is_some() {
            return None;
        }
        if refs.is_empty() {
            return Some(vec![None]);
        }
        let profile = |text: &String| Some(Some(ctx.address(text).whole_profile()?.to_owned()));
        refs.iter().map(profile).collect()
    }

    /// Lists the links of all files.
    async fn list_all(&self, ctx: &Context, profiles: &[Option<String>]) -> Result<()> {
        let dry_run = self.confirm.dry_run;
        let rows = ctx.ui.rows(if dry_run { FILE_COLUMNS } else { ALL_COLUMNS })?;
        let mut links = Vec::new();
        for profile in profiles {
            let provider = ctx.open(profile.as_deref())?;
            let all = format!("{}:*", provider.profile());
            require(provider.as_ref(), Op::AllLinks, &all)?;
            let found =
                all_links(&provider).map_ok(move |link| Linked { provider: Arc::clone(&provider), link });
            links.push(found.boxed_local());
        }
        let (mut count, files) = (0_u64, &RefCell::new(HashMap::new()));
        batch::run(
            ctx,
            // One at a time, in the order of the platform.
            &BatchArgs { jobs: JobsArgs { jobs: self.batch.jobs.jobs.or(Some(1)) }, ..self.batch.clone() },
            Labels::of("listed").without_summary(),
            stream::iter(links).flatten(),
            async |Linked { provider, link: FileLink { id, file, link } }| {
                let key = (provider.profile().to_owned(), id.clone());
                let known = file.or_else(|| files.borrow().get(&key).cloned());
                let file = match known {
                    Some(file) => file,
                    None => provider.stat(&id).await.map_err(|error| error.about(id.as_str()))?,
                };
                files.borrow_mut().insert(key, file.clone());
                Ok((file, link))
            },
            rows,
            |rows, (file, link)| {
                count += 1;
                let id = file.id.clone();
                if dry_run {
                    rows.push(&file)?;
                } else {
                    rows.push(&Row::new(link, &file))?;
                }
                Ok(vec![Outcome::Done(Some(id))])
            },
        )
        .await?;
        if count == 0 {
            let profile = profiles.first().and_then(Option::as_deref);
            ctx.ui.hint(&format!("no links; create one: `{} REF`", ctx.command("link", profile)));
        }
        Ok(())
    }
}

/// A link, with its provider.
struct Linked {
    provider: Arc<dyn Provider>,
    link: FileLink,
}

impl Reported for Linked {
    fn entries(&self) -> Vec<Entry> {
        let name = self.link.file.as_ref().map(|file| file.name.clone());
        vec![Entry { reference: Some(format!("{}:id:{}", self.provider.profile(), self.link.id)), name }]
    }
}
