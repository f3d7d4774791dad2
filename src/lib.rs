//! haul: one command line for the Files APIs of AI platforms.
//!
//! [`cli`] parses the command line, [`commands`] run with a [`context`], [`providers`] implement the platforms with the
//! client [`http`], [`transfer`] moves bytes, [`store`] is the embedded store, [`emulator`] serves the platforms from
//! it, and [`ui`] prints. The library is for the binary and its tests; it is not a public API.

// Times from servers and users can be out of range. `clippy.toml` lists the types that are exempt.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod cli;
pub mod commands;
pub mod context;
pub mod emulator;
pub mod error;
pub mod files;
pub mod filter;
pub mod hash;
pub mod http;
pub mod human;
pub mod interrupt;
pub mod model;
pub mod progress;
pub mod providers;
pub mod secret;
pub mod settings;
pub mod signing;
pub mod source;
pub mod spool;
pub mod store;
pub mod sync;
pub mod transfer;
pub mod ui;
pub mod vault;

#[cfg(test)]
#[path = "../tests/heavy/properties/holds.rs"]
mod property;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use crate::cli::{Cli, Command, Globals};
use crate::commands::completions;
use crate::commands::help::topics::exit_code_table;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::interrupt::{Interrupt, Signals};
use crate::model::Clock;
use crate::settings::{Env, Flags, Settings, env};
use crate::ui::Ui;

/// Runs the program: parse → context → dispatch → exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let env = Env::of_process();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let shell = env.get(env::COMPLETE);
    if let Some(answer) = shell.and_then(|shell| {
        let flags = |matches: &ArgMatches| Globals::from_arg_matches(matches).unwrap_or_default().settings();
        completions::answer(shell, &arguments, &env, &Cli::command(), flags)
    }) {
        // The shell may have closed the pipe.
        let _ = Ui::new(ui::Options::default()).write_text(&answer);
        return ExitCode::SUCCESS;
    }
    let parsed =
        Cli::command().try_get_matches_from(&arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return print_usage(&error, &arguments, &env),
    };
    let misused = || cli::usage::several_profiles(&arguments);
    if let Some(error) = cli::usage::missing_value(Cli::tree, &arguments).or_else(misused) {
        return conclude(&Ui::new(Globals::guess(&arguments).output(&env, Clock::default())), Err(error));
    }
    let clock = match Settings::fixed_now(&env) {
        Ok(now) => Clock(now),
        Err(error) => {
            return conclude(&Ui::new(cli.globals.output(&env, Clock::default())), Err(error));
        }
    };
    let ui = Ui::new(cli.globals.output(&env, clock));
    let result = match cli.command {
        // These commands work even with invalid settings.
        Command::Help(args) => args.0.run(&ui, Cli::tree()).map(|()| ExitCode::SUCCESS),
        Command::Completions(args) => args.0.run(&ui, &Cli::tree()).map(|()| ExitCode::SUCCESS),
        Command::Skill(args) => args.0.run(&ui, &Cli::tree(), &exit_code_table()).map(|()| ExitCode::SUCCESS),
        command => {
            flags(&cli.globals, &command).and_then(|flags| Settings::load(flags, env)).and_then(|settings| {
                if let Some(warning) = settings.warning() {
                    ui.warn(&warning);
                }
                let context = Context::new(ui.clone(), settings, clock, Interrupt::default());
                dispatch(command, &context)
            })
        }
    };
    conclude(&ui, result)
}

