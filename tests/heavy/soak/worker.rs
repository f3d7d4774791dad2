//! A worker: runs commands on its own files, and tracks their state from the reports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use haul::providers::{Duplicates, Op};
use serde_json::Value;

use crate::platforms::of;
use crate::soak::commands::Commands;
use crate::soak::expectation::{Expectation, Files, StoredFile, can, cases, contradiction, text};
use crate::soak::random::Random;
use crate::support::rig::Case;
use crate::support::sandbox::Run;

/// The maximum number of runs of one command until it succeeds.
const MAX_RUNS: usize = 12;
/// The maximum number of files per command.
const MAX_PER_COMMAND: u64 = 24;
/// The number of files on one platform above which nothing new is uploaded.
const MAX_FILES: usize = 60;
/// The exit code for a missing file.
const NOT_FOUND: i32 = 3;

pub struct Worker<'a> {
    commands: &'a Commands,
    cases: Vec<Case>,
    number: u64,
    random: Random,
    /// A counter for unique names.
    count: u64,
    pub expectation: Expectation,
}

#[derive(Clone, Copy, PartialEq)]
enum Exists {
    Upload,
    Skip,
    Replace,
}

impl<'a> Worker<'a> {
    pub fn new(commands: &'a Commands, number: u64, random: Random) -> Self {
        let cases = cases(commands.seed);
        let expectation = cases.iter().map(|case| (case.provider, Files::new())).collect();
        Self { commands, cases, number, random, count: 0, expectation }
    }

    /// Runs one random command until it succeeds.
    pub fn step(&mut self) {
        let case = self.cases[self.random.index(self.cases.len())];
        let platform = case.provider;
        let count = self.expectation[platform].len();
        // Without sizes and times haul cannot distinguish two files with one name after a failure, so all names on such a
        // platform are unique.
        let names_are_unique = !case.facts().lists_sizes_and_times;
        match self.random.below(100) {
            24..40 if names_are_unique => self.info(platform),
            _ if count == 0 => self.upload(&case, Exists::Upload),
            0..24 if count < MAX_FILES => self.upload(&case, Exists::Upload),
            24..32 => self.upload(&case, Exists::Skip),
            32..40 => self.upload(&case, Exists::Replace),
            40..58 => self.download(platform),
            58..66 => self.list(platform),
            66..76 => self.info(platform),
            76..82 => self.annotate(&case),
            82..86 => self.link(&case),
            _ => self.delete(platform),
        }
    }

    fn word(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("w{}-{kind}{:06}", self.number, self.count)
    }

    fn new_file(&mut self, platform: &str, name: String) -> StoredFile {
        let accepts_empty = of(platform).spec().dialects.iter().all(|dialect| dialect.can.upload.empty);
        // On platforms that store equal content only once, no two files may be equal.
        let stores_once =
            of(platform).spec().dialects.iter().any(|dialect| dialect.can.duplicates == Duplicates::Never);
        let least = if stores_once { 16 } else { 1 };
        let size = match self.random.below(100) {
            0..5 if accepts_empty => 0,
            0..75 => least + self.random.below(4096),
            75..95 => least + self.random.below(64 << 10),
            _ => least + self.random.below(1 << 20),
        };
        StoredFile { name, size, seed: self.random.next(), metadata: Value::Null }
    }

    /// The number of files of a command: one, or up to the maximum.
    fn file_count(&mut self) -> usize {
        if self.random.percent(40) {
            1
        } else {
            2 + self.random.index(usize::try_from(MAX_PER_COMMAND).unwrap() - 1)
        }
    }

    /// The files with a unique name on this platform.
    fn unique(&self, platform: &str) -> Vec<(String, StoredFile)> {
        let files = &self.expectation[platform];
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        for stored in files.values() {
            *names.entry(&stored.name).or_default() += 1;
        }
        let unique = files.iter().filter(|(_, stored)| names[stored.name.as_str()] == 1);
        unique.map(|(id, stored)| (id.clone(), stored.clone())).collect()
    }

