//! The checks after the run of a cell.

use std::collections::BTreeMap;

use haul::model::File;

use crate::faults::cell::Cell;
use crate::faults::proxy::Proxy;
use crate::faults::site::Site;
use crate::faults::verbs::{Class, TOKEN, Verb};
use crate::support::sandbox::Run;

/// The memory limit of the program in KiB for any response; the program accepts JSON of up to 64 MiB.
const MEMORY: u64 = 128 << 10;
/// An upper bound on the number of bytes that socket buffers hold.
const IN_SOCKETS: u64 = 48 << 20;
/// An upper bound on the number of requests of one command, including retries.
const REQUESTS: usize = 12;

impl Cell {
    pub fn check_run(&self, site: &Site, run: &Run, peak: u64, existing: &[u8], failures: &mut Vec<String>) {
        let expected = &self.expected;
        let err = run.stderr();
        if run.status != expected.exit {
            failures.push(format!("exit {}, expected {}", run.status, expected.exit));
        }
        let says = expected.says.replace("{p}", site.column.case.provider);
        let said = err.lines().skip_while(|line| !line.starts_with("error: ")).collect::<Vec<_>>();
        let said = said.join("\n");
        let names_old_file = err.contains("to delete the old file: `haul rm -p ");
        // The failed deletion is the cause of the error about the file.
        let said = match said.split_once("caused by: ") {
            Some((_, cause)) if self.verb == Verb::Retire && names_old_file => cause.to_owned(),
            _ => said,
        };
        if expected.exit != 0 && !matches(&says, said.trim_start_matches("error: ")) {
            failures.push(format!("the error does not match `{says}`"));
        }
        if expected.exit == 0 && !said.is_empty() {
            failures.push("a success prints an error".to_owned());
        }
        let out = String::from_utf8_lossy(&run.out);
        let secrets = site.column.case.secrets.iter().map(|(_, secret)| *secret);
        for secret in secrets.chain([TOKEN]) {
            if out.contains(secret) || err.contains(secret) {
                failures.push("the output contains a secret".to_owned());
            }
        }
        if self.verb == Verb::Retire && (expected.exit != 0 && expected.asked > 0) != names_old_file {
            failures.push("the hint to delete the old file is missing or superfluous".to_owned());
        }
        if err.contains("panicked") {
            failures.push("the program panicked".to_owned());
        }
        if err.chars().any(|c| c.is_control() && c != '\n') {
            failures.push("the output contains a control character".to_owned());
        }
        if self.verb == Verb::Stdout {
            let whole = expected.exit != 0 || run.out == existing;
            // A wrong checksum is known only at the end, and the exit code reports it.
            let right = expected.exit == 9 || existing.starts_with(&run.out);
            if !whole || !right {
                failures.push(format!("{} wrong bytes on standard output", run.out.len()));
            }
        }
        if peak > MEMORY {
            failures.push(format!("the program used {peak} KiB of memory"));
        }
    }

    pub fn check_requests(&self, proxy: &Proxy, failures: &mut Vec<String>) {
        let all = proxy.requests();
        let targeted: Vec<_> = all.iter().filter(|request| request.targeted).collect();
        if targeted.len() != self.expected.asked {
            failures.push(format!("{} requests, expected {}", targeted.len(), self.expected.asked));
        }
        if all.len() > REQUESTS {
            failures.push(format!("{} requests in total", all.len()));
        }
        let has_token = targeted.iter().any(|request| request.head.contains(TOKEN));
        if has_token && self.target.anonymous {
            failures.push("the token was sent to a URL that is its own secret".to_owned());
        }
        if self.target.class == Class::Content && self.fault.name.starts_with("cut") {
            let ranges: Vec<_> = targeted.iter().skip(1).map(|request| request.header("range")).collect();
            let wanted = (self.fault.name != "cut at once always").then_some("bytes=100000-");
            if ranges.iter().any(|range| *range != wanted) {
                failures.push(format!("the requested ranges are {ranges:?}"));
            }
        }
        let most = match self.fault.name {
            "without an end" | "gzip bomb" => (64 << 20) + IN_SOCKETS,
            _ => IN_SOCKETS,
        };
        let most = most * targeted.len().max(1) as u64;
        if proxy.endless_bytes() > most {
            failures.push(format!("the program read {} bytes of an endless response", proxy.endless_bytes()));
        }
    }

    pub fn check_disk(
        &self,
        before: &BTreeMap<String, Vec<u8>>,
        after: &BTreeMap<String, Vec<u8>>,
        name: &str,
        existing: &[u8],
        failures: &mut Vec<String>,
    ) {
        let mut expected = before.clone();
        if matches!(self.verb, Verb::Get | Verb::Presign) && self.expected.exit == 0 {
            expected.insert(name.to_owned(), existing.to_vec());
        }
        let mut after = after.clone();
        if let (Verb::Get, Some(part)) = (self.verb, self.expected.part) {
            expected.insert(format!("{name}.part"), existing[..usize::try_from(part).unwrap()].to_vec());
            if after.remove(&format!("{name}.part.json")).is_none() {
                failures.push("the partial download has no record of its file".to_owned());
            }
        }
        if after != expected {
            let sizes = |files: &BTreeMap<String, Vec<u8>>| {
                files.iter().map(|(name, bytes)| format!("{name} {}", bytes.len())).collect::<Vec<_>>()
            };
            failures.push(format!("local files: {:?}, expected {:?}", sizes(&after), sizes(&expected)));
        }
    }

    pub fn check_platform(
        &self,
        site: &Site,
        name: &str,
        id: &str,
        before: Option<&File>,
        (existing, new): (&[u8], &[u8]),
        failures: &mut Vec<String>,
    ) {
        let stored = site.stored(name);
        let contents: Vec<&[u8]> = stored.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        let done = self.expected.done;
        let expected: Vec<&[u8]> = match (self.verb, done) {
            (Verb::Upload, false) | (Verb::Rm, true) => vec![],
            // An unverified upload does not replace the old file.
            (Verb::Replace, true)
                if matches!(self.target.class, Class::Send | Class::Step) && self.expected.exit != 0 =>
            {
                vec![existing, new]
            }
            (Verb::Retire, false) if self.expected.asked > 0 => vec![existing, new],
            (Verb::Upload | Verb::Replace | Verb::Retire | Verb::To, true) => vec![new],
            _ => vec![existing],
        };
        if contents != expected {
            let sizes: Vec<usize> = contents.iter().map(|bytes| bytes.len()).collect();
            let wanted: Vec<usize> = expected.iter().map(|bytes| bytes.len()).collect();
            failures.push(format!("stored: {sizes:?} bytes, expected {wanted:?}"));
        }
        let links = site.links(id).filter(|_| !id.is_empty());
        match self.verb {
            Verb::Meta => {
                let changed = stored.first().map(|(file, _)| file) != before;
                if changed != done {
                    failures.push(format!("changed: {changed}"));
                }
            }
            Verb::Link if links.is_some_and(|count| count != usize::from(done)) => {
                failures.push(format!("{links:?} links"));
            }
            Verb::Revoke if links.is_some_and(|count| count != usize::from(!done)) => {
                failures.push(format!("{links:?} links"));
            }
            // A link whose response was lost expires.
            Verb::Presign if links.is_some_and(|count| count > self.expected.asked) => {
                failures.push(format!("{links:?} links"));
            }
            Verb::Get | Verb::Stdout
                if links.is_some_and(|count| count != usize::from(self.expected.link)) =>
            {
                failures.push(format!("{links:?} links of the download are left"));
            }
            _ => {}
        }
    }
}

/// Whether the start of a string matches a pattern, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    parts.all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}
