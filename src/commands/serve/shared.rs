//! The store of `haul serve` that several replicas share.

use clap::Args;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::settings::env;
use crate::store::Store;

/// Where a shared store is.
#[derive(Args, Debug)]
pub(super) struct SharedArgs {
    /// Database for files that servers share: `postgres://USER@HOST/DATABASE`
    #[arg(long, value_name = "URL", conflicts_with_all = ["data", "ephemeral"])]
    index: Option<String>,
    /// Bucket for the content of these files: `s3://BUCKET/PREFIX`, `gs://…` or `az://…`
    #[arg(long, value_name = "URL", conflicts_with_all = ["data", "ephemeral"])]
    blobs: Option<String>,
}

impl SharedArgs {
    /// Opens the shared store. Returns `None` if none is named. If `is_elsewhere`, the arguments name another store,
    /// and the environment is ignored.
    pub(super) fn open(&self, ctx: &Context, is_elsewhere: bool) -> Result<Option<Store>> {
        let variable = if is_elsewhere { None } else { ctx.settings.env.text(env::SERVE_INDEX)? };
        match (self.index.as_deref().or(variable), self.blobs.as_deref()) {
            (None, None) => Ok(None),
            (Some(index), Some(blobs)) => open(ctx, index, self.index.is_none(), blobs).map(Some),
            (Some(_), None) => {
                let given = if self.index.is_some() { "--index" } else { env::SERVE_INDEX };
                let error = Error::usage(format!("{given} requires --blobs"))
                    .hint("to specify a bucket: `--blobs s3://BUCKET/PREFIX`");
                Err(match self.index {
                    Some(_) => error,
                    None => error.hint(
                        "to use a store on this machine: `unset HAUL_SERVE_INDEX`, or add `--data DIR`",
                    ),
                })
            }
            (None, Some(_)) => Err(Error::usage("--blobs requires --index")
                .hint("to specify an index: `--index postgres://USER@HOST/DATABASE`")),
        }
    }
}

#[cfg(feature = "shared")]
fn open(ctx: &Context, index: &str, is_variable: bool, blobs: &str) -> Result<Store> {
    use crate::secret::Secret;
    use crate::settings::parse_lifetime;
    use crate::store::SharedOptions;
    use crate::vault::credentials_for;

    let variables = &ctx.settings.env;
    let mut options = SharedOptions {
        index: index.to_owned(),
        password_in_index: is_variable,
        password: variables.get(env::PGPASSWORD).map(Secret::new),
        password_file: variables.path(env::PGPASSFILE).or_else(|| Some(dirs::home_dir()?.join(".pgpass"))),
        blobs: blobs.to_owned(),
        clock: ctx.clock,
        warn: ctx.warn(),
        ..SharedOptions::default()
    };
    if let Some((scheme, _)) = blobs.split_once("://") {
        options.variables = credentials_for(&ctx.settings, scheme, None)?.into_iter().collect();
    }
    if let Some(text) = variables.get(env::TEST_COLLECT_AFTER) {
        let time = parse_lifetime(text).and_then(|time| time.try_into().ok());
        options.collect_after =
            time.ok_or_else(|| Error::usage(format!("{}: invalid duration", env::TEST_COLLECT_AFTER)))?;
    }
    Store::open_shared(options)
}

#[cfg(not(feature = "shared"))]
fn open(_: &Context, _: &str, _: bool, _: &str) -> Result<Store> {
    Err(Error::new(crate::error::Kind::Unsupported, "this build of haul cannot share files between servers")
        .hint("to install a build that can, in a clone of haul: `cargo install --locked --path . --features shared`"))
}