    /// Some of the expected files, without those that share a name.
    fn some(&mut self, platform: &str) -> Vec<(String, StoredFile)> {
        let count = self.file_count();
        let unique = self.unique(platform);
        self.random.choose(unique, count)
    }

    /// The time after which the command is killed; `None` for most commands.
    fn kill(&mut self, platform: &str) -> Option<Duration> {
        // Without sizes and times the outcome after a kill is ambiguous.
        let can_tell = of(platform).facts.lists_sizes_and_times;
        (self.random.percent(8) && can_tell).then(|| Duration::from_millis(self.random.below(60)))
    }

    /// Repeats a command until `is_done` returns true for a run. After too many runs, reports a difference and returns
    /// `None`.
    fn run_until_done(
        &mut self,
        platform: &str,
        arguments: &[String],
        mut kill: Option<Duration>,
        mut is_done: impl FnMut(&Run) -> bool,
    ) -> Option<Run> {
        let mut error = String::new();
        for _ in 0..MAX_RUNS {
            let run = self.commands.run(arguments, kill.take());
            if is_done(&run) {
                return Some(run);
            }
            self.delete_unreported_upload(platform, &run);
            error = run.stderr();
        }
        self.commands.totals.report(&format!("{arguments:?} did not succeed in {MAX_RUNS} runs:\n{error}"));
        None
    }

    /// Follows haul's hint about an ambiguous upload on platforms whose listings contain neither sizes nor times: deletes
    /// the file with that name that no command has reported.
    fn delete_unreported_upload(&self, platform: &str, run: &Run) {
        if of(platform).facts.lists_sizes_and_times
            || !run.stderr().contains("may be this file or an older one")
        {
            return;
        }
        self.commands.totals.note(format!("ambiguous uploads to {platform}"), 1);
        let filter = format!("name:w{}-*", self.number);
        let ls = ["ls", "-p", platform, "--jsonl", "--filter", &filter].map(str::to_owned);
        let reported: BTreeSet<String> = run.rows().iter().map(|row| text(row, "id").to_owned()).collect();
        for row in self.commands.run(&ls, None).rows() {
            let id = text(&row, "id");
            if !self.expectation[platform].contains_key(id)
                && !reported.contains(id)
                && run.stderr().contains(id)
            {
                self.commands
                    .run(&["rm", "-p", platform, "--yes", &format!("id:{id}")].map(str::to_owned), None);
            }
        }
    }

    fn report(&self, difference: &str) {
        self.commands.totals.report(difference);
    }

    fn upload(&mut self, case: &Case, exists: Exists) {
        let platform = case.provider;
        let files: Vec<StoredFile> = match exists {
            Exists::Upload => (0..self.file_count())
                .map(|_| {
                    // Some platforms create links only for a few content types.
                    let name = format!("{}.pdf", self.word(""));
                    self.new_file(platform, name)
                })
                .collect(),
            Exists::Skip | Exists::Replace => {
                let chosen = self.some(platform);
                let same = if exists == Exists::Skip { 70 } else { 10 };
                chosen
                    .into_iter()
                    .map(|(_, stored)| {
                        if self.random.percent(same) { stored } else { self.new_file(platform, stored.name) }
                    })
                    .collect()
            }
        };
        if files.is_empty() {
            return;
        }
        let word = self.word("up");
        let folder = self.commands.folder(&word);
        for stored in &files {
            fs::write(folder.join(&stored.name), stored.content()).unwrap();
        }
        let mut arguments = ["upload", "-p", platform, "--jsonl"].map(str::to_owned).to_vec();
        match exists {
            Exists::Upload => {}
            Exists::Skip => arguments.extend(["--if-exists", "skip"].map(str::to_owned)),
            Exists::Replace => arguments.extend(["--if-exists", "replace"].map(str::to_owned)),
        }
        let together = case.can().upload.files_per_request > 1;
        if together && exists == Exists::Upload && self.random.percent(30) {
            arguments.push("--together".to_owned());
        }
        if self.random.percent(70) {
            arguments.extend(["-j".to_owned(), (1 + self.random.below(8)).to_string()]);
        }
        if files.len() == 1 {
            arguments.push(folder.join(&files[0].name).display().to_string());
        } else {
            arguments.extend(["-r".to_owned(), folder.display().to_string()]);
        }
        let kill = self.kill(platform);
        let mut reported: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let done = self.run_until_done(platform, &arguments, kill, |run| {
            let rows = run.rows();
            for row in &rows {
                reported.entry(text(row, "name").to_owned()).or_default().insert(text(row, "id").to_owned());
            }
            // A command killed after its last report has done its work; another run would repeat it.
            run.succeeded() || run.is_killed() && rows.len() == files.len()
        });
        fs::remove_dir_all(folder).unwrap();
        let Some(run) = done else { return };
        self.expect_uploads(platform, exists, &files, &run.rows());
        for (name, ids) in reported.iter().filter(|(_, ids)| ids.len() > 1) {
            self.report(&format!("{arguments:?}: {name} was reported as {ids:?}"));
        }
        let verb = match exists {
            Exists::Upload => "upload",
            Exists::Skip => "skip",
            Exists::Replace => "replace",
        };
        self.commands.totals.count(verb, platform, files.len());
    }

