//! `haul serve`

mod shared;
pub(super) mod token;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::context::Context;
use crate::emulator::{self, FAULT_KEYS, FAULT_WORDS, Faults, Hosts, Log, LoggedRequest, Tokens};
use crate::error::{Error, Kind, Result, Signal};
use crate::human;
use crate::interrupt::Signals;
use crate::secret::Secret;
use crate::settings::{env, parse_lifetime};
use crate::store::{self, Store};
use crate::ui::{Columns, Format, wrap_text};

/// The default addresses, without and with COMMAND.
const ADDRESS: &str = "127.0.0.1:8787";
const ANY_PORT: &str = "127.0.0.1:0";
/// Maximum number of log lines waiting to be written. Further lines are dropped and counted.
const LOG_QUEUE: usize = 1024;
/// How long to wait at exit for the log to be written.
const LOG_GRACE: Duration = Duration::from_secs(2);
/// Default time for running requests to finish, without and with COMMAND.
const DRAIN: Duration = Duration::from_secs(30);
const COMMAND_DRAIN: Duration = Duration::from_secs(5);
/// Time after which a note says that the server is waiting for running requests.
const QUIET: Duration = Duration::from_secs(1);
/// Maximum number of threads for disk access.
const BLOCKING_THREADS: usize = 128;

