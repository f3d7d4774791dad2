//! The setup of the bench: the servers, the files, and the installed programs to compare with.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::measure::{Program, Timing};
use crate::world::BYTE;
use crate::{plain, secure, storage};

/// A platform whose wire format the servers implement.
#[derive(Clone, Copy)]
pub enum Platform {
    Activeloop,
    Openai,
    Replicate,
}

pub struct Setup {
    pub home: PathBuf,
    plain: SocketAddr,
    secure: SocketAddr,
    storage: SocketAddr,
    /// Python with the official client, if installed.
    pub openai: Option<PathBuf>,
    pub replicate: Option<PathBuf>,
}

impl Setup {
    /// Starts the servers and searches for the programs.
    pub fn new(home: &Path) -> Self {
        let home = home.to_owned();
        let (plain, secure) = (plain::start(), secure::start(&home.join("authority.pem")));
        let (openai, replicate) = (python_with("openai"), python_with("replicate"));
        Self { plain, secure, storage: storage::start(), openai, replicate, home }
    }

    pub fn url(&self, world: &str) -> String {
        format!("http://{}/{world}/v1", self.plain)
    }

    pub fn secure_url(&self, world: &str) -> String {
        format!("https://localhost:{}/{world}/v1", self.secure.port())
    }

    /// The URL of the S3 endpoint.
    pub fn storage_url(&self) -> String {
        format!("http://{}", self.storage)
    }

    pub fn path(&self, name: &str) -> String {
        self.home.join(name).display().to_string()
    }

    pub fn authority(&self) -> String {
        self.path("authority.pem")
    }

    /// Creates a file of this size and returns its path.
    pub fn file(&self, name: &str, bytes: usize) -> String {
        let path = self.home.join(name);
        let mut file = fs::File::create(&path).unwrap();
        let piece = vec![BYTE; 1 << 20];
        let mut left = bytes;
        while left > 0 {
            let count = left.min(piece.len());
            file.write_all(&piece[..count]).unwrap();
            left -= count;
        }
        path.display().to_string()
    }

    /// Creates a folder with this number of files of this size and returns its path.
    pub fn folder(&self, name: &str, files: usize, bytes: usize) -> String {
        let path = self.home.join(name);
        fs::create_dir_all(&path).unwrap();
        for number in 0..files {
            self.file(&format!("{name}/{number}.bin"), bytes);
        }
        path.display().to_string()
    }

    /// curl with eight of these transfers in flight. Each is the text of a config file.
    pub fn curl_parallel(&self, name: &str, transfers: impl Iterator<Item = String>) -> Program {
        let path = self.path(name);
        fs::write(&path, transfers.collect::<Vec<_>>().join("next\n")).unwrap();
        curl(&["--no-progress-meter", "--parallel", "--parallel-max", "8", "-K", &path])
    }

    /// haul with this platform's profile at this base URL.
    pub fn haul(&self, platform: Platform, url: &str, arguments: &[&str]) -> Program {
        let profile = match platform {
            Platform::Activeloop => "activeloop",
            Platform::Openai => "openai",
            Platform::Replicate => "replicate",
        };
        let mut haul = program(env!("CARGO_BIN_EXE_haul"), arguments);
        haul.variables = vec![
            ("HAUL_HOME", self.home.join("haul").into_os_string()),
            ("HAUL_PROFILE", profile.into()),
            ("HAUL_BASE_URL", url.into()),
            ("HAUL_CACERT", self.authority().into()),
            ("HAUL_TOKEN", "any".into()),
        ];
        haul
    }

    /// rclone without its config file, if installed.
    pub fn rclone(&self, arguments: &[&str]) -> Option<Program> {
        let mut rclone = program("rclone", &[&["--config", ""], arguments].concat());
        rclone.variables.push(("HOME", self.home.clone().into_os_string()));
        installed("rclone").then_some(rclone)
    }
}

/// A script of the bench with an official Python client, at a base URL.
pub fn python(client: Option<&PathBuf>, script: &str, url: &str, arguments: &[&str]) -> Option<Program> {
    let script = format!("{}/benches/speed/clients/{script}", env!("CARGO_MANIFEST_DIR"));
    let arguments = [&[script.as_str(), url], arguments].concat();
    client.map(|python| program(&python.display().to_string(), &arguments))
}

/// A program with only `PATH` in its environment.
pub fn program(path: &str, arguments: &[&str]) -> Program {
    Program {
        path: PathBuf::from(path),
        arguments: arguments.iter().map(OsString::from).collect(),
        variables: vec![("PATH", std::env::var_os("PATH").unwrap())],
        times: 1,
        timing: Timing::UntilExit,
        server: None,
    }
}

/// curl, which fails on error responses.
pub fn curl(arguments: &[&str]) -> Program {
    program("curl", &[&["-sSf"], arguments].concat())
}

/// A shell command line, if all its programs are installed.
pub fn shell(line: &str, needs: &[&str]) -> Option<Program> {
    needs.iter().all(|name| installed(name)).then(|| program("sh", &["-c", line]))
}

pub fn installed(name: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(name).is_file())
}

/// A Python that can import a client: from `tests/clients/run`, or the system's.
fn python_with(client: &str) -> Option<PathBuf> {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients");
    let mut found: Vec<PathBuf> =
        fs::read_dir(made).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(&format!("{client}-")));
    found.sort();
    let mut candidates =
        found.into_iter().map(|path| path.join("bin/python")).chain([PathBuf::from("python3")]);
    candidates.find(|python| {
        let import =
            Command::new(python).args(["-c", &format!("import {client}")]).stderr(Stdio::null()).status();
        import.is_ok_and(|status| status.success())
    })
}

/// The machine and the versions of the programs.
pub fn description() -> String {
    let first_line = |program: &str, argument: &str, words: usize| {
        let output = Command::new(program).arg(argument).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned();
        Some(text.split_whitespace().take(words).collect::<Vec<_>>().join(" "))
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim().split('-').next().unwrap_or_default().to_owned();
    let mut parts = vec![format!("{cores} cores, Linux {kernel}")];
    parts.extend(first_line("curl", "--version", 2));
    parts.extend(first_line("openssl", "version", 2));
    parts.extend(first_line("rclone", "version", 2));
    parts.extend(first_line("s5cmd", "version", 1).map(|version| format!("s5cmd {version}")));
    parts.extend(first_line("aws", "--version", 1));
    parts.join(", ")
}

/// The load average of the machine over one minute.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or_default().to_owned()
}
