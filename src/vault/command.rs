//! Runs a `token_command`, limiting its time and output.

use std::io::{self, IsTerminal as _, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// The interval for polling the process.
const INTERVAL: Duration = Duration::from_millis(5);

/// The limits for a command.
pub(super) struct Limits {
    /// How long to wait for the first line.
    time: Duration,
    /// How long to wait for the command to exit after its first line. A failure within this time is an error.
    after: Duration,
    /// The maximum number of bytes to read. The pipe is closed if a command prints more.
    bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_mins(1), after: Duration::from_secs(2), bytes: 64 * 1024 }
    }
}

/// Runs the command and returns the first line of its output, or the reason for the failure. Does not wait for
/// background processes that it leaves running.
pub(super) fn first_line(words: &[String], limits: &Limits) -> Result<String, String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("the command is empty".to_owned());
    };
    let failed = |why: String| format!("{program}: {why}");
    // A password manager may prompt on the terminal. Piped input is reserved for haul, for example for `haul upload
    // -`.
    let input = if io::stdin().is_terminal() { Stdio::inherit() } else { Stdio::null() };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let output = watch(&mut child, limits);
    if output.is_err() {
        // The process has exited or must be killed. Waiting for it removes its entry from the process table.
        let _ = child.kill();
        let _ = child.wait();
    }
    let line = String::from_utf8(output.map_err(failed)?)
        .map_err(|_| failed("the output is not valid UTF-8".to_owned()))?;
    match line.trim() {
        "" => Err(failed("the first line of the output is empty".to_owned())),
        line => Ok(line.to_owned()),
    }
}

/// Reads the first line, and waits for the process to exit for as long as its failure matters.
fn watch(child: &mut Child, limits: &Limits) -> Result<Vec<u8>, String> {
    let (sender, receiver) = mpsc::channel::<Vec<u8>>();
    if let Some(pipe) = child.stdout.take() {
        let bytes = limits.bytes;
        // The thread is never joined, because a background process can keep the pipe open.
        thread::spawn(move || {
            let (mut pipe, mut buffer) = (pipe.take(u64::try_from(bytes).unwrap_or(u64::MAX)), [0; 4096]);
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
    }
    let (start, mut output, mut is_open) = (Instant::now(), Vec::new(), true);
    let (mut line_at, mut ended_at) = (None, None);
    loop {
        match receiver.recv_timeout(INTERVAL) {
            Ok(chunk) if line_at.is_none() => output.extend(chunk),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            // The sender is gone, so this returns immediately.
            Err(RecvTimeoutError::Disconnected) if is_open => is_open = false,
            Err(RecvTimeoutError::Disconnected) => thread::sleep(INTERVAL),
        }
        // Check the status first: if a closed pipe ended the process, its output is complete.
        let status = match ended_at {
            None => child.try_wait().map_err(|error| error.to_string())?,
            Some(_) => None,
        };
        output.extend(receiver.try_iter().filter(|_| line_at.is_none()).flatten());
        if line_at.is_none()
            && let Some(end) = output.iter().position(|byte| *byte == b'\n')
        {
            output.truncate(end);
            line_at = Some(Instant::now());
        }
        if line_at.is_none() && output.len() >= limits.bytes {
            return Err(format!("the first line of the output has more than {} bytes", limits.bytes));
        }
        if let Some(status) = status {
            // A closed pipe stops a command that prints more than the limit.
            let is_cut = line_at.is_some() && is_broken_pipe(status);
            if !status.success() && !is_cut {
                return Err(status.to_string());
            }
            ended_at = Some(Instant::now());
        }
        // The rest of an exited process's output is already in the pipe.
        let is_read = |at: Instant| !is_open || line_at.is_some() || at.elapsed() >= limits.after;
        if ended_at.is_some_and(is_read) || line_at.is_some_and(|at| at.elapsed() >= limits.after) {
            return Ok(output);
        }
        if line_at.is_none() && start.elapsed() >= limits.time {
            return Err(format!("no line of output within {} seconds", limits.time.as_secs()));
        }
    }
}

/// Whether a process was stopped by a closed pipe, according to its signal or to the exit status of a shell.
fn is_broken_pipe(status: ExitStatus) -> bool {
    #[cfg(unix)]
    if std::os::unix::process::ExitStatusExt::signal(&status) == Some(13) {
        return true;
    }
    status.code() == Some(128 + 13)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn run(line: &str, time: Duration) -> Result<String, String> {
        // A process left running must not hold the test's output open.
        let words = ["sh", "-c", &format!("exec 2>&-; {line}")].map(str::to_owned);
        first_line(&words, &Limits { time, after: Duration::from_millis(100), ..Limits::default() })
    }

    #[test]
    fn the_first_line_is_read_whatever_follows() {
        let start = Instant::now();
        for line in [
            "echo tok",
            "printf tok",
            "printf 'tok\\r\\nuser: me\\n'",
            "echo tok; exec yes",
            "echo tok; sleep 20 &",
            "printf tok; sleep 20 &",
            "echo tok; exec sleep 20",
            "echo tok; exec 1>&-; exec sleep 0.01",
        ] {
            assert_eq!(run(line, Duration::from_mins(1)).as_deref(), Ok("tok"), "{line}");
        }
        assert_eq!(run("exec yes", Duration::from_mins(1)).as_deref(), Ok("y"));
        assert!(start.elapsed() < Duration::from_secs(200), "haul waited for a background process");
    }

    #[test]
    fn a_failure_has_a_reason() {
        let minute = Duration::from_mins(1);
        for (line, time, why) in [
            ("exit 3", minute, "exit status: 3"),
            ("echo tok; exit 3", minute, "exit status: 3"),
            ("true", minute, "the first line of the output is empty"),
            ("echo; echo tok", minute, "the first line of the output is empty"),
            ("printf '\\377\\n'", minute, "the output is not valid UTF-8"),
            ("exec tr '\\0' x < /dev/zero", minute, "the first line of the output has more than 65536 bytes"),
            ("exec sleep 20", Duration::ZERO, "no line of output within 0 seconds"),
            ("printf tok; exec sleep 20", Duration::from_millis(50), "no line of output within 0 seconds"),
        ] {
            assert_eq!(run(line, time), Err(format!("sh: {why}")), "{line}");
        }
        let missing = first_line(&["/nowhere/command".to_owned()], &Limits::default());
        assert!(missing.is_err_and(|why| why.starts_with("/nowhere/command: No such file")));
    }
}