/// The arguments of `haul serve`.
#[derive(Args, Debug)]
#[command(after_long_help = after_help(), args_conflicts_with_subcommands = true)]
pub struct ServeArgs {
    #[command(subcommand)]
    below: Option<token::ServeCommand>,
    /// Address or port to listen on; port 0 picks a free one [default: 127.0.0.1:8787; with COMMAND any free port]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Serve only this platform, both at the root and under its prefix
    #[arg(long, value_name = "PLATFORM")]
    only: Option<String>,
    /// Wire dialect of the platform's API
    #[arg(long = "dialect", value_name = "PLATFORM=WORD")]
    dialects: Vec<String>,
    /// Enable a quirk; use `PLATFORM.NAME` to enable it for one platform only
    #[arg(long = "quirk", value_name = "NAME[=VALUE]")]
    quirks: Vec<String>,
    /// List the quirks and exit
    #[arg(long = "quirks")]
    list_quirks: bool,
    /// Inject a fault, such as 'lose POST xai/v1/files times=1'
    #[arg(long = "fault", value_name = "SCRIPT")]
    faults: Vec<String>,
    /// Accept only this token [default: any]; other users can see it in the process list
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Accept only the token in this file
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Accept the tokens in this file; see `haul serve token add`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token", "token_file", "command"])]
    tokens: Option<PathBuf>,
    /// Accept any token, even on an address that other machines can reach
    #[arg(long, conflicts_with_all = ["token", "token_file", "tokens"])]
    no_auth: bool,
    /// Also accept requests for this host and from its web pages
    #[arg(long = "allow-host", value_name = "NAME")]
    allowed_hosts: Vec<String>,
    /// Time for running requests to finish after a signal [default: 30s]
    #[arg(long, value_name = "TIME", hide_short_help = true)]
    drain: Option<String>,
    /// Folder for the files
    #[arg(long, value_name = "DIR", conflicts_with = "ephemeral")]
    data: Option<PathBuf>,
    /// Store the files in a temporary folder
    #[arg(long)]
    ephemeral: bool,
    #[command(flatten)]
    shared: shared::SharedArgs,
    /// Write a JSON line per request to this file; `-` is standard error, where a terminal
    /// shows a short line instead
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Print the environment variables for the official clients and exit
    #[arg(long)]
    print_env: bool,
    /// Run this command with the official clients' variables set, and exit with its status
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn after_help() -> String {
    let words = FAULT_WORDS.map(|(word, value, help)| {
        let equals = if value.is_empty() { "" } else { "=" };
        format!("  {:<19} {help}", format!("{word}{equals}{value}"))
    });
    let keys = FAULT_KEYS.map(|(key, help)| format!("  {key:<20} {help}"));
    let text = format!(
        "Examples:\n  haul serve\n  haul serve --ephemeral -- pytest -q\n  \
        haul serve --only xai --fault '429 POST times=2 retry-after=1'\n  eval \"$(haul serve --print-env)\"\n\n\
        Mistral's official clients do not read the base URL from a variable; `haul serve --only mistral` prints the \
        argument that they need.\n\n\
        Faults: WORD[=VALUE] [METHOD] [PATH] [KEY=VALUE…]\n{}\n\nPATH is a pattern for the whole path, \
        starting with the platform: `*` matches one segment, `**` any number.\nThe keys limit a fault to some of the \
        matching requests:\n{}",
        words.join("\n"),
        keys.join("\n")
    );
    // clap wraps lines but does not keep the indentation of columns; 72 is the width of a man page.
    wrap_text(&text, 72)
}

/// A variation of a platform's behavior.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "quirk")]
pub(super) struct QuirkRow {
    /// The platform.
    platform: &'static str,
    /// The value for `--quirk`.
    quirk: &'static str,
    /// The form of the quirk's value; null if it takes none.
    value: Option<&'static str>,
    /// The description.
    help: &'static str,
}

/// The addresses of the server, printed as a single object instead of an array.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "server")]
pub(super) struct Served {
    /// The URL of the server.
    url: String,
    /// The root URL of each emulated platform.
    platforms: BTreeMap<&'static str, String>,
    /// The environment variables for the official clients and haul.
    env: BTreeMap<String, String>,
}

const QUIRK_FIELDS: &[&str] = &["platform", "quirk", "value", "help"];
pub(super) const QUIRK_COLUMNS: Columns = Columns { all: QUIRK_FIELDS, shown: QUIRK_FIELDS, piped: None };

impl ServeArgs {
    /// Serves until a signal arrives or the command ends. Returns the exit status.
    pub fn run(&self, ctx: &Context) -> Result<u8> {
        if let Some(below) = &self.below {
            return below.run(ctx).map(|()| 0);
        }
        let mut options = self.options(ctx)?;
        let faults = Faults::parse(self.faults.iter().map(String::as_str))?;
        if self.list_quirks {
            return list_quirks(ctx, &options).map(|()| 0);
        }
        let default = if self.command.is_empty() { ADDRESS } else { ANY_PORT };
        let listen = listen_address(self.listen.as_deref().unwrap_or(default))?;
        let listen = listen.as_str();
        if self.print_env {
            return print_env(ctx, &options, listen).map(|()| 0);
        }
        let listener =
            TcpListener::bind(listen).map_err(|error| cannot_listen(listen, &error.to_string()))?;
        let address = listener.local_addr().map_err(|error| cannot_listen(listen, &error.to_string()))?;
        let is_local = address.ip().is_loopback();
        if !is_local && options.token.is_none() && options.tokens.is_none() && !self.no_auth {
            return Err(Error::usage(format!(
                "{address}: other machines can reach this server, and it would accept any token"
            ))
            .hint("set HAUL_SERVE_TOKEN, or add `--token-file FILE` or `--tokens FILE`")
            .hint("to accept any token: `--no-auth`"));
        }
        if is_local || !self.allowed_hosts.is_empty() {
            options.hosts = Some(Hosts { loopback: true, names: self.allowed_hosts.clone() });
        }
        let stderr = Path::new("-");
        // A command writes to the terminal itself.
        let is_shown = self.command.is_empty() && ctx.ui.err_is_terminal() && !ctx.ui.is_json();
        let shown = is_shown.then_some(stderr);
        let logging = self.log.as_deref().or(shown).map(|path| log_to(ctx, path)).transpose()?;
        let (log, logging) = logging.map_or((None, None), |(log, logging)| (Some(log), Some(logging)));
        options.log = log;
        // Dropping `temporary` removes the directory.
        let temporary = if self.ephemeral { Some(temporary()?) } else { None };
        let kept = || self.data.clone().unwrap_or_else(|| ctx.settings.folders.data.join("store"));
        let root = temporary.as_ref().map_or_else(kept, |directory| directory.path().to_owned());
        let options_of_store =
            store::Options { ephemeral: self.ephemeral, clock: ctx.clock, warn: ctx.warn() };
        let store = match self.shared.open(ctx, self.ephemeral || self.data.is_some())? {
            Some(store) => store,
            None => Store::open(&root, options_of_store)?,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .max_blocking_threads(BLOCKING_THREADS)
            .enable_all()
            .build()
            .map_err(|error| Error::failed("cannot start the emulator").caused_by(error))?;
        let status = runtime.block_on(self.serve(ctx, listener, address, store, options, faults));
        runtime.shutdown_background();
        drop(temporary);
        match logging.filter(|logging| !ends_within(LOG_GRACE, logging)) {
            // Nothing reads stderr, so no error can be printed either.
            Some(_) => status.map_err(Error::reported),
            None => status,
        }
    }

    fn options(&self, ctx: &Context) -> Result<emulator::Options> {
        let mut options =
            emulator::Options { clock: ctx.clock, warn: ctx.warn(), ..emulator::Options::default() };
        self.only.iter().try_for_each(|name| options.set_only(name))?;
        self.dialects.iter().try_for_each(|text| options.set_dialect(text))?;
        self.quirks.iter().try_for_each(|text| options.set_quirk(text))?;
        options.tokens = self.tokens.as_deref().map(token::load).transpose()?;
        options.drain = self.drain()?;
        options.token = match (&self.token, &self.token_file) {
            (Some(token), _) => Some(Secret::new(token)),
            (None, Some(path)) => Some(token_in(path)?),
            (None, None) if self.no_auth || self.tokens.is_some() => None,
            (None, None) => ctx.settings.env.get(env::SERVE_TOKEN).map(Secret::new),
        };
        Ok(options)
    }

    /// Time for running requests to finish.
    fn drain(&self) -> Result<Duration> {
        let Some(text) = &self.drain else {
            // With a command, the requests are those of a program that has ended.
            return Ok(if self.command.is_empty() { DRAIN } else { COMMAND_DRAIN });
        };
        let time = parse_lifetime(text).and_then(|time| Duration::try_from(time).ok());
        time.ok_or_else(|| Error::usage(format!("--drain {text}: invalid duration")).hint("`--drain 30s`"))
    }

    /// Reads the file of `--tokens` again on SIGHUP. Returns false if the signal must stop the server instead.
    fn reload(&self, ctx: &Context, signal: Signal, tokens: Option<&Tokens>) -> bool {
        let (Signal::Hangup, Some(path), Some(tokens)) = (signal, &self.tokens, tokens) else { return false };
        match token::reload(tokens, path) {
            Ok(()) => ctx.ui.note(&format!("{}: reloaded", path.display())),
            Err(error) => {
                ctx.ui.error(&error);
                ctx.ui.note("the previous tokens still apply");
            }
        }
        true
    }

    async fn serve(
        &self,
        ctx: &Context,
        listener: TcpListener,
        address: SocketAddr,
        store: Store,
        options: emulator::Options,
        faults: Faults,
    ) -> Result<u8> {
        let variables = options.variables(address);
        let (tokens, drain) = (options.tokens.clone(), options.drain);
        let signals = Signals::listen();
        // SIGHUP reloads the tokens even under `nohup`, which ignores it.
        let mut signals = if tokens.is_some() { signals.with_hangup() } else { signals };
        if self.command.is_empty() {
            announce(ctx, &options, address, &variables)?;
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let mut server = tokio::spawn(emulator::serve(listener, store, options, faults, async {
            let _ = stopped.await;
        }));
        let broke = |error: tokio::task::JoinError| Error::failed("the emulator stopped").caused_by(error);
        let status = if let Some((program, arguments)) = self.command.split_first() {
            run_command(ctx, program, arguments, variables, &mut signals).await
        } else {
            loop {
                tokio::select! {
                    ended = &mut server => return ended.map_err(broke)?.map(|()| 0),
                    signal = signals.next() => {
                        if !self.reload(ctx, signal, tokens.as_ref()) {
                            break Ok(signal.exit_code());
                        }
                    }
                }
            }
        };
        let _ = stop.send(());
        let mut quiet = pin!(tokio::time::sleep(QUIET));
        loop {
            tokio::select! {
                ended = &mut server => {
                    ended.map_err(broke)??;
                    if self.command.is_empty() {
                        ctx.ui.note("stopped");
                    }
                    return status;
                }
                signal = signals.next() => {
                    if !(signal == Signal::Hangup && tokens.is_some()) {
                        return Err(Error::interrupted(signal));
                    }
                }
                () = &mut quiet, if !quiet.is_elapsed() => {
                    let time = human::duration(drain);
                    ctx.ui.note(&format!(
                        "waiting up to {time} for running requests; a second signal stops the server immediately"
                    ));
                }
            }
        }
    }
}

fn list_quirks(ctx: &Context, options: &emulator::Options) -> Result<()> {
    let mut rows = ctx.ui.rows(QUIRK_COLUMNS)?;
    for platform in options.served() {
        for quirk in platform.quirks {
            let value = (!quirk.value.is_empty()).then_some(quirk.value);
            rows.push(&QuirkRow { platform: platform.name, quirk: quirk.name, value, help: quirk.help })?;
        }
    }
    rows.finish()
}

fn print_env(ctx: &Context, options: &emulator::Options, listen: &str) -> Result<()> {
    let mut addresses =
        listen.to_socket_addrs().map_err(|error| cannot_listen(listen, &error.to_string()))?;
    let address = addresses.next().ok_or_else(|| cannot_listen(listen, "cannot determine the address"))?;
    if address.port() == 0 {
        return Err(Error::usage("--print-env requires a fixed port").hint(format!("`--listen {ADDRESS}`")));
    }
    print_variables(ctx, None, options, address, &options.variables(address))
}

fn announce(
    ctx: &Context,
    options: &emulator::Options,
    address: SocketAddr,
    variables: &[(String, String)],
) -> Result<()> {
    let printed = print_variables(ctx, Some(address), options, address, variables);
    // The server keeps running even if stdout is closed.
    if printed.as_ref().is_err_and(|error| error.kind() == Kind::ClosedPipe) { Ok(()) } else { printed }
}

/// Prints the address, if given, and the variables, either for `eval` in a shell or as a JSON object.
fn print_variables(
    ctx: &Context,
    printed: Option<SocketAddr>,
    options: &emulator::Options,
    address: SocketAddr,
    variables: &[(String, String)],
) -> Result<()> {
    if ctx.ui.format() != Format::Text {
        let roots = options.roots(address).into_iter();
        return ctx.ui.object(&Served {
            url: format!("http://{address}"),
            platforms: roots.map(|(platform, root)| (platform.name, root)).collect(),
            env: variables.iter().cloned().collect(),
        });
    }
    // A script for all platforms sees no note that concerns a single one.
    let is_noted = ctx.ui.err_is_terminal() || options.roots(address).len() == 1;
    let arguments = if is_noted { options.client_arguments(address) } else { Vec::new() };
    for (platform, arguments) in arguments {
        ctx.ui.note(&format!(
            "{platform}: the official clients do not read the base URL from a variable. {arguments}"
        ));
    }
    let mut text = printed.map_or_else(String::new, |address| format!("http://{address}\n"));
    for (name, value) in variables {
        text.extend(["export ", name, "='", &value.replace('\'', r"'\''"), "'\n"]);
    }
    ctx.ui.write_text(&text)
}

/// Writes the log on a separate thread until the emulator stops.
fn log_to(ctx: &Context, path: &Path) -> Result<(Log, thread::JoinHandle<()>)> {
    let (to_log, mut requests) = mpsc::channel::<LoggedRequest>(LOG_QUEUE);
    let dropped = Arc::<AtomicU64>::default();
    let log = Log::new(to_log, Arc::clone(&dropped));
    let ui = ctx.ui.clone();
    let mut file = if path == Path::new("-") {
        None
    } else {
        let open = std::fs::File::options().create(true).append(true).open(path);
        Some(open.map_err(|error| Error::io("write", path, error))?)
    };
    let is_short = file.is_none() && ui.err_is_terminal() && !ui.is_json();
    let mut write = move |line: &str| match &mut file {
        None => ui.note(line),
        Some(file) => drop(file.write_all(format!("{line}\n").as_bytes())),
    };
    let logging = thread::spawn(move || {
        while let Some(request) = requests.blocking_recv() {
            let dropped = dropped.swap(0, Ordering::Relaxed);
            if is_short {
                write(&short_line(&request));
            } else {
                write(&serde_json::to_string(&request).unwrap_or_default());
            }
            match dropped {
                0 => {}
                _ if is_short => write(&format!("{} not shown", human::count(dropped, "request"))),
                _ => write(&serde_json::json!({ "dropped": dropped }).to_string()),
            }
        }
    });
    Ok((log, logging))
}

/// A request on one short line, such as `12:00:04Z POST /xai/v1/files 200, 1.2 MB in, 310 B out, 35 ms`.
fn short_line(request: &LoggedRequest) -> String {
    let LoggedRequest { time, method, path, status, fault, bytes_in, bytes_out, ms, .. } = request;
    let status = status.map_or_else(|| "no response".to_owned(), |status| status.to_string());
    let mut line = format!("{} {method} {path} {status}", time.strftime("%H:%M:%SZ"));
    for (bytes, direction) in [(*bytes_in, "in"), (*bytes_out, "out")] {
        if bytes > 0 {
            line.extend([", ", &human::size(bytes), " ", direction]);
        }
    }
    line.extend([", ", &human::duration(Duration::from_millis(*ms))]);
    if let Some(fault) = fault {
        line.extend([", fault ", fault]);
    }
    line
}

/// Waits for a thread to end. Returns false if it has not ended in time.
fn ends_within(time: Duration, thread: &thread::JoinHandle<()>) -> bool {
    let step = Duration::from_millis(5);
    let steps = time.as_millis() / step.as_millis();
    (0..steps).any(|_| {
        let is_finished = thread.is_finished();
        if !is_finished {
            thread::sleep(step);
        }
        is_finished
    })
}

/// Parses `HOST:PORT`, or a port on the loopback address.
fn listen_address(text: &str) -> Result<String> {
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    let port = text.strip_prefix(':').unwrap_or(text);
    if is_port(port) {
        return Ok(format!("127.0.0.1:{port}"));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && is_port(port) => Ok(text.to_owned()),
        _ => Err(Error::usage(format!("--listen {text}: must be HOST:PORT or a port"))
            .hint(format!("`--listen {ADDRESS}`"))),
    }
}

/// The token from the first line of a file.
fn token_in(path: &Path) -> Result<Secret> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
    match text.lines().next().map(str::trim).filter(|token| !token.is_empty()) {
        Some(token) => Ok(Secret::new(token)),
        None => Err(Error::usage(format!("{}: contains no token", path.display()))),
    }
}

fn temporary() -> Result<tempfile::TempDir> {
    let made = tempfile::Builder::new().prefix("haul-").tempdir();
    made.map_err(|error| Error::failed("cannot create a temporary folder").caused_by(error))
}

fn cannot_listen(listen: &str, why: &str) -> Error {
    Error::failed(format!("{listen}: cannot listen"))
        .cause(why)
        .hint(format!("to use any free port: `--listen {ANY_PORT}`"))
}

/// Runs the command and returns its exit status. The first signal is forwarded; the second kills the command.
async fn run_command(
    ctx: &Context,
    program: &OsString,
    arguments: &[OsString],
    variables: Vec<(String, String)>,
    signals: &mut Signals,
) -> Result<u8> {
    let failed =
        |error: io::Error| Error::failed(format!("{}: cannot run", program.display())).caused_by(error);
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).envs(variables).kill_on_drop(true);
    let reach = Reach::of(&mut command, ctx.ui.in_is_terminal());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // The statuses that shells use.
            let status = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
            let is_command = Path::new(program).components().count() == 1;
            ctx.ui.error(&match error.kind() {
                io::ErrorKind::NotFound if is_command => {
                    Error::failed(format!("{}: command not found", program.display()))
                }
                _ => failed(error),
            });
            return Ok(status);
        }
    };
    let mut is_first = true;
    loop {
        tokio::select! {
            status = child.wait() => return status.map(exit_code).map_err(failed),
            signal = signals.next() => {
                if is_first {
                    reach.pass_on(signal, &child);
                } else {
                    reach.kill(&mut child).map_err(failed)?;
                }
                is_first = false;
            }
        }
    }
}

