//! What is looked at when a cell has run.

use std::collections::BTreeMap;

use haul::model::File;

use crate::faults::cell::Cell;
use crate::faults::proxy::Proxy;
use crate::faults::site::Site;
use crate::faults::verbs::{Class, TOKEN, Verb};
use crate::support::sandbox::Run;

/// KiB that the program may take whatever a server sends: an answer may have 64 MiB.
const MEMORY: u64 = 128 << 10;
/// Bytes that sockets take before anybody reads them.
const IN_SOCKETS: u64 = 48 << 20;
/// Requests that a command may make in all, besides those that it is told to make again.
const REQUESTS: usize = 12;

impl Cell {
    pub fn judge_run(&self, site: &Site, run: &Run, peak: u64, there: &[u8], wrong: &mut Vec<String>) {
        let expected = &self.expected;
        let err = run.stderr();
        if run.status != expected.exit {
            wrong.push(format!("exit {} where {} was expected", run.status, expected.exit));
        }
        let says = expected.says.replace("{p}", site.column.case.provider);
        let said = err.lines().skip_while(|line| !line.starts_with("error: ")).collect::<Vec<_>>();
        let said = said.join("\n");
        if expected.exit != 0 && !matches(&says, said.trim_start_matches("error: ")) {
            wrong.push(format!("it does not say `{says}`"));
        }
        if expected.exit == 0 && !said.is_empty() {
            wrong.push("an error is told of a success".to_owned());
        }
        let out = String::from_utf8_lossy(&run.out);
        let secrets = site.column.case.secrets.iter().map(|(_, secret)| *secret);
        for secret in secrets.chain([TOKEN]) {
            if out.contains(secret) || err.contains(secret) {
                wrong.push("a secret is shown".to_owned());
            }
        }
        let tells_of_the_old = err.contains("to delete the old one: `haul rm id:");
        if self.verb == Verb::Retire && (expected.exit != 0 && expected.asked > 0) != tells_of_the_old {
            wrong.push("what is left to do is not told, or told without need".to_owned());
        }
        if err.contains("panicked") {
            wrong.push("it panicked".to_owned());
        }
        if err.chars().any(|c| c.is_control() && c != '\n') {
            wrong.push("a control character is shown as it is".to_owned());
        }
        if self.verb == Verb::Stdout {
            let whole = expected.exit != 0 || run.out == there;
            // What cannot be told as wrong until it is whole is told by the status.
            let right = expected.exit == 9 || there.starts_with(&run.out);
            if !whole || !right {
                wrong.push(format!("{} wrong bytes on standard output", run.out.len()));
            }
        }
        if peak > MEMORY {
            wrong.push(format!("it took {peak} KiB of memory"));
        }
    }

    pub fn judge_requests(&self, proxy: &Proxy, wrong: &mut Vec<String>) {
        let asked = proxy.asked();
        let named: Vec<_> = asked.iter().filter(|asked| asked.named).collect();
        if named.len() != self.expected.asked {
            wrong.push(format!("asked {} times where {} were expected", named.len(), self.expected.asked));
        }
        if asked.len() > REQUESTS {
            wrong.push(format!("{} requests in all", asked.len()));
        }
        let told = named.iter().any(|asked| asked.header("authorization").is_some());
        if told && self.target.anonymous {
            wrong.push("the token went to a URL that is its own secret".to_owned());
        }
        if self.target.class == Class::Content && self.fault.name.starts_with("cut") {
            let ranges: Vec<_> = named.iter().skip(1).map(|asked| asked.header("range")).collect();
            let wanted = (self.fault.name != "cut at once always").then_some("bytes=100000-");
            if ranges.iter().any(|range| *range != wanted) {
                wrong.push(format!("the ranges asked for are {ranges:?}"));
            }
        }
        let most = match self.fault.name {
            "without an end" | "gzip bomb" => (64 << 20) + IN_SOCKETS,
            _ => IN_SOCKETS,
        };
        let most = most * named.len().max(1) as u64;
        if proxy.poured() > most {
            wrong.push(format!("{} bytes of an answer without an end were taken", proxy.poured()));
        }
    }

    pub fn judge_disk(
        &self,
        before: &BTreeMap<String, Vec<u8>>,
        after: &BTreeMap<String, Vec<u8>>,
        name: &str,
        there: &[u8],
        wrong: &mut Vec<String>,
    ) {
        let mut expected = before.clone();
        if matches!(self.verb, Verb::Get | Verb::Presign) && self.expected.exit == 0 {
            expected.insert(name.to_owned(), there.to_vec());
        }
        let mut after = after.clone();
        if let (Verb::Get, Some(part)) = (self.verb, self.expected.part) {
            expected.insert(format!("{name}.part"), there[..usize::try_from(part).unwrap()].to_vec());
            if after.remove(&format!("{name}.part.json")).is_none() {
                wrong.push("nothing notes whose the first bytes are".to_owned());
            }
        }
        if after != expected {
            let sizes = |files: &BTreeMap<String, Vec<u8>>| {
                files.iter().map(|(name, bytes)| format!("{name} {}", bytes.len())).collect::<Vec<_>>()
            };
            wrong.push(format!("on the disk: {:?} where {:?} was expected", sizes(&after), sizes(&expected)));
        }
    }

    pub fn judge_platform(
        &self,
        site: &Site,
        name: &str,
        id: &str,
        before: Option<&File>,
        (there, new): (&[u8], &[u8]),
        wrong: &mut Vec<String>,
    ) {
        let stored = site.stored(name);
        let contents: Vec<&[u8]> = stored.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        let done = self.expected.done;
        let expected: Vec<&[u8]> = match (self.verb, done) {
            (Verb::Upload, false) | (Verb::Rm, true) => vec![],
            // What is not known to be whole takes nobody's place.
            (Verb::Replace, true) if self.target.class == Class::Send && self.expected.exit != 0 => {
                vec![there, new]
            }
            (Verb::Retire, false) if self.expected.asked > 0 => vec![there, new],
            (Verb::Upload | Verb::Replace | Verb::Retire | Verb::To, true) => vec![new],
            _ => vec![there],
        };
        if contents != expected {
            let sizes: Vec<usize> = contents.iter().map(|bytes| bytes.len()).collect();
            let wanted: Vec<usize> = expected.iter().map(|bytes| bytes.len()).collect();
            wrong.push(format!("stored: {sizes:?} bytes where {wanted:?} were expected"));
        }
        let links = site.links(id).filter(|_| !id.is_empty());
        match self.verb {
            Verb::Meta => {
                let changed = stored.first().map(|(file, _)| file) != before;
                if changed != done {
                    wrong.push(format!("changed: {changed}"));
                }
            }
            Verb::Link if links.is_some_and(|count| count != usize::from(done)) => {
                wrong.push(format!("{links:?} links"));
            }
            Verb::Revoke if links.is_some_and(|count| count != usize::from(!done)) => {
                wrong.push(format!("{links:?} links"));
            }
            // One whose answer was lost ends by itself.
            Verb::Presign if links.is_some_and(|count| count > self.expected.asked) => {
                wrong.push(format!("{links:?} links"));
            }
            Verb::Get | Verb::Stdout
                if links.is_some_and(|count| count != usize::from(self.expected.link)) =>
            {
                wrong.push(format!("{links:?} links that were made to download are left"));
            }
            _ => {}
        }
    }
}

/// Whether a text begins as a pattern says; `*` is any text.
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
