//! One of those who work at once: it runs commands on files of its own and believes what they report.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use haul::providers::Op;
use serde_json::Value;

use crate::platforms::of;
use crate::soak::belief::{Belief, Files, Kept, can, cases, contradiction, text};
use crate::soak::commands::Commands;
use crate::soak::random::Random;
use crate::support::rig::Case;
use crate::support::sandbox::Run;

/// Runs of one command until it succeeds.
const TRIES: usize = 12;
/// Files of one command.
const MANY: u64 = 24;
/// Files on one platform beyond which more are deleted than uploaded.
const ENOUGH: usize = 60;
/// The exit code where there is no such file.
const NOT_FOUND: i32 = 3;

pub struct Worker<'a> {
    commands: &'a Commands,
    cases: Vec<Case>,
    number: u64,
    random: Random,
    /// Makes names and content differ.
    count: u64,
    pub belief: Belief,
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
        let belief = cases.iter().map(|case| (case.provider, Files::new())).collect();
        Self { commands, cases, number, random, count: 0, belief }
    }

    /// One command, run until it succeeds.
    pub fn step(&mut self) {
        let case = self.cases[self.random.index(self.cases.len())];
        let platform = case.provider;
        let there = self.belief[platform].len();
        // Without sizes and times haul refuses to guess after a failure which of two files with one name is which, so no
        // two files get the same name there.
        let one_of_a_name = !case.facts().states_size_and_times;
        match self.random.below(100) {
            24..40 if one_of_a_name => self.inform(platform),
            _ if there == 0 => self.upload(&case, Exists::Upload),
            0..24 if there < ENOUGH => self.upload(&case, Exists::Upload),
            24..32 => self.upload(&case, Exists::Skip),
            32..40 => self.upload(&case, Exists::Replace),
            40..58 => self.download(platform),
            58..66 => self.list(platform),
            66..76 => self.inform(platform),
            76..82 => self.annotate(&case),
            82..86 => self.link(&case),
            _ => self.delete(platform),
        }
    }

    fn word(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("w{}-{kind}{:06}", self.number, self.count)
    }

    fn fresh(&mut self, platform: &str, name: String) -> Kept {
        let takes_empty = of(platform).spec().dialects.iter().all(|dialect| dialect.can.upload.empty);
        let size = match self.random.below(100) {
            0..5 if takes_empty => 0,
            0..75 => 1 + self.random.below(4096),
            75..95 => 1 + self.random.below(64 << 10),
            _ => 1 + self.random.below(1 << 20),
        };
        Kept { name, size, seed: self.random.next(), metadata: Value::Null }
    }

    /// One file or many, as a file of a folder each.
    fn how_many(&mut self) -> usize {
        if self.random.percent(40) { 1 } else { 2 + self.random.index(usize::try_from(MANY).unwrap() - 1) }
    }

    /// Files whose names nobody else of this platform has.
    fn unique(&self, platform: &str) -> Vec<(String, Kept)> {
        let files = &self.belief[platform];
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        for kept in files.values() {
            *names.entry(&kept.name).or_default() += 1;
        }
        let alone = files.iter().filter(|(_, kept)| names[kept.name.as_str()] == 1);
        alone.map(|(id, kept)| (id.clone(), kept.clone())).collect()
    }

    /// Some of the files that should be there, each name once.
    fn some(&mut self, platform: &str) -> Vec<(String, Kept)> {
        let count = self.how_many();
        let unique = self.unique(platform);
        self.random.choose(unique, count)
    }

    /// A moment to kill the command at, now and then.
    fn kill(&mut self, platform: &str) -> Option<Duration> {
        // Without sizes and times haul refuses to guess after a kill.
        let can_tell = of(platform).facts.states_size_and_times;
        (self.random.percent(8) && can_tell).then(|| Duration::from_millis(self.random.below(60)))
    }

    /// Runs a command until it succeeds, or is done by another measure; the rows of each run are heard.
    fn until_done(
        &mut self,
        platform: &str,
        arguments: &[String],
        mut kill: Option<Duration>,
        mut is_done: impl FnMut(&Run) -> bool,
    ) -> Option<Run> {
        let mut said = String::new();
        for _ in 0..TRIES {
            let ran = self.commands.run(arguments, kill.take());
            if is_done(&ran) {
                return Some(ran);
            }
            self.look_before_sending_again(platform, &ran);
            said = ran.stderr();
        }
        self.commands.totals.differ(&format!("{arguments:?} did not succeed in {TRIES} runs:\n{said}"));
        None
    }

    /// Follows haul's hint if it refuses to guess because listings state neither sizes nor times: deletes a file with
    /// that name that no command has reported.
    fn look_before_sending_again(&self, platform: &str, ran: &Run) {
        if of(platform).facts.states_size_and_times
            || !ran.stderr().contains("may be this file or an older one")
        {
            return;
        }
        self.commands.totals.note(format!("uploads to {platform} that were looked for by hand"), 1);
        let filter = format!("name:w{}-*", self.number);
        let ls = ["ls", "-p", platform, "--jsonl", "--filter", &filter].map(str::to_owned);
        let told: BTreeSet<String> = ran.rows().iter().map(|row| text(row, "id").to_owned()).collect();
        for row in self.commands.run(&ls, None).rows() {
            let id = text(&row, "id");
            if !self.belief[platform].contains_key(id) && !told.contains(id) && ran.stderr().contains(id) {
                self.commands
                    .run(&["rm", "-p", platform, "--yes", &format!("id:{id}")].map(str::to_owned), None);
            }
        }
    }

    fn differ(&self, what: &str) {
        self.commands.totals.differ(what);
    }

    fn upload(&mut self, case: &Case, exists: Exists) {
        let platform = case.provider;
        let files: Vec<Kept> = match exists {
            Exists::Upload => (0..self.how_many())
                .map(|_| {
                    // Some platforms make links only to a few content types.
                    let name = format!("{}.pdf", self.word(""));
                    self.fresh(platform, name)
                })
                .collect(),
            Exists::Skip | Exists::Replace => {
                let chosen = self.some(platform);
                let same = if exists == Exists::Skip { 70 } else { 10 };
                chosen
                    .into_iter()
                    .map(
                        |(_, kept)| {
                            if self.random.percent(same) { kept } else { self.fresh(platform, kept.name) }
                        },
                    )
                    .collect()
            }
        };
        if files.is_empty() {
            return;
        }
        let word = self.word("up");
        let folder = self.commands.folder(&word);
        for kept in &files {
            fs::write(folder.join(&kept.name), kept.content()).unwrap();
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
        let done = self.until_done(platform, &arguments, kill, |ran| {
            let rows = ran.rows();
            for row in &rows {
                reported.entry(text(row, "name").to_owned()).or_default().insert(text(row, "id").to_owned());
            }
            // Killed when all had been told: the work is done, and another run would rightly do it again.
            ran.succeeded() || ran.is_killed() && rows.len() == files.len()
        });
        fs::remove_dir_all(folder).unwrap();
        let Some(ran) = done else { return };
        self.believe_uploads(platform, exists, &files, &ran.rows());
        for (name, ids) in reported.iter().filter(|(_, ids)| ids.len() > 1) {
            self.differ(&format!("{arguments:?}: {name} was reported as {ids:?}"));
        }
        let verb = match exists {
            Exists::Upload => "upload",
            Exists::Skip => "skip",
            Exists::Replace => "replace",
        };
        self.commands.totals.count(verb, platform, files.len());
    }

    fn believe_uploads(&mut self, platform: &'static str, exists: Exists, files: &[Kept], rows: &[Value]) {
        let mut wrong = Vec::new();
        if rows.len() != files.len() {
            wrong.push(format!("{} files went up and {} came back", files.len(), rows.len()));
        }
        let believed = self.belief.entry(platform).or_default();
        for row in rows {
            let (id, name) = (text(row, "id"), text(row, "name"));
            let Some(sent) = files.iter().find(|kept| kept.name == name) else {
                wrong.push(format!("{name} {id} came back, which was not sent"));
                continue;
            };
            let now = Kept { metadata: row["metadata"].clone(), ..sent.clone() };
            wrong
                .extend(contradiction(row, &now).map(|what| format!("{name} {id} was uploaded, but {what}")));
            match (believed.get(id), exists) {
                (None, Exists::Upload | Exists::Skip) | (Some(_), Exists::Replace) => {}
                // The file that had the name before has gone.
                (None, Exists::Replace) => believed.retain(|_, kept| kept.name != name),
                (Some(before), Exists::Skip) if before.has_content_of(sent) => {}
                (Some(before), _) => wrong.push(format!("{name} became {id}, which was {}", before.name)),
            }
            believed.insert(id.to_owned(), now);
        }
        for what in wrong {
            self.differ(&format!("{platform}: {what}"));
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
            let done = self.until_done(platform, &arguments, None, Run::succeeded);
            if done.is_some_and(|ran| ran.out != files[0].1.content()) {
                self.differ(&format!("{platform}: {} came with other bytes", files[0].0));
            }
        } else {
            // The same command again must be able to go on.
            arguments.extend(["--jsonl", "--skip-existing", "-o"].map(str::to_owned));
            arguments.push(format!("{}/", folder.display()));
            arguments.extend(files.iter().map(|(id, _)| format!("id:{id}")));
            let kill = if self.random.percent(8) {
                Some(Duration::from_millis(self.random.below(60)))
            } else {
                None
            };
            if self.until_done(platform, &arguments, kill, Run::succeeded).is_some() {
                self.check_downloads(platform, &folder, &files);
            }
        }
        fs::remove_dir_all(folder).unwrap();
        self.commands.totals.count("get", platform, files.len());
    }

    fn check_downloads(&self, platform: &str, folder: &Path, files: &[(String, Kept)]) {
        let mut there: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        for (id, kept) in files {
            there.remove(&kept.name);
            if fs::read(folder.join(&kept.name)).ok() != Some(kept.content()) {
                self.differ(&format!("{platform}: {} {id} came with other bytes", kept.name));
            }
        }
        for name in there {
            self.differ(&format!("{platform}: {name} was left in the folder of a download"));
        }
    }

    fn list(&mut self, platform: &'static str) {
        let prefix = format!("w{}-", self.number);
        let least = self.random.below(5000);
        let sized = self.random.percent(40) && of(platform).facts.states_size_and_times;
        let filter =
            if sized { format!("size > {least} AND name:{prefix}*") } else { format!("name:{prefix}*") };
        let mut arguments = ["ls", "-p", platform, "--jsonl", "--filter"].map(str::to_owned).to_vec();
        arguments.push(filter.clone());
        // If another worker deletes the only file of a page, some platforms cannot find the next page.
        if self.random.percent(20) {
            arguments.extend(["--page-size".to_owned(), (5 + self.random.below(40)).to_string()]);
        }
        let Some(ran) = self.until_done(platform, &arguments, None, Run::succeeded) else { return };
        let expected = self.belief[platform].iter().filter(|(_, kept)| !sized || kept.size > least);
        let mut expected: Files = expected.map(|(id, kept)| (id.clone(), kept.clone())).collect();
        for row in ran.rows() {
            let id = text(&row, "id");
            match expected.remove(id) {
                Some(kept) => {
                    if let Some(what) = contradiction(&row, &kept) {
                        self.differ(&format!("{platform}: {id} is listed, but {what}"));
                    }
                }
                None => self.differ(&format!("{platform}: {filter} lists {} {id}", text(&row, "name"))),
            }
        }
        for (id, kept) in expected {
            self.differ(&format!("{platform}: {filter} does not list {} {id}", kept.name));
        }
        self.commands.totals.count("ls", platform, 1);
    }

    fn inform(&mut self, platform: &'static str) {
        let files = self.some(platform);
        if files.is_empty() {
            return;
        }
        let mut arguments = ["info", "-p", platform, "--jsonl"].map(str::to_owned).to_vec();
        arguments.extend(files.iter().map(|(id, _)| format!("id:{id}")));
        let Some(ran) = self.until_done(platform, &arguments, None, Run::succeeded) else { return };
        let rows = ran.rows();
        for (id, kept) in &files {
            let what = match rows.iter().find(|row| text(row, "id") == id) {
                Some(row) => contradiction(row, kept),
                None => Some("nothing is said of it".to_owned()),
            };
            if let Some(what) = what {
                self.differ(&format!("{platform}: info {id}: {what}"));
            }
        }
        self.commands.totals.count("info", platform, files.len());
    }

    fn annotate(&mut self, case: &Case) {
        let (platform, value) = (case.provider, self.random.below(1000));
        let numbered = case.can().annotate.is_some_and(|can| can.metadata && can.keys.is_empty());
        let named = case.can().annotate.is_some_and(|can| can.name);
        let change = if !can(case, Op::Annotate) {
            return self.inform(platform);
        } else if numbered {
            vec![format!("number={value}")]
        } else if named {
            vec!["--name".to_owned(), format!("{}.pdf", self.word("new"))]
        } else {
            return self.inform(platform);
        };
        let Some((id, mut kept)) = self.some(platform).into_iter().next() else { return };
        let mut arguments = ["meta", "set", "-p", platform, "--jsonl"].map(str::to_owned).to_vec();
        arguments.push(format!("id:{id}"));
        arguments.extend(change);
        let Some(ran) = self.until_done(platform, &arguments, None, Run::succeeded) else { return };
        match ran.rows().as_slice() {
            [row] if text(row, "id") == id => {
                text(row, "name").clone_into(&mut kept.name);
                kept.metadata = row["metadata"].clone();
                if numbered && kept.metadata["number"] != value {
                    self.differ(&format!("{platform}: {id} has {} after number={value}", kept.metadata));
                }
                self.belief.entry(platform).or_default().insert(id, kept);
            }
            rows => self.differ(&format!("{platform}: meta set {id} told {rows:?}")),
        }
        self.commands.totals.count("meta set", platform, 1);
    }

    fn link(&mut self, case: &Case) {
        let platform = case.provider;
        if !can(case, Op::Link) {
            return self.inform(platform);
        }
        // Some platforms make no link to an empty file.
        let Some((id, _)) = self.some(platform).into_iter().find(|(_, kept)| kept.size > 0) else { return };
        let link = |more: &[&str]| -> Vec<String> {
            let id = format!("id:{id}");
            let words = ["link", "-p", platform, "--jsonl", id.as_str()];
            words.iter().chain(more).map(|word| (*word).to_owned()).collect()
        };
        let Some(ran) = self.until_done(platform, &link(&[]), None, Run::succeeded) else { return };
        let scheme = if case.spec().base_url.is_empty() { "file://" } else { "http" };
        if !ran.rows().first().is_some_and(|row| text(row, "url").starts_with(scheme)) {
            self.differ(&format!("{platform}: link {id} told {}", String::from_utf8_lossy(&ran.out)));
        }
        // The file shows its link until it is revoked.
        if of(platform).soak.as_ref().is_ok_and(|soak| soak.one_link) {
            // Where an answer was lost, the next run finds nothing to revoke.
            for _ in 0..TRIES {
                let ran = self.commands.run_allowing(&link(&["--revoke"]), None, &[NOT_FOUND]);
                if matches!(ran.status, 0 | NOT_FOUND) {
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
        let mut left: BTreeSet<String> = files.iter().map(|(id, _)| id.clone()).collect();
        let mut kill = self.kill(platform);
        let (mut tries, mut killed) = (0, false);
        // What was said to be gone is not named again; what was not said may have gone all the same.
        while !left.is_empty() && tries < TRIES {
            let mut arguments = ["rm", "-p", platform, "--jsonl", "--yes"].map(str::to_owned).to_vec();
            arguments.extend(left.iter().map(|id| format!("id:{id}")));
            // What a killed command had asked for may be carried out after it was looked for.
            let allowed: &[i32] = if killed { &[NOT_FOUND] } else { &[] };
            let ran = self.commands.run_allowing(&arguments, kill.take(), allowed);
            killed |= ran.is_killed();
            for row in ran.rows().iter().filter(|row| row["deleted"] == true) {
                if !left.remove(text(row, "id")) {
                    self.differ(&format!("{platform}: rm told of {row}"));
                }
            }
            tries += 1;
            left.retain(|id| self.is_there(platform, id));
        }
        for id in left {
            self.differ(&format!("{platform}: {id} could not be deleted in {TRIES} runs"));
        }
        let believed = self.belief.entry(platform).or_default();
        for (id, _) in &files {
            believed.remove(id);
        }
        self.commands.totals.count("rm", platform, files.len());
    }

    fn is_there(&mut self, platform: &str, id: &str) -> bool {
        let deleted = of(platform).facts.deleted_status;
        let arguments = ["info", "-q", "-p", platform, "--jsonl"].map(str::to_owned);
        let arguments: Vec<String> = arguments.into_iter().chain([format!("id:{id}")]).collect();
        for _ in 0..TRIES {
            let ran = self.commands.run_allowing(&arguments, None, &[NOT_FOUND]);
            match ran.status {
                // Some platforms still return the record of a deleted file.
                0 => {
                    return ran
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
