//! The rows: what haul does, and the curl command that does the same.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::measure::Program;

/// One row.
pub struct Job {
    pub name: String,
    pub haul: Program,
    /// None where curl has nothing like it.
    pub curl: Option<Program>,
    /// How often a round does it: what takes milliseconds is done often.
    pub times: u32,
    /// Makes room for what is written.
    pub before: Box<dyn Fn()>,
}

/// Where things are.
struct Place<'a> {
    address: SocketAddr,
    home: &'a Path,
}

impl Place<'_> {
    fn url(&self, world: &str) -> String {
        format!("http://{}/{world}/v1", self.address)
    }

    fn haul(&self, world: &str, arguments: &[&str]) -> Program {
        let variables = [
            ("HAUL_HOME", self.home.join("haul").into_os_string()),
            ("HAUL_PROFILE", "activeloop".into()),
            ("HAUL_BASE_URL", self.url(world).into()),
            ("HAUL_TOKEN", "any".into()),
        ];
        program(env!("CARGO_BIN_EXE_haul"), arguments, variables.to_vec())
    }

    fn path(&self, name: &str) -> String {
        self.home.join(name).display().to_string()
    }
}

fn program(path: &str, arguments: &[&str], variables: Vec<(&'static str, OsString)>) -> Program {
    let arguments = arguments.iter().map(OsString::from).collect();
    Program { path: PathBuf::from(path), arguments, variables }
}

fn curl(arguments: &[&str]) -> Program {
    program("curl", &[&["-sS"], arguments].concat(), vec![("PATH", std::env::var_os("PATH").unwrap())])
}

/// All rows, with what they need written to `home`. `quick` makes them a tenth of their size.
pub fn jobs(address: SocketAddr, home: &Path, quick: bool) -> Vec<Job> {
    let place = Place { address, home };
    let part = if quick { 10 } else { 1 };
    let mut jobs = start_up(&place);
    jobs.extend(large(&place, 1024 / part));
    for delay in [0, 20] {
        jobs.extend(small(&place, 5000 / part, delay));
    }
    jobs.extend([100_000 / part, 1_000_000 / part].map(|files| listing(&place, files)));
    jobs
}

fn start_up(place: &Place) -> Vec<Job> {
    let (page, world) = (format!("{}/files?limit=100", place.url("n100-s5")), "n100-s5");
    vec![
        Job {
            name: "--version".into(),
            haul: place.haul(world, &["--version"]),
            curl: Some(curl(&["--version"])),
            times: 40,
            before: Box::new(|| {}),
        },
        Job {
            name: "ls, one page of 100".into(),
            haul: place.haul(world, &["ls"]),
            curl: Some(curl(&[&page])),
            times: 40,
            before: Box::new(|| {}),
        },
    ]
}

fn large(place: &Place, mib: usize) -> Vec<Job> {
    let source = place.path("large.bin");
    let mut file = fs::File::create(&source).unwrap();
    for number in 0..mib {
        file.write_all(&vec![u8::try_from(number % 251).unwrap(); 1 << 20]).unwrap();
    }
    let world = format!("n1-s{}", mib << 20);
    let url = place.url(&world);
    let target = place.path("down.bin");
    let fresh = || {
        let target = target.clone();
        Box::new(move || drop(fs::remove_file(&target)))
    };
    let form = format!("file=@{source}");
    vec![
        Job {
            name: format!("{mib} MiB up"),
            haul: place.haul(&world, &["upload", "-q", &source]),
            curl: Some(curl(&["-F", &form, "-o", "/dev/null", &format!("{url}/files")])),
            times: 1,
            before: Box::new(|| {}),
        },
        Job {
            name: format!("{mib} MiB down"),
            haul: place.haul(&world, &["get", "-q", "id:file-0", "-o", &target]),
            curl: Some(curl(&["-o", &target, &format!("{url}/files/file-0/content")])),
            times: 1,
            before: fresh(),
        },
    ]
}

fn small(place: &Place, files: usize, delay: u64) -> Vec<Job> {
    let world = format!("n{files}-s4096-d{delay}");
    let url = place.url(&world);
    let (source, target) = (place.home.join(format!("small-{files}")), place.home.join("copies"));
    let (mut up, mut down) = (String::new(), String::new());
    fs::create_dir_all(&source).unwrap();
    for number in 0..files {
        let path = source.join(format!("{number}.bin"));
        fs::write(&path, [0x5a; 4096]).unwrap();
        let next = if number + 1 < files { "next\n" } else { "" };
        let _ = write!(
            up,
            "url=\"{url}/files\"\nform=\"file=@{}\"\noutput=\"/dev/null\"\n{next}",
            path.display()
        );
        let copy = target.join(format!("{number}.bin"));
        let _ =
            write!(down, "url=\"{url}/files/file-{number}/content\"\noutput=\"{}\"\n{next}", copy.display());
    }
    let (up_list, down_list) = (place.path(&format!("up-{delay}")), place.path(&format!("down-{delay}")));
    fs::write(&up_list, up).unwrap();
    fs::write(&down_list, down).unwrap();
    let fresh = || {
        let target = target.clone();
        Box::new(move || {
            let _ = fs::remove_dir_all(&target);
            fs::create_dir(&target).unwrap();
        })
    };
    let source = source.display().to_string();
    let folder = format!("{}/", target.display());
    let parallel =
        |list: &str| curl(&["--no-progress-meter", "--parallel", "--parallel-max", "8", "-K", list]);
    let at = if delay == 0 { String::new() } else { format!(" at {delay} ms") };
    let jobs_of = |jobs: &[&'static str], how: &str| {
        [
            Job {
                name: format!("{files} × 4 KiB up{at}{how}"),
                haul: place.haul(&world, &[&["upload", "-q", "-r", &source], jobs].concat()),
                curl: Some(parallel(&up_list)),
                times: 1,
                before: Box::new(|| {}),
            },
            Job {
                name: format!("{files} × 4 KiB down{at}{how}"),
                haul: place.haul(&world, &[&["get", "-q", "*", "-o", &folder], jobs].concat()),
                curl: Some(parallel(&down_list)),
                times: 1,
                before: fresh(),
            },
        ]
    };
    let mut all = Vec::from(jobs_of(&["-j", "8"], ", -j 8"));
    if delay > 0 {
        all.extend(jobs_of(&[], ", default"));
    }
    all
}

fn listing(place: &Place, files: usize) -> Job {
    Job {
        name: format!("ls --jsonl of {files}"),
        haul: place.haul(&format!("n{files}-s5"), &["ls", "--jsonl"]),
        curl: None,
        times: 1,
        before: Box::new(|| {}),
    }
}
