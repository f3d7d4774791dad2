//! `haul serve` on the store that the commands also use as `local`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rustix::process::Signal;

use crate::soak::expectation::{cases, platforms};
use crate::support::process::ServeProcess;
use crate::support::rig::{Case, TOKEN};
use crate::support::sandbox::Sandbox;

pub struct Server {
    process: ServeProcess,
    cases: Vec<Case>,
}

/// The faults, each with its own probability and seed.
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
        "delay=20 chance=0.01",
    ];
    let numbered = scripts.iter().chain(platforms().flat_map(|(_, soak)| soak.faults)).enumerate();
    numbered.map(|(at, script)| format!("{script} seed={}", seed.wrapping_add(at as u64))).collect()
}

impl Server {
    pub fn start(env: &Sandbox, faults: &[String], seed: u64) -> Self {
        let cases = cases(seed);
        let mut options = Vec::new();
        let mut option = |name: &str, value: &str| options.extend([name.to_owned(), value.to_owned()]);
        for case in &cases {
            case.quirks.iter().for_each(|quirk| option("--quirk", quirk));
            case.wire.iter().for_each(|wire| option("--dialect", wire));
        }
        for fault in faults {
            option("--fault", fault);
        }
        Self { process: ServeProcess::start(env, options), cases }
    }

    /// The sandbox with profiles for this server.
    pub fn profiles(&self, env: &Sandbox) -> Sandbox {
        let mut env = env.clone();
        for case in self.cases.iter().filter(|case| case.is_remote()) {
            let case = Case { dialect: "auto", ..*case };
            env.add_profile(case.provider, &case, &self.process.base(case.provider), TOKEN);
        }
        env
    }

    /// Stops the server with SIGTERM. Returns its counts of requests and injected faults.
    pub fn stop(mut self) -> String {
        self.process.stop(Signal::TERM).fails(143);
        let mut requests: BTreeMap<String, u64> = BTreeMap::new();
        let mut faults: BTreeMap<String, u64> = BTreeMap::new();
        for line in self.process.requests() {
            *requests.entry(line["platform"].as_str().unwrap_or("none").to_owned()).or_default() += 1;
            if let Some(fault) = line["fault"].as_str() {
                *faults.entry(fault.to_owned()).or_default() += 1;
            }
        }
        let mut text = String::new();
        for (title, counts) in [("requests", requests), ("faults", faults)] {
            let _ = writeln!(text, "{title}: {}", counts.values().sum::<u64>());
            for (name, count) in counts {
                let _ = writeln!(text, "  {name:16} {count:8}");
            }
        }
        text
    }
}
