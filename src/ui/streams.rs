//! The streams that a [`Ui`](super::Ui) writes to and reads from, and what is known about their terminal.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Kind, Result};

/// Three streams and whether they are terminals.
pub struct Streams {
    /// Where data goes.
    pub out: Box<dyn Write + Send>,
    /// Where talk goes.
    pub err: Box<dyn Write + Send>,
    /// Where answers come from.
    pub input: Box<dyn Read + Send>,
    /// Whether data goes to a terminal.
    pub out_tty: bool,
    /// Whether talk goes to a terminal.
    pub err_tty: bool,
    /// Whether answers come from a terminal.
    pub in_tty: bool,
    /// The terminal's width in columns; None asks the terminal.
    pub width: Option<u16>,
}

impl Streams {
    /// The process's own.
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

/// Streams that several threads share.
pub(super) struct Shared {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
    pub input: Mutex<Box<dyn Read + Send>>,
    pub out_tty: bool,
    pub err_tty: bool,
    pub in_tty: bool,
    /// `COLUMNS`.
    columns: Option<u16>,
    /// The width that came with the streams.
    given: Option<u16>,
    /// Whether anything was written to `out`, be it nothing.
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
            given: width,
            written: AtomicBool::new(false),
        }
    }

    /// The width of text in columns: `COLUMNS`, else the terminal's, else 80.
    pub fn width(&self) -> usize {
        let asked = || terminal_size::terminal_size().map(|(width, _)| width.0);
        let width = self.columns.filter(|&width| width > 0).or(self.given).or_else(asked);
        usize::from(width.filter(|&width| width > 0).unwrap_or(80))
    }

    /// The width of the terminal on stderr. What is drawn in place ignores `COLUMNS`.
    pub fn screen_width(&self) -> usize {
        let asked = || terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| width.0);
        usize::from(self.given.or_else(asked).filter(|&width| width > 0).unwrap_or(80))
    }

    /// Writes data and passes it on at once. What a closed pipe did not take is nobody's loss.
    pub fn out(&self, bytes: &[u8]) -> Result<()> {
        self.written.store(true, Ordering::Relaxed);
        let mut out = lock(&self.out);
        out.write_all(bytes).and_then(|()| out.flush()).map_err(out_error)
    }

    /// Whether [`out`](Self::out) was called.
    pub fn has_written(&self) -> bool {
        self.written.load(Ordering::Relaxed)
    }

    /// Writes talk. Where even that cannot be written there is nobody left to tell.
    pub fn err(&self, text: &str) {
        let mut err = lock(&self.err);
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }

    /// The only line of the input. The length is limited so that a wrong file cannot fill the memory.
    pub fn secret(&self) -> Result<String> {
        const LONGEST: u64 = 64 * 1024;
        let mut bytes = Vec::new();
        let mut input = lock(&self.input);
        let read = (&mut *input).take(LONGEST + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::failed("stdin: cannot read").caused_by(error))?;
        if bytes.len() as u64 > LONGEST {
            return Err(Error::usage("stdin: too long for a secret"));
        }
        let text = String::from_utf8(bytes).map_err(|_| Error::usage("stdin: invalid UTF-8"))?;
        let mut lines = text.trim().lines();
        let line = lines.next().unwrap_or_default().to_owned();
        if lines.any(|line| !line.trim().is_empty()) {
            return Err(Error::usage("stdin: more than one line"));
        }
        Ok(line)
    }

    /// One line of input without its end; None at the end of input.
    pub fn answer(&self) -> Result<Option<String>> {
        let mut input = lock(&self.input);
        let mut line = Vec::new();
        // One byte of buffer takes nothing from whoever reads the input next.
        io::BufReader::with_capacity(1, &mut *input)
            .read_until(b'\n', &mut line)
            .map_err(|error| Error::failed("stdin: cannot read").caused_by(error))?;
        Ok((!line.is_empty()).then(|| String::from_utf8_lossy(&line).trim_end().to_owned()))
    }
}

fn out_error(error: io::Error) -> Error {
    let kind = if error.kind() == io::ErrorKind::BrokenPipe { Kind::ClosedPipe } else { Kind::Failed };
    Error::new(kind, "stdout: cannot write").caused_by(error)
}

/// Takes a lock even if a thread died with it: a half-written line is better than silence.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
