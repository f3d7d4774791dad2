//! Runs the program in a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use crate::support::{Run, TestEnv};

/// Which of the program's streams are the terminal.
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
    child: Child,
    keyboard: File,
    screen: JoinHandle<Vec<u8>>,
}

impl Terminal {
    /// Starts the command in a terminal of so many columns and 24 lines.
    pub fn start(mut command: Command, columns: u16, on: On) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        tcsetwinsize(slave.as_fd(), Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })
            .unwrap();
        let mut modes = tcgetattr(&slave).unwrap();
        modes.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&slave, OptionalActions::Now, &modes).unwrap();
        let stream = |wanted: bool, slave: &OwnedFd| {
            if wanted { Stdio::from(slave.try_clone().unwrap()) } else { Stdio::piped() }
        };
        command
            .stdin(Stdio::from(slave.try_clone().unwrap()))
            .stdout(stream(matches!(on, On::All | On::Out), &slave))
            .stderr(stream(matches!(on, On::All | On::Err), &slave));
        let child = command.spawn().unwrap();
        // The terminal ends when the last program in it does: neither may we hold it.
        drop((command, slave));
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().unwrap();
        let screen = thread::spawn(move || {
            let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
            // Linux says EIO where others say end of file.
            while let Ok(read @ 1..) = screen.read(&mut piece) {
                seen.extend_from_slice(&piece[..read]);
            }
            seen
        });
        Self { child, keyboard, screen }
    }

    /// Types this; `\x04` is Ctrl-D.
    pub fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// Waits for its end: the status, what the screen showed, and what went through a pipe instead.
    pub fn end(self) -> (ExitStatus, Vec<u8>, Vec<u8>) {
        let output = self.child.wait_with_output().unwrap();
        let screen = self.screen.join().unwrap();
        let screen = String::from_utf8_lossy(&screen).replace("\r\n", "\n").into_bytes();
        (output.status, screen, [output.stdout, output.stderr].concat())
    }
}

impl TestEnv {
    /// Runs haul in a terminal of so many columns, with `answer` typed ahead. Its out is what the screen showed.
    #[must_use = "look at it in a snapshot, or assert `ok()`"]
    pub fn terminal(&self, columns: u16, answer: &str, arguments: &[&str]) -> Run {
        let mut command = self.command();
        command.args(arguments);
        self.terminal_of(command, columns, answer, On::All)
    }

    /// The same for any command.
    #[must_use = "look at it in a snapshot, or assert `ok()`"]
    pub fn terminal_of(&self, command: Command, columns: u16, answer: &str, on: On) -> Run {
        let mut terminal = Terminal::start(command, columns, on);
        terminal.types(answer);
        let (status, screen, piped) = terminal.end();
        let status = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap();
        match on {
            On::Err => self.run_on_screen(status, piped, screen),
            On::All | On::Out => self.run_on_screen(status, screen, piped),
        }
    }
}
