//! A question whose answer must not be seen.

use std::io::{self, Read as _};

use super::streams::lock;
use super::{Ui, sanitize};
use crate::error::{Error, Kind, Result};

/// The longest secret that is read, in bytes: whoever pipes a film in gets an error instead of a full memory.
const LONGEST: u64 = 64 * 1024;

impl Ui {
    /// Asks for a secret without echo on a terminal; reads the first line of piped input. A usage error on a terminal
    /// where nobody [can answer](Self::can_ask).
    pub fn secret(&self, question: &str) -> Result<String> {
        if !self.in_is_terminal() {
            return self.piped_secret();
        }
        if !self.can_ask() {
            return Err(Error::usage(format!("{question}: nobody can answer here")));
        }
        let question = format!("{}: ", sanitize::lines(question));
        self.aside(|| rpassword::prompt_password(question)).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => Error::new(Kind::Interrupted, "interrupted"),
            io::ErrorKind::UnexpectedEof => Error::usage("nothing was typed"),
            _ => Error::failed("the terminal cannot be read").caused_by(error),
        })
    }

    fn piped_secret(&self) -> Result<String> {
        let mut bytes = Vec::new();
        let mut input = lock(&self.0.streams.input);
        let read = (&mut *input).take(LONGEST + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::failed("stdin: cannot read").caused_by(error))?;
        if bytes.len() as u64 > LONGEST {
            return Err(Error::usage("stdin: more than any secret has"));
        }
        let text = String::from_utf8(bytes).map_err(|_| Error::usage("stdin: invalid UTF-8"))?;
        let mut lines = text.trim().lines();
        let line = lines.next().unwrap_or_default().to_owned();
        if lines.any(|line| !line.trim().is_empty()) {
            return Err(Error::usage("stdin: more than one line"));
        }
        Ok(line)
    }
}