    fn expect_uploads(
        &mut self,
        platform: &'static str,
        exists: Exists,
        files: &[StoredFile],
        rows: &[Value],
    ) {
        let mut differences = Vec::new();
        if rows.len() != files.len() {
            differences.push(format!("{} files were sent and {} reported", files.len(), rows.len()));
        }
        let expected = self.expectation.entry(platform).or_default();
        for row in rows {
            let (id, name) = (text(row, "id"), text(row, "name"));
            let Some(sent) = files.iter().find(|stored| stored.name == name) else {
                differences.push(format!("{name} {id} is reported, but was not sent"));
                continue;
            };
            let now = StoredFile { metadata: row["metadata"].clone(), ..sent.clone() };
            differences.extend(
                contradiction(row, &now)
                    .map(|difference| format!("{name} {id} was uploaded, but {difference}")),
            );
            match (expected.get(id), exists) {
                (None, Exists::Upload | Exists::Skip) | (Some(_), Exists::Replace) => {}
                // The old file with this name was deleted.
                (None, Exists::Replace) => expected.retain(|_, stored| stored.name != name),
                (Some(before), Exists::Skip) if before.has_content_of(sent) => {}
                (Some(before), _) => {
                    differences.push(format!("{name} became {id}, which was {}", before.name));
                }
            }
            expected.insert(id.to_owned(), now);
        }
        for difference in differences {
            self.report(&format!("{platform}: {difference}"));
        }
    }

    fn download(&mut self, platform: &'static str) {
        let files = self.some(platform);
        if files.is_empty() {
            return;
        }
        let word = self.word("get");
        let folder = self.commands.folder(&word);
        let mut arguments = ["get", "-p", platform].map(str::to_owned).to_vec();
        if files.len() == 1 && self.random.percent(30) {
            arguments.extend(["-o".to_owned(), "-".to_owned(), format!("id:{}", files[0].0)]);
            let done = self.run_until_done(platform, &arguments, None, Run::succeeded);
            if done.is_some_and(|run| run.out != files[0].1.content()) {
                self.report(&format!("{platform}: {} has wrong bytes", files[0].0));
            }
        } else {
            // A repeated command must be able to continue.
            arguments.extend(["--jsonl", "--skip-existing", "-o"].map(str::to_owned));
            arguments.push(format!("{}/", folder.display()));
            arguments.extend(files.iter().map(|(id, _)| format!("id:{id}")));
            let kill = if self.random.percent(8) {
                Some(Duration::from_millis(self.random.below(60)))
            } else {
                None
            };
            if self.run_until_done(platform, &arguments, kill, Run::succeeded).is_some() {
                self.check_downloads(platform, &folder, &files);
            }
        }
        fs::remove_dir_all(folder).unwrap();
        self.commands.totals.count("get", platform, files.len());
    }

