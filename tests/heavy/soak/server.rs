//! `haul serve`, on the store that the commands use as `local`, too.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use haul::emulator::PLATFORMS;
use rustix::process::Signal;

use crate::support::process::ServeProcess;
use crate::support::rig::Case;
use crate::support::sandbox::Sandbox;

const OWNER: &str = "soak";
const SECRET: &str = "a-signing-secret-of-tests";

pub struct Server(ServeProcess);

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
    pub fn start(env: &Sandbox, faults: &[String], seed: u64) -> Self {
        let mut options = Vec::new();
        let mut option = |name: &str, value: &str| options.extend([name.to_owned(), value.to_owned()]);
        option("--quirk", &format!("replicate.owner={OWNER}"));
        option("--quirk", &format!("replicate.signing-secret={SECRET}"));
        for quirk in ["replicate.ranges", "activeloop.ranges", "xai.ranges"] {
            option("--quirk", quirk);
        }
        // All workers have one key, and are more than one customer.
        for quirk in [
            "metorial.rate-limit=100000000",
            "replicate.rate-limit=100000000",
            "llamacloud.rate-limit=1000000/1",
        ] {
            option("--quirk", quirk);
        }
        for dialect in dialects(seed) {
            option("--dialect", dialect);
        }
        for fault in faults {
            option("--fault", fault);
        }
        Self(ServeProcess::start(env, options))
    }

    /// The sandbox with profiles that lead here.
    pub fn profiles(&self, env: &Sandbox) -> Sandbox {
        let mut env = env.clone();
        env.set("HAUL_PROFILE_REPLICATE_SET_OWNER", OWNER);
        env.set("HAUL_PROFILE_REPLICATE_SET_SIGNING_SECRET", SECRET);
        for platform in PLATFORMS {
            let case = Case::of(platform.name, "auto");
            env.add_profile(platform.name, &case, &self.0.base(platform.name), "metorial_sk_any");
        }
        env
    }

    /// Ends it as Ctrl-C does, and tells what it was asked and what it did wrong on purpose.
    pub fn stop(mut self) -> String {
        self.0.stop(Signal::INT).ok();
        let mut requests: BTreeMap<String, u64> = BTreeMap::new();
        let mut faults: BTreeMap<String, u64> = BTreeMap::new();
        for line in self.0.requests() {
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
