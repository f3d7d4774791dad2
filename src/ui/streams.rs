//! The streams of a [`Ui`](super::Ui) and the properties of their terminals.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Kind, Result};

/// The three standard streams, and whether each is a terminal.
pub struct Streams {
    /// The stream for data.
    pub out: Box<dyn Write + Send>,
    /// The stream for messages.
    pub err: Box<dyn Write + Send>,
    /// The stream for input.
    pub input: Box<dyn Read + Send>,
    /// Whether `out` is a terminal.
    pub out_tty: bool,
    /// Whether `err` is a terminal.
    pub err_tty: bool,
    /// Whether `input` is a terminal.
    pub in_tty: bool,
    /// The terminal's width in columns; if `None`, the terminal is queried.
    pub width: Option<u16>,
}

impl Streams {
    /// The streams of the process.
    pub fn process() -> Self {
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            input: Box::new(io::stdin()),
            out_tty: io::stdout().is_terminal(),
            err_tty: io::stderr().is_terminal(),
            in_tty: io::stdin().is_terminal(),
            width: None,
        }
    }

    /// Streams without input and output.
    pub(super) fn none() -> Self {
        Self {
            out: Box::new(io::sink()),
            err: Box::new(io::sink()),
            input: Box::new(io::empty()),
            out_tty: false,
            err_tty: false,
            in_tty: false,
            width: None,
        }
    }
}

/// The streams, shared by several threads.
pub(super) struct Shared {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
    pub input: Mutex<Box<dyn Read + Send>>,
    pub out_tty: bool,
    pub err_tty: bool,
    pub in_tty: bool,
    /// The value of `COLUMNS`.
    columns: Option<u16>,
    /// [`Streams::width`].
    fixed: Option<u16>,
    /// Whether [`out`](Self::out) has been called, even without bytes.
    written: AtomicBool,
}

impl Shared {
    pub fn new(streams: Streams, columns: Option<u16>) -> Self {
        let Streams { out, err, input, out_tty, err_tty, in_tty, width } = streams;
        Self {
            out: Mutex::new(out),
            err: Mutex::new(err),
            input: Mutex::new(input),
            out_tty,
            err_tty,
            in_tty,
            columns,
            fixed: width,
            written: AtomicBool::new(false),
        }
    }

    /// The width for text in columns: `COLUMNS`, otherwise the terminal's width, otherwise 80.
    pub fn width(&self) -> usize {
        let detected = || terminal_size::terminal_size().map(|(width, _)| width.0);
        let width = self.columns.filter(|&width| width > 0).or(self.fixed).or_else(detected);
        usize::from(width.filter(|&width| width > 0).unwrap_or(80))
    }

    /// The width of the terminal on stderr. `COLUMNS` is ignored because bars must not exceed the actual width.
    pub fn screen_width(&self) -> usize {
        let detected = || terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| width.0);
        usize::from(self.fixed.or_else(detected).filter(|&width| width > 0).unwrap_or(80))
    }

    /// Writes and flushes data.
    pub fn out(&self, bytes: &[u8]) -> Result<()> {
        self.written.store(true, Ordering::Relaxed);
        let mut out = lock(&self.out);
        out.write_all(bytes).and_then(|()| out.flush()).map_err(out_error)
    }

    /// Whether [`out`](Self::out) has been called.
    pub fn has_written(&self) -> bool {
        self.written.load(Ordering::Relaxed)
    }

    /// Writes a message. Errors are ignored because there is no other stream to report them on.
    pub fn err(&self, text: &str) {
        let mut err = lock(&self.err);
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }

    /// Reads all of stdin, which must be a single line. The length is limited so that a large file cannot exhaust
    /// memory.
    pub fn secret(&self) -> Result<String> {
        const MAX_BYTES: u64 = 64 * 1024;
        let mut bytes = Vec::new();
        let mut input = lock(&self.input);
        let read = (&mut *input).take(MAX_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::failed("standard input: cannot read").caused_by(error))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::usage("standard input: too long for a secret"));
        }
        let text = String::from_utf8(bytes).map_err(|_| Error::usage("standard input: invalid UTF-8"))?;
        let mut lines = text.trim().lines();
        let line = lines.next().unwrap_or_default().to_owned();
        if lines.any(|line| !line.trim().is_empty()) {
            return Err(Error::usage("standard input: more than one line"));
        }
        Ok(line)
    }

    /// Reads a line of input without its line ending; `None` at the end of input.
    pub fn answer(&self) -> Result<Option<String>> {
        let mut input = lock(&self.input);
        let mut line = Vec::new();
        // With a buffer of one byte, the following lines remain for later reads.
        io::BufReader::with_capacity(1, &mut *input)
            .read_until(b'\n', &mut line)
            .map_err(|error| Error::failed("standard input: cannot read").caused_by(error))?;
        Ok((!line.is_empty()).then(|| String::from_utf8_lossy(&line).trim_end().to_owned()))
    }
}

fn out_error(error: io::Error) -> Error {
    let kind = if error.kind() == io::ErrorKind::BrokenPipe { Kind::ClosedPipe } else { Kind::Failed };
    Error::new(kind, "standard output: cannot write").caused_by(error)
}

/// Restores the terminal settings when dropped. An abandoned no-echo prompt does not restore them itself.
pub struct TerminalSettings {
    #[cfg(unix)]
    kept: Option<(std::fs::File, rustix::termios::Termios)>,
}

impl TerminalSettings {
    /// Saves the settings of the controlling terminal, if any.
    #[cfg(unix)]
    pub fn keep() -> Self {
        let terminal = std::fs::File::options().read(true).write(true).open("/dev/tty").ok();
        let kept = terminal.and_then(|terminal| {
            let settings = rustix::termios::tcgetattr(&terminal).ok()?;
            Some((terminal, settings))
        });
        Self { kept }
    }

    /// Does nothing: on these platforms, there are no terminal settings to restore.
    #[cfg(not(unix))]
    pub fn keep() -> Self {
        Self {}
    }
}

#[cfg(unix)]
impl Drop for TerminalSettings {
    fn drop(&mut self) {
        if let Some((terminal, settings)) = &self.kept {
            // The terminal may be gone.
            let _ = rustix::termios::tcsetattr(terminal, rustix::termios::OptionalActions::Now, settings);
        }
    }
}

/// Locks a mutex even if a thread panicked while holding it: an incomplete line is better than no output.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