    fn check_downloads(&self, platform: &str, folder: &Path, files: &[(String, StoredFile)]) {
        let mut found: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        for (id, stored) in files {
            found.remove(&stored.name);
            if fs::read(folder.join(&stored.name)).ok() != Some(stored.content()) {
                self.report(&format!("{platform}: {} {id} has wrong bytes", stored.name));
            }
        }
        for name in found {
            self.report(&format!("{platform}: {name} was remaining in the folder of a download"));
        }
    }

    fn list(&mut self, platform: &'static str) {
        let prefix = format!("w{}-", self.number);
        let least = self.random.below(5000);
        let sized = self.random.percent(40) && of(platform).facts.lists_sizes_and_times;
        let filter =
            if sized { format!("size > {least} AND name:{prefix}*") } else { format!("name:{prefix}*") };
        let mut arguments = ["ls", "-p", platform, "--jsonl", "--filter"].map(str::to_owned).to_vec();
        arguments.push(filter.clone());
        // If another worker deletes the only file of a page, some platforms cannot find the next page.
        if self.random.percent(20) {
            arguments.extend(["--page-size".to_owned(), (5 + self.random.below(40)).to_string()]);
        }
        let Some(run) = self.run_until_done(platform, &arguments, None, Run::succeeded) else { return };
        let expected = self.expectation[platform].iter().filter(|(_, stored)| !sized || stored.size > least);
        let mut expected: Files = expected.map(|(id, stored)| (id.clone(), stored.clone())).collect();
        for row in run.rows() {
            let id = text(&row, "id");
            match expected.remove(id) {
                Some(stored) => {
                    if let Some(difference) = contradiction(&row, &stored) {
                        self.report(&format!("{platform}: {id} is listed, but {difference}"));
                    }
                }
                None => self.report(&format!("{platform}: {filter} lists {} {id}", text(&row, "name"))),
            }
        }
        for (id, stored) in expected {
            self.report(&format!("{platform}: {filter} does not list {} {id}", stored.name));
        }
        self.commands.totals.count("ls", platform, 1);
    }

    fn info(&mut self, platform: &'static str) {
        let files = self.some(platform);
        if files.is_empty() {
            return;
        }
        let mut arguments = ["info", "-p", platform, "--jsonl"].map(str::to_owned).to_vec();
        arguments.extend(files.iter().map(|(id, _)| format!("id:{id}")));
        let Some(run) = self.run_until_done(platform, &arguments, None, Run::succeeded) else { return };
        let rows = run.rows();
        for (id, stored) in &files {
            let difference = match rows.iter().find(|row| text(row, "id") == id) {
                Some(row) => contradiction(row, stored),
                None => Some("no row about it".to_owned()),
            };
            if let Some(difference) = difference {
                self.report(&format!("{platform}: info {id}: {difference}"));
            }
        }
        self.commands.totals.count("info", platform, files.len());
    }

    fn annotate(&mut self, case: &Case) {
        let (platform, value) = (case.provider, self.random.below(1000));
        let numbered = case.can().annotate.is_some_and(|can| can.metadata && can.keys.is_empty());
        let named = case.can().annotate.is_some_and(|can| can.name);
        let change = if !can(case, Op::Annotate) {
            return self.info(platform);
        } else if numbered {
            vec![format!("number={value}")]
        } else if named {
            vec!["--name".to_owned(), format!("{}.pdf", self.word("new"))]
        } else {
            return self.info(platform);
        };
        let Some((id, mut stored)) = self.some(platform).into_iter().next() else { return };
        let mut arguments = ["meta", "set", "-p", platform, "--jsonl"].map(str::to_owned).to_vec();
        arguments.push(format!("id:{id}"));
        arguments.extend(change);
        let Some(run) = self.run_until_done(platform, &arguments, None, Run::succeeded) else { return };
        match run.rows().as_slice() {
            [row] if text(row, "id") == id => {
                text(row, "name").clone_into(&mut stored.name);
                stored.metadata = row["metadata"].clone();
                if numbered && stored.metadata["number"] != value {
                    self.report(&format!("{platform}: {id} has {} after number={value}", stored.metadata));
                }
                self.expectation.entry(platform).or_default().insert(id, stored);
            }
            rows => self.report(&format!("{platform}: meta set {id} returned {rows:?}")),
        }
        self.commands.totals.count("meta set", platform, 1);
    }