/// The processes that receive the signals for the command.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    /// The command and its children, which form a process group of their own.
    Group,
    /// The command only. In a terminal, it stays in this process's group, because another group could not read from the
    /// terminal.
    Command,
}

#[cfg(unix)]
impl Reach {
    /// Starts a process group for a command that does not use the terminal.
    fn of(command: &mut tokio::process::Command, reads_terminal: bool) -> Self {
        if reads_terminal || has_terminal() {
            return Self::Command;
        }
        command.process_group(0);
        Self::Group
    }

    /// Forwards a signal, except for Ctrl-C in a terminal, which reaches the command directly.
    fn pass_on(self, signal: Signal, child: &tokio::process::Child) {
        use rustix::process::Signal as Number;
        let number = match signal {
            Signal::Interrupt if self == Self::Command && has_terminal() => return,
            Signal::Interrupt => Number::INT,
            Signal::Terminate => Number::TERM,
            Signal::Hangup => Number::HUP,
        };
        self.send(number, child);
    }

    /// Kills the command.
    fn kill(self, child: &mut tokio::process::Child) -> io::Result<()> {
        if self == Self::Group {
            self.send(rustix::process::Signal::KILL, child);
        }
        child.start_kill()
    }

    fn send(self, signal: rustix::process::Signal, child: &tokio::process::Child) {
        use rustix::process;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(process::Pid::from_raw);
        // The command may have just exited.
        let _ = id.map(|id| match self {
            Self::Group => process::kill_process_group(id, signal),
            Self::Command => process::kill_process(id, signal),
        });
    }
}

/// Whether this process and the command are in the terminal's foreground.
#[cfg(unix)]
fn has_terminal() -> bool {
    let terminal = std::fs::File::open("/dev/tty").ok();
    let foreground = terminal.and_then(|terminal| rustix::termios::tcgetpgrp(terminal).ok());
    foreground == Some(rustix::process::getpgrp())
}

#[cfg(not(unix))]
impl Reach {
    fn of(_: &mut tokio::process::Command, _: bool) -> Self {
        Self::Command
    }

    fn pass_on(self, _: Signal, _: &tokio::process::Child) {}

    fn kill(self, child: &mut tokio::process::Child) -> io::Result<()> {
        child.start_kill()
    }
}

/// The exit status as a shell reports it: 128 plus the number of a signal.
fn exit_code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal = None;
    let code = status.code().or_else(|| signal.map(|signal: i32| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
