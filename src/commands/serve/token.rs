//! `haul serve token`, and the tokens file.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::emulator::{self, Tokens};
use crate::error::{Error, Kind, Result, word};
use crate::files;
use crate::ui::Columns;

/// The name of the default file, in the folder of the config file.
const FILE: &str = "serve-tokens";
/// The maximum number of pauses while another process changes the file, and the length of a pause.
const PAUSES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// The subcommands of `haul serve`.
#[derive(Debug, Subcommand)]
pub enum ServeCommand {
    /// Create tokens for `haul serve --tokens`
    #[command(subcommand)]
    Token(TokenCommand),
}

/// The subcommands of `haul serve token`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create a token, print it once, and add its hash to the tokens file
    ///
    /// All tokens of a space share its files. The files of other spaces cannot be seen. To revoke a token, delete its line from
    /// the file.
    Add(AddArgs),
}

/// The arguments of `haul serve token add`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul serve token add research\n  \
    haul serve token add research --read-only --tokens team-tokens\n\n\
    Each line of the file has the form `SPACE SHA256-OF-TOKEN [read-only]`. A running server reads the file again on SIGHUP.")]
pub struct AddArgs {
    /// Space whose files the token covers: a-z, 0-9, `-` and `_`
    #[arg(value_name = "SPACE")]
    space: String,
    /// Permit listing, reading and linking only
    #[arg(long)]
    read_only: bool,
    /// Tokens file [default: `serve-tokens` in the folder of the config file]
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
}

pub(in crate::commands) const COLUMNS: Columns =
    Columns { all: &["space", "read_only", "token", "file"], shown: &["token"], piped: None };

/// A new token of `haul serve`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "served_token")]
pub(in crate::commands) struct Row<'a> {
    /// The space whose files the token covers.
    space: &'a str,
    /// Whether the token permits only listing, reading and linking.
    read_only: bool,
    /// The token itself, which is not stored anywhere.
    token: &'a str,
    /// The file with the token's hash.
    file: String,
}

impl ServeCommand {
    /// Runs the command.
    pub fn run(&self, ctx: &Context) -> Result<()> {
        let Self::Token(TokenCommand::Add(args)) = self;
        args.run(ctx)
    }
}

impl AddArgs {
    fn run(&self, ctx: &Context) -> Result<()> {
        let space = self.space.as_str();
        emulator::check_space(space).map_err(Error::usage)?;
        let path = self.tokens.clone().unwrap_or_else(|| ctx.settings.folders.config.join(FILE));
        let (token, line) = emulator::new_token(space, self.read_only);
        add_line(&path, &line)?;
        let token = token.expose();
        if ctx.ui.is_json() {
            let file = path.display().to_string();
            let mut rows = ctx.ui.rows(COLUMNS)?;
            rows.push(&Row { space, read_only: self.read_only, token, file })?;
            rows.finish()?;
        } else {
            ctx.ui.write_text(&format!("{token}\n"))?;
        }
        let shown = word(&path.to_string_lossy()).into_owned();
        ctx.ui.note(&format!("{}: the token is shown only here; the file contains its hash", path.display()));
        ctx.ui.hint(&format!(
            "`haul serve --tokens {shown}`; to make a running server read the file again, send it SIGHUP"
        ));
        Ok(())
    }
}

/// Adds a line to the file, which is created if necessary.
fn add_line(path: &Path, line: &str) -> Result<()> {
    let failed = |error: io::Error| Error::io("write", path, error);
    let folder = files::folder_of(path);
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(failed)?;
    // Of two processes that add a line, the second one must read the line of the first one.
    let mut pauses = 0;
    let _lock = loop {
        match files::lock_folder(folder).map_err(failed)? {
            Some(lock) => break lock,
            None if pauses < PAUSES => {
                pauses += 1;
                thread::sleep(PAUSE);
            }
            None => {
                return Err(Error::failed(format!(
                    "{}: another command is still changing it",
                    path.display()
                )));
            }
        }
    };
    let mut text = match read(path) {
        Err(error) if error.kind() == Kind::NotFound => String::new(),
        text => text?,
    };
    Tokens::parse(&text, &path.to_string_lossy())?;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.extend([line, "\n"]);
    files::replace(path, text.as_bytes(), true).map_err(failed)
}

/// The tokens of a file.
pub(super) fn load(path: &Path) -> Result<Tokens> {
    let missing = |error: Error| match error.kind() {
        Kind::NotFound => {
            let path = path.to_string_lossy();
            error.hint(format!("to create it: `haul serve token add SPACE --tokens {}`", word(&path)))
        }
        _ => error,
    };
    Tokens::parse(&read(path).map_err(missing)?, &path.to_string_lossy())
}

/// Reads the file again. After an error, the previous tokens still apply.
pub(super) fn reload(tokens: &Tokens, path: &Path) -> Result<()> {
    tokens.update(&read(path)?, &path.to_string_lossy())
}

/// Reads the file, which must be private, because a line added to it grants access to a space.
fn read(path: &Path) -> Result<String> {
    let failed = |error: io::Error| Error::io("read", path, error);
    let mut file = File::open(path).map_err(failed)?;
    // Check the mode of the open file, because the path may lead to a different file by now.
    if let Some(mode) = files::shared_mode(&file.metadata().map_err(failed)?) {
        let message = format!("{}: other users can access the tokens file (mode {mode:04o})", path.display());
        let shown = path.to_string_lossy();
        return Err(Error::usage(message).hint(format!("run `chmod 600 {}`", word(&shown))));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
