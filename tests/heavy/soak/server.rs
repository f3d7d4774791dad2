//! `haul serve`, on the store that the commands use as `local`, too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use haul::emulator::PLATFORMS;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const OWNER: &str = "soak";
const SECRET: &str = "a-signing-secret-of-tests";

pub struct Server {
    child: Child,
    url: String,
    log: PathBuf,
}

/// Everything that goes wrong, each independently.
pub fn faults(seed: u64) -> Vec<String> {
    let scripts = [
        "lose POST chance=0.02",
        "lose chance=0.005",
        "reset chance=0.008",
        "fail=500 chance=0.006",
        "refuse=503 chance=0.006",
        "fail=503 POST chance=0.004",
        "429 chance=0.004",
        "429 chance=0.004 retry-after=0",
        "html=502 chance=0.003",
        "truncate-json POST chance=0.002",
        "truncate-json GET **/files chance=0.004",
        "cut=0 chance=0.002",
        "cut=60 chance=0.002",
        "cut=9000 GET chance=0.01",
        "cut=300000 GET chance=0.1",
        "ignore-range GET **/content chance=0.1",
        "wrong-bytes=7 GET replicate/v1/files/*/download chance=0.01",
        "delay=20 chance=0.01",
    ];
    let numbered = scripts.iter().enumerate();
    numbered.map(|(at, script)| format!("{script} seed={}", seed.wrapping_add(at as u64))).collect()
}

/// Another dialect of the platforms that have several, by the seed.
fn dialects(seed: u64) -> [&'static str; 2] {
    let xai = ["xai=openai", "xai=gateway"];
    // Pulsar cannot delete.
    let metorial = ["metorial=magnetar", "metorial=seed"];
    [xai[(seed % 2) as usize], metorial[(seed / 2 % 2) as usize]]
}

impl Server {
    pub fn start(home: &Path, faults: &[String], seed: u64) -> Self {
        let log = home.join("requests.jsonl");
        let mut command = Command::new(env!("CARGO_BIN_EXE_haul"));
        command.env_clear().env("HAUL_HOME", home).args([
            "serve",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--log",
        ]);
        command.arg(&log);
        command.args(["--quirk", &format!("replicate.owner={OWNER}")]);
        command.args(["--quirk", &format!("replicate.signing-secret={SECRET}")]);
        for quirk in ["replicate.ranges", "activeloop.ranges", "xai.ranges"] {
            command.args(["--quirk", quirk]);
        }
        // All workers have one key, and are more than one customer.
        for quirk in [
            "metorial.rate-limit=100000000",
            "replicate.rate-limit=100000000",
            "llamacloud.rate-limit=1000000/1",
        ] {
            command.args(["--quirk", quirk]);
        }
        for dialect in dialects(seed) {
            command.args(["--dialect", dialect]);
        }
        for fault in faults {
            command.args(["--fault", fault]);
        }
        let errors = fs::File::create(home.join("server.txt")).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        Self { child, url: said["url"].as_str().unwrap().to_owned(), log }
    }

    /// The variables that lead a command here.
    pub fn variables(&self) -> Vec<(String, String)> {
        let mut variables = vec![
            ("HAUL_PROFILE_REPLICATE_SET_OWNER".to_owned(), OWNER.to_owned()),
            ("HAUL_PROFILE_REPLICATE_SET_SIGNING_SECRET".to_owned(), SECRET.to_owned()),
        ];
        for platform in PLATFORMS {
            let (name, path) = (platform.name, platform.base_path);
            let prefix = format!("HAUL_PROFILE_{}", name.to_uppercase());
            variables.push((format!("{prefix}_BASE_URL"), format!("{}/{name}{path}", self.url)));
            variables.push((format!("{prefix}_TOKEN"), "metorial_sk_any".to_owned()));
        }
        variables
    }

    /// Ends it as Ctrl-C does, and tells what it was asked and what it did wrong on purpose.
    pub fn stop(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "haul serve ended with {status}");
        let mut requests: BTreeMap<String, u64> = BTreeMap::new();
        let mut faults: BTreeMap<String, u64> = BTreeMap::new();
        for line in fs::read_to_string(&self.log).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            *requests.entry(line["platform"].as_str().unwrap_or("none").to_owned()).or_default() += 1;
            if let Some(fault) = line["fault"].as_str() {
                *faults.entry(fault.to_owned()).or_default() += 1;
            }
        }
        let mut text = String::new();
        for (title, counts) in [("requests", requests), ("faults", faults)] {
            let _ = writeln!(text, "{title}: {}", counts.values().sum::<u64>());
            for (what, count) in counts {
                let _ = writeln!(text, "  {what:16} {count:8}");
            }
        }
        text
    }
}
