//! Long listings as JSON lines, and how soon their first line is there.

use crate::job::{Job, ONCE, Peer};
use crate::measure::{Ends, Program};
use crate::place::{Place, Platform, curl, python, shell};

pub fn rows(place: &Place, part: usize) -> Vec<Job> {
    let (fewer, more) = (100_000 / part, 1_000_000 / part);
    let url = place.url(&format!("n{more}-s5"));
    let mut jobs = vec![
        Job::new(
            format!("first row of `haul ls --jsonl` of {more}"),
            Program {
                ends: Ends::WithItsFirstLine,
                ..place.haul(Platform::Activeloop, &url, &["ls", "--jsonl"]).times(10)
            },
        )
        .memory(16.0)
        .seconds(0.015)
        .beside(Peer::new(
            "`curl` of a page of 100",
            Some(curl(&[&format!("{url}/files?limit=100")]).times(10)),
        )),
    ];
    jobs.extend(
        [100, 10_000].into_iter().flat_map(|page| [fewer, more].map(|files| listing(place, files, page))),
    );
    jobs
}

fn listing(place: &Place, files: usize, page: usize) -> Job {
    let url = place.url(&format!("n{files}-s5"));
    let page_size = page.to_string();
    let openai = python(place.openai.as_ref(), "openai_files.py", &url, &["list", &page_size]);
    let (memory, share) = if page > 1000 { (32.0, 0.08) } else { (16.0, 0.1) };
    let job = Job::new(
        format!("`haul ls --jsonl` of {files}, {page} a page"),
        place.haul(Platform::Activeloop, &url, &["ls", "--jsonl", "--page-size", &page_size]),
    )
    .memory(memory)
    .beside(Peer::new("OpenAI client's iterator", openai).goal(share, share).rounds(ONCE));
    if page < 1000 {
        // A process a page: minutes.
        return job;
    }
    // One curl and one jq a page, as the platforms' own examples do it.
    let body = place.path("page.json");
    let line = format!(
        "after=; while :; do curl -sS -o {body} \"{url}/files?limit={page}$after\"; jq -c '.data[]' {body}; \
         [ \"$(jq .has_more {body})\" = true ] || break; after=\"&after=$(jq -r .last_id {body})\"; done"
    );
    job.beside(
        Peer::new("`curl` and `jq` in a loop", shell(&line, &["curl", "jq"])).goal(0.15, 0.15).rounds(ONCE),
    )
}
