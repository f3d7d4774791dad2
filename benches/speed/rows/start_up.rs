//! Start-up, without requests and with one page of a listing.

use super::PEAK;
use crate::job::{FEW, Job, Peer};
use crate::setup::{Platform, Setup, curl, program, python};

const WORLD: &str = "n100-s5";
const TIMES: u32 = 40;

pub fn rows(setup: &Setup, _: usize) -> Vec<Job> {
    let (url, secure) = (setup.url(WORLD), setup.secure_url(WORLD));
    let haul = |url: &str, argument| setup.haul(Platform::Activeloop, url, &[argument]).times(TIMES);
    let page = |url: &str| format!("{url}/files?limit=100");
    let import = |python: Option<&std::path::PathBuf>, line: &str| {
        python.map(|python| program(&python.display().to_string(), &["-c", line]))
    };
    let openai = |url: &str| python(setup.openai.as_ref(), "openai_files.py", url, &["page"]);
    vec![
        Job::new("`haul --version`", haul(&url, "--version"))
            .memory(PEAK)
            .compare(Peer::new("`curl --version`", Some(curl(&["--version"]).times(TIMES))).goal(0.4, 0.4))
            .compare(Peer::new("`rclone version`", setup.rclone(&["version"])).rounds(FEW))
            .compare(
                Peer::new("Python, `import replicate`", import(setup.replicate.as_ref(), "import replicate"))
                    .rounds(FEW),
            )
            .compare(
                Peer::new("Python, `import openai`", import(setup.openai.as_ref(), "import openai"))
                    .rounds(FEW),
            ),
        Job::new("`haul ls`, one page of 100", haul(&url, "ls"))
            .memory(PEAK)
            .compare(Peer::new("`curl`", Some(curl(&[&page(&url)]).times(TIMES))).goal(0.8, 0.8))
            .compare(Peer::new("OpenAI client", openai(&url)).rounds(FEW)),
        Job::new("the same over TLS", haul(&secure, "ls")).memory(PEAK).compare(
            Peer::new(
                "`curl --cacert`",
                Some(curl(&["--cacert", &setup.authority(), &page(&secure)]).times(TIMES)),
            )
            .goal(0.8, 0.8),
        ),
    ]
}
