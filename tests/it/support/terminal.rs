//! Runs the program in a pseudo-terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use crate::support::process::Process;
use crate::support::sandbox::{Run, Sandbox};

/// The streams that are connected to the terminal.
#[derive(Clone, Copy)]
pub enum On {
    /// All three.
    All,
    /// stdin and stdout; stderr is a pipe.
    Out,
    /// stdin and stderr; stdout is a pipe.
    Err,
}

/// A program in a terminal.
pub struct Terminal {
    process: Process,
    keyboard: File,
    screen: Arc<Screen>,
    reader: JoinHandle<()>,
    /// How much of the output earlier calls have consumed.
    looked: usize,
}

/// The output of a terminal so far.
#[derive(Default)]
struct Screen {
    shown: Mutex<Shown>,
    more: Condvar,
}

#[derive(Default)]
struct Shown {
    bytes: Vec<u8>,
    ended: bool,
}

/// The time limit for expected output; only missing output takes this long.
const AT_MOST: Duration = Duration::from_mins(1);

impl Terminal {
    /// Starts the command in a terminal with 24 lines and this many columns.
    pub fn start(env: &Sandbox, mut command: Command, columns: u16, on: On) -> Self {
        // Programs that other tests start at the same time must not inherit the terminal: its last handle closes it.
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave =
            rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        tcsetwinsize(slave.as_fd(), Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })
            .unwrap();
        let mut modes = tcgetattr(&slave).unwrap();
        modes.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&slave, OptionalActions::Now, &modes).unwrap();
        let stream = |wanted: bool, slave: &OwnedFd| wanted.then(|| Stdio::from(slave.try_clone().unwrap()));
        let (out, err) = (!matches!(on, On::Err), !matches!(on, On::Out));
        command.stdin(Stdio::from(slave.try_clone().unwrap()));
        let process = env.spawn_with(&mut command, stream(out, &slave), stream(err, &slave));
        // The terminal closes with its last open handle, so this process must not keep one.
        drop((command, slave));
        let keyboard = File::from(master);
        let mut output = keyboard.try_clone().unwrap();
        let screen = Arc::new(Screen::default());
        let filled = Arc::clone(&screen);
        let reader = thread::spawn(move || {
            let mut piece = [0; 4096];
            // At the end of the output Linux returns EIO, other systems end of file.
            while let Ok(read @ 1..) = output.read(&mut piece) {
                filled.shown.lock().unwrap().bytes.extend_from_slice(&piece[..read]);
                filled.more.notify_all();
            }
            filled.shown.lock().unwrap().ended = true;
            filled.more.notify_all();
        });
        Self { process, keyboard, screen, reader, looked: 0 }
    }

    /// Waits until the screen shows all of these texts, in any order, after the text of earlier calls, and returns
    /// the output up to there. Escape sequences are ignored.
    #[track_caller]
    pub fn sees(&mut self, wanted: &[&str]) -> String {
        self.sees_within(wanted, AT_MOST).unwrap_or_else(|new| panic!("no {wanted:?} in\n{new}"))
    }

    /// Like [`sees`](Self::sees), with a time limit. The error is the output so far.
    pub fn sees_within(&mut self, wanted: &[&str], limit: Duration) -> Result<String, String> {
        let mut shown = self.screen.shown.lock().unwrap();
        loop {
            let plain = plain(&shown.bytes);
            let new = plain.get(self.looked..).unwrap_or_default();
            let ends = wanted.iter().map(|text| Some(new.find(text)? + text.len()));
            if let Some(ends) = ends.collect::<Option<Vec<usize>>>() {
                let end = ends.into_iter().max().unwrap_or_default();
                self.looked += end;
                return Ok(new[..end].to_owned());
            }
            assert!(!shown.ended, "it ended without {wanted:?}:\n{plain}");
            let (again, wait) = self.screen.more.wait_timeout(shown, limit).unwrap();
            if wait.timed_out() {
                return Err(new.to_owned());
            }
            shown = again;
        }
    }

    /// Types this text; `\x04` is Ctrl-D.
    pub fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// Sends SIGINT, as the terminal does on Ctrl-C.
    pub fn interrupt(&self) {
        self.process.interrupt();
    }

    /// Waits for the program to exit. The run's stdout is the screen, and its stderr is the output to pipes.
    #[track_caller]
    pub fn end(self) -> Run {
        let mut run = self.process.end();
        self.reader.join().unwrap();
        let screen = self.screen.shown.lock().unwrap();
        run.err = [run.out, run.err].concat();
        run.out = String::from_utf8_lossy(&screen.bytes).replace("\r\n", "\n").into_bytes();
        run
    }
}

impl Sandbox {
    /// Runs haul in a terminal with this many columns and `answer` typed ahead. The run's stdout is the screen.
    #[must_use = "look at it in a snapshot, or assert `ok()`"]
    pub fn terminal(&self, columns: u16, answer: &str, arguments: &[&str]) -> Run {
        let mut command = self.command();
        command.args(arguments);
        self.terminal_of(command, columns, answer, On::All)
    }

    /// Like [`terminal`](Self::terminal), for any command.
    #[must_use = "look at it in a snapshot, or assert `ok()`"]
    pub fn terminal_of(&self, command: Command, columns: u16, answer: &str, on: On) -> Run {
        let mut terminal = Terminal::start(self, command, columns, on);
        terminal.types(answer);
        let mut run = terminal.end();
        run.out = without_frames(&run.out);
        if matches!(on, On::Err) {
            std::mem::swap(&mut run.out, &mut run.err);
        }
        run
    }
}

/// Removes frames that were drawn on a line and erased again, such as progress bars, because their number depends
/// on speed.
fn without_frames(screen: &[u8]) -> Vec<u8> {
    let erase = b"\r\x1b[2K";
    let ends = |line: &[u8]| line.windows(erase.len()).rposition(|piece| piece == erase);
    let lines = screen.split_inclusive(|byte| *byte == b'\n');
    lines.flat_map(|line| &line[ends(line).map_or(0, |at| at + erase.len())..]).copied().collect()
}

/// The output without escape sequences for colors and cursor movement. The result stops at an incomplete
/// sequence, so that further output only appends to it.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let (mut plain, mut rest) = (String::new(), text.chars());
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            match rest.next() {
                Some('[') => drop(rest.find(|c| ('@'..='~').contains(c))),
                Some(']') => drop(rest.find(|c| *c == '\u{7}' || *c == '\\')),
                Some('(' | ')') => drop(rest.next()),
                _ => {}
            }
        } else if c == '\n' || !c.is_control() {
            plain.push(c);
        }
    }
    plain
}