    fn link(&mut self, case: &Case) {
        let platform = case.provider;
        if !can(case, Op::Link) {
            return self.info(platform);
        }
        // Some platforms create no links to empty files.
        let Some((id, _)) = self.some(platform).into_iter().find(|(_, stored)| stored.size > 0) else {
            return;
        };
        let link = |more: &[&str]| -> Vec<String> {
            let id = format!("id:{id}");
            let words = ["link", "-p", platform, "--jsonl", id.as_str()];
            words.iter().chain(more).map(|word| (*word).to_owned()).collect()
        };
        let Some(run) = self.run_until_done(platform, &link(&[]), None, Run::succeeded) else { return };
        let scheme = if case.spec().base_url.is_empty() { "file://" } else { "http" };
        if !run.rows().first().is_some_and(|row| text(row, "url").starts_with(scheme)) {
            self.report(&format!("{platform}: link {id} returned {}", String::from_utf8_lossy(&run.out)));
        }
        // The file's record contains the link until it is revoked.
        if of(platform).soak.as_ref().is_ok_and(|soak| soak.one_link) {
            // After a lost response the next run finds no link.
            for _ in 0..MAX_RUNS {
                let run = self.commands.run_allowing(&link(&["--revoke"]), None, &[NOT_FOUND]);
                if matches!(run.status, 0 | NOT_FOUND) {
                    break;
                }
            }
        }
        self.commands.totals.count("link", platform, 1);
    }

    fn delete(&mut self, platform: &'static str) {
        let files = self.some(platform);
        if files.is_empty() {
            return;
        }
        let mut remaining: BTreeSet<String> = files.iter().map(|(id, _)| id.clone()).collect();
        let mut kill = self.kill(platform);
        let (mut tries, mut killed) = (0, false);
        // Files reported as deleted are not named again; others may have been deleted without a report.
        while !remaining.is_empty() && tries < MAX_RUNS {
            let mut arguments = ["rm", "-p", platform, "--jsonl", "--yes"].map(str::to_owned).to_vec();
            arguments.extend(remaining.iter().map(|id| format!("id:{id}")));
            // The server may execute a request of a killed command after the check for the file.
            let allowed: &[i32] = if killed { &[NOT_FOUND] } else { &[] };
            let run = self.commands.run_allowing(&arguments, kill.take(), allowed);
            killed |= run.is_killed();
            for row in run.rows().iter().filter(|row| row["deleted"] == true) {
                if !remaining.remove(text(row, "id")) {
                    self.report(&format!("{platform}: rm reports {row}"));
                }
            }
            tries += 1;
            remaining.retain(|id| self.exists(platform, id));
        }
        for id in remaining {
            self.report(&format!("{platform}: {id} could not be deleted in {MAX_RUNS} runs"));
        }
        let expected = self.expectation.entry(platform).or_default();
        for (id, _) in &files {
            expected.remove(id);
        }
        self.commands.totals.count("rm", platform, files.len());
    }

    fn exists(&mut self, platform: &str, id: &str) -> bool {
        let deleted = of(platform).facts.deleted_status;
        let arguments = ["info", "-q", "-p", platform, "--jsonl"].map(str::to_owned);
        let arguments: Vec<String> = arguments.into_iter().chain([format!("id:{id}")]).collect();
        for _ in 0..MAX_RUNS {
            let run = self.commands.run_allowing(&arguments, None, &[NOT_FOUND]);
            match run.status {
                // Some platforms still return the record of a deleted file.
                0 => {
                    return run
                        .rows()
                        .iter()
                        .any(|row| row["status"].as_str() != deleted || deleted.is_none());
                }
                NOT_FOUND => return false,
                _ => {}
            }
        }
        true
    }
}