/// Runs a command. Commands with network access get a runtime on this thread; `serve` has its own. A command returns
/// 0 or an error; `serve` returns its child's exit code.
fn dispatch(command: Command, ctx: &Context) -> Result<ExitCode> {
    let changes_files = matches!(
        command,
        Command::Upload(_)
            | Command::Cp(_)
            | Command::Sync(_)
            | Command::Gc(_)
            | Command::Rm(_)
            | Command::Meta(_)
    );
    let done = match command {
        Command::Serve(args) => return args.0.run(ctx).map(ExitCode::from),
        Command::Providers(args) => args.0.run(ctx),
        Command::Help(args) => args.0.run(&ctx.ui, Cli::tree()),
        Command::Completions(args) => args.0.run(&ctx.ui, &Cli::tree()),
        Command::Skill(args) => args.0.run(&ctx.ui, &Cli::tree(), &exit_code_table()),
        Command::Profile(command) => command.0.run(ctx),
        Command::Config(command) => command.0.run(ctx),
        Command::Local(command) => command.0.run(ctx),
        Command::Auth(command) => block_on(ctx, command.0.run(ctx)),
        Command::Upload(args) => block_on(ctx, args.0.run(ctx)),
        Command::Ls(args) => block_on(ctx, args.0.run(ctx)),
        Command::Info(args) => block_on(ctx, args.0.run(ctx)),
        Command::Get(args) => block_on(ctx, args.0.run(ctx)),
        Command::Cat(args) => block_on(ctx, args.0.run(ctx)),
        Command::Cp(args) => block_on(ctx, args.0.run(ctx)),
        Command::Rm(args) => block_on(ctx, args.0.run(ctx)),
        Command::Sync(args) => block_on(ctx, args.0.run(ctx)),
        Command::Gc(args) => block_on(ctx, args.0.run(ctx)),
        Command::Du(args) => block_on(ctx, args.0.run(ctx)),
        Command::Meta(args) => block_on(ctx, args.0.run(ctx)),
        Command::Link(args) => block_on(ctx, args.0.run(ctx)),
        Command::Ref(args) => block_on(ctx, args.0.run(ctx)),
        Command::Lint(args) => args.0.run(ctx),
    };
    if changes_files {
        completions::forget(&ctx.settings);
    }
    done.map(|()| ExitCode::SUCCESS)
}

/// Runs a command. The first signal cancels it and leaves time for cleanup; the second stops it immediately.
fn block_on(ctx: &Context, command: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed("cannot start").caused_by(error))?;
    let result = runtime.block_on(async {
        let (mut command, mut signals) = (std::pin::pin!(command), Signals::listen());
        tokio::select! {
            biased;
            result = &mut command => return result,
            signal = signals.next() => ctx.interrupt.cancel(signal),
        }
        tokio::select! {
            biased;
            result = command => result,
            _ = signals.next() => Err(ctx.interrupt.error()),
            () = ctx.interrupt.past_deadline() => Err(ctx.interrupt.error()),
        }
    });
    // A thread waiting for a slow disk must not delay the exit.
    runtime.shutdown_background();
    result
}

fn conclude(ui: &Ui, result: Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) => {
            ui.error(&error);
            // Closes the JSON array, even if it is empty. The error is ignored because the reader may have closed the
            // pipe.
            let _ = ui.close();
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// Prints help and the version to stdout, and usage errors to stderr.
fn print_usage(error: &clap::Error, arguments: &[OsString], env: &Env) -> ExitCode {
    use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    let globals = Globals::guess(arguments);
    let is_json = globals.json || globals.jsonl;
    match error.kind() {
        DisplayHelp | DisplayVersion => {}
        DisplayHelpOnMissingArgumentOrSubcommand if !is_json => {}
        _ => {
            let ui = Ui::new(globals.output(env, Clock::default()));
            return conclude(&ui, Err(cli::usage::error(error, &Cli::tree(), arguments)));
        }
    }
    if let Err(failed) = error.print() {
        // A closed pipe is not a failure: `haul --help | head -3`.
        if failed.kind() != std::io::ErrorKind::BrokenPipe {
            let ui = Ui::new(globals.output(env, Clock::default()));
            return conclude(&ui, Err(Error::failed("standard output: cannot write").caused_by(failed)));
        }
    }
    ExitCode::from(if error.use_stderr() { Kind::Usage.exit_code() } else { 0 })
}

fn flags(globals: &Globals, command: &Command) -> Result<Flags> {
    // `haul auth login work` means `haul -p work auth login`: the other flags apply to that profile.
    let named = if let Command::Auth(command) = command { command.profile() } else { None };
    if let (Some(flag), Some(named)) = (globals.profile.as_deref(), named)
        && flag != named
    {
        return Err(Error::usage(format!("two different profiles are specified: {flag} and {named}")));
    }
    let mut flags = globals.settings();
    flags.profile = named.map(str::to_owned).or(flags.profile);
    flags.link = match command {
        Command::Get(args) => args.link().map(str::to_owned),
        Command::Cat(args) => args.link().map(str::to_owned),
        _ => None,
    };
    Ok(flags)
}
