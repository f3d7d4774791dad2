//! haul: one command line for the Files APIs of AI platforms.
//!
//! The map: [`cli`] parses, [`context`] is what a command in [`commands`] is handed, [`providers`] are the platforms,
//! [`http`] the client below them, [`transfer`] moves bytes, [`store`] is the embedded store, [`emulator`] the platforms
//! on top of it, [`ui`] the two streams. The library serves the binary and its tests; it is not a public API.

pub mod cli;
pub mod commands;
pub mod context;
pub mod emulator;
pub mod error;
pub mod filter;
pub mod http;
pub mod interrupt;
pub mod model;
pub mod progress;
pub mod providers;
pub mod secret;
pub mod settings;
pub mod store;
pub mod transfer;
pub mod ui;
pub mod vault;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::{Cli, Command, Globals};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::interrupt::Interrupt;
use crate::model::Clock;
use crate::settings::{Env, Flags, Settings, env};
use crate::ui::Ui;

/// How long a command may take to put itself in order after Ctrl-C.
const GRACE: Duration = Duration::from_millis(900);

/// Runs the program: parse → context → dispatch → exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let env = Env::of_process();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if env.get("COMPLETE").is_some() {
        clap_complete::CompleteEnv::with_factory(Cli::command).complete();
    }
    let parsed =
        Cli::command().try_get_matches_from(&arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return say_usage(&error, &arguments, &env),
    };
    let clock = match Settings::fixed_now(&env) {
        Ok(now) => Clock(now),
        Err(error) => {
            return conclude(&Ui::new(ui_options(&cli.globals, &env, Clock::default())), Err(error));
        }
    };
    let ui = Ui::new(ui_options(&cli.globals, &env, clock));
    let result = Settings::load(flags(&cli), env).and_then(|settings| {
        let context = Context::new(ui.clone(), settings, clock, Interrupt::default());
        dispatch(cli.command, &context)
    });
    conclude(&ui, result)
}

/// The commands that ask nobody run at once; the others get a runtime of this one thread, but `serve` has more. Each ends
/// with status 0 or an error, but `serve` with that of the command it ran.
fn dispatch(command: Command, ctx: &Context) -> Result<ExitCode> {
    let done = match command {
        Command::Serve(args) => return args.run(ctx).map(ExitCode::from),
        Command::Providers(args) => args.run(ctx),
        Command::Completions(args) => args.run(ctx),
        Command::Upload(args) => block_on(ctx, args.run(ctx)),
        Command::Ls(args) => block_on(ctx, args.run(ctx)),
        Command::Info(args) => block_on(ctx, args.run(ctx)),
        Command::Get(args) => block_on(ctx, args.run(ctx)),
        Command::Rm(args) => block_on(ctx, args.run(ctx)),
        Command::Meta(args) => block_on(ctx, args.run(ctx)),
        Command::Link(args) => block_on(ctx, args.run(ctx)),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Runs a command until it ends, or until Ctrl-C: the first asks it to stop, the second does not ask.
fn block_on(ctx: &Context, command: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed("cannot start").cause(error.to_string()))?;
    let interrupted = || Error::new(Kind::Interrupted, "interrupted");
    let result = runtime.block_on(async {
        let mut command = std::pin::pin!(command);
        tokio::select! {
            biased;
            result = &mut command => return result,
            _ = tokio::signal::ctrl_c() => ctx.interrupt.set(),
        }
        tokio::select! {
            biased;
            result = command => result,
            _ = tokio::signal::ctrl_c() => Err(interrupted()),
            () = tokio::time::sleep(GRACE) => Err(interrupted()),
        }
    });
    // A thread that waits for a slow disk must not keep the program.
    runtime.shutdown_background();
    result
}

fn conclude(ui: &Ui, result: Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) => {
            if error.kind() != Kind::ClosedPipe && !error.is_reported() {
                ui.error(&error);
            }
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// Help and version go to stdout; wrong usage to stderr, as JSON if that was asked for.
fn say_usage(error: &clap::Error, arguments: &[OsString], env: &Env) -> ExitCode {
    let asks = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let globals = Globals { json: asks("--json"), jsonl: asks("--jsonl"), ..Globals::default() };
    if error.use_stderr() && (globals.json || globals.jsonl) {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        return conclude(&Ui::new(ui_options(&globals, env, Clock::default())), Err(Error::usage(message)));
    }
    // A closed pipe is no failure: `haul --help | head -3`.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { Kind::Usage.exit_code() } else { 0 })
}

fn ui_options(globals: &Globals, env: &Env, clock: Clock) -> ui::Options {
    ui::Options {
        format: match (globals.json, globals.jsonl) {
            (true, _) => ui::Format::Json,
            (_, true) => ui::Format::Jsonl,
            _ => ui::Format::Text,
        },
        fields: globals.fields.clone(),
        quiet: globals.quiet,
        verbose: globals.verbose,
        color: match globals.color {
            cli::When::Auto => ui::When::Auto,
            cli::When::Always => ui::When::Always,
            cli::When::Never => ui::When::Never,
        },
        progress: match globals.progress {
            cli::ProgressMode::Auto => ui::ProgressMode::Auto,
            cli::ProgressMode::Always => ui::ProgressMode::Always,
            cli::ProgressMode::Never => ui::ProgressMode::Never,
            cli::ProgressMode::Json => ui::ProgressMode::Json,
        },
        env: ui::Environment {
            no_color: env.get(env::NO_COLOR).is_some(),
            force_color: env.get(env::CLICOLOR_FORCE).is_some_and(|value| value != "0"),
            dumb: env.get(env::TERM) == Some("dumb"),
            columns: env.get(env::COLUMNS).and_then(|text| text.parse().ok()),
            ci: env.get(env::CI).is_some_and(|value| value != "false"),
        },
        clock,
    }
}

fn flags(cli: &Cli) -> Flags {
    let globals = &cli.globals;
    Flags {
        link: if let Command::Get(args) = &cli.command { args.link.clone() } else { None },
        profile: globals.profile.clone(),
        base_url: globals.base_url.clone(),
        dialect: globals.dialect.clone(),
        set: globals.set.clone(),
        config: globals.config.clone(),
        timeout: globals.timeout.clone(),
        retries: globals.retries,
        cacert: globals.cacert.clone(),
        insecure_http: globals.insecure_http,
    }
}
