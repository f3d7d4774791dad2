//! Long listings as JSON lines, and the time to their first line.

use super::PEAK;
use crate::job::{Job, ONCE, Peer};
use crate::measure::{Program, Timing};
use crate::setup::{Platform, Setup, curl, python, shell};

pub fn rows(setup: &Setup, part: usize) -> Vec<Job> {
    let (fewer, more) = (100_000 / part, 1_000_000 / part);
    let url = setup.url(&format!("n{more}-s5"));
    let mut jobs = vec![
        Job::new(
            format!("first row of `haul ls --jsonl` of {more}"),
            Program {
                timing: Timing::UntilFirstLine,
                ..setup.haul(Platform::Activeloop, &url, &["ls", "--jsonl"]).times(10)
            },
        )
        .memory(PEAK)
        .seconds(0.015)
        .compare(Peer::new(
            "`curl` of a page of 100",
            Some(curl(&[&format!("{url}/files?limit=100")]).times(10)),
        )),
    ];
    jobs.extend(
        [100, 10_000].into_iter().flat_map(|page| [fewer, more].map(|files| listing(setup, files, page))),
    );
    jobs
}

fn listing(setup: &Setup, files: usize, page: usize) -> Job {
    let url = setup.url(&format!("n{files}-s5"));
    let page_size = page.to_string();
    let openai = python(setup.openai.as_ref(), "openai_files.py", &url, &["list", &page_size]);
    let share = if page > 1000 { 0.08 } else { 0.1 };
    let job = Job::new(
        format!("`haul ls --jsonl` of {files}, {page} a page"),
        setup.haul(Platform::Activeloop, &url, &["ls", "--jsonl", "--page-size", &page_size]),
    )
    .memory(24.0)
    .compare(Peer::new("OpenAI client's iterator", openai).goal(share, share).rounds(ONCE));
    if page < 1000 {
        // One process per page would take minutes.
        return job;
    }
    // One curl and one jq per page, as in the platforms' examples.
    let body = setup.path("page.json");
    let line = format!(
        "after=; while :; do curl -sS -o {body} \"{url}/files?limit={page}$after\"; jq -c '.data[]' {body}; \
         [ \"$(jq .has_more {body})\" = true ] || break; after=\"&after=$(jq -r .last_id {body})\"; done"
    );
    job.compare(
        Peer::new("`curl` and `jq` in a loop", shell(&line, &["curl", "jq"])).goal(0.15, 0.15).rounds(ONCE),
    )
}
