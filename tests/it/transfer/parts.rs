//! Faults during multipart uploads with parts in any order: which requests are repeated, and which file exists afterwards.

use std::sync::Arc;
use std::time::Duration;

use haul::error::Result;
use haul::http::Policy;
use haul::interrupt::Interrupt;
use haul::model::{Clock, NewFile};
use haul::progress::Silent;
use haul::store::Listing;
use haul::transfer::{IfExists, Ledger, UploadOptions, Uploaded, Uploads};

use crate::platforms::{Parts, cases, emulated, some};
use crate::support::connection::Profile;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::within;
use crate::support::rig::{Case, TOKEN};
use crate::transfer::platform::noise;

/// Four parts.
const SIZE: usize = 3 * 1024 * 1024 + 1;

struct Bench {
    case: Case,
    served: Emulator,
}

impl Bench {
    fn new(case: Case, faults: &[&str]) -> Self {
        let own: Vec<String> =
            faults.iter().map(|fault| fault.replace("**", &format!("{}/**", case.provider))).collect();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let served = Emulator::start(&Setup { faults: &own, ..case.setup(Clock(None)) });
        Self { case, served }
    }

    async fn send(&self, parts: Parts) -> Result<Uploaded> {
        let policy =
            Policy { base: Duration::from_millis(2), cap: Duration::from_millis(5), ..Policy::default() };
        let base_url = self.served.base(self.case.provider).parse().unwrap();
        let profile = Profile {
            token: Some(TOKEN),
            set: parts.set,
            policy,
            ..Profile::new(self.case.spec(), &base_url)
        };
        let appears_within = Some(Duration::from_millis(100));
        let options = UploadOptions {
            if_exists: IfExists::Upload,
            verify: true,
            appears_within,
            ..UploadOptions::default()
        };
        let provider = Arc::from(profile.open().unwrap());
        let uploads =
            Uploads::new(provider, options, Ledger::default(), Clock::default(), Interrupt::default());
        let purpose = parts.purpose.map(str::to_owned);
        let file = NewFile { purpose, ..NewFile::from_bytes("report.bin", noise(1, SIZE)) };
        uploads.upload(&file, &Silent).await
    }

    /// The number of requests whose path has each ending. Waits until the numbers are as expected, within a time limit.
    fn counts(&self, expected: [usize; 4]) -> [usize; 4] {
        let (mut log, mut counts) = (Vec::new(), [0; 4]);
        within(|| {
            log.extend(self.served.log());
            let ending = |end: &str| {
                log.iter()
                    .filter(|line| line["path"].as_str().is_some_and(|path| path.ends_with(end)))
                    .count()
            };
            counts = ["/uploads", "/parts", "/complete", "/cancel"].map(ending);
            counts == expected
        });
        counts
    }

    /// The contents of the stored files.
    fn stored(&self) -> Vec<Vec<u8>> {
        let files = self.served.store.list(self.case.provider, &Listing { limit: 10, ..Listing::default() });
        let read = |id| {
            let mut bytes = Vec::new();
            self.served.store.get(self.case.provider, id).unwrap().1.copy_to(&mut bytes).unwrap();
            bytes
        };
        files.unwrap().iter().map(|file| read(&file.id)).collect()
    }
}

fn cases_in_parts() -> Vec<(Case, Parts)> {
    some(cases().filter_map(|case| Some((case, case.facts().parts?))))
}

/// Two servers that share a store take turns.
#[tokio::test(flavor = "multi_thread")]
async fn every_server_continues_an_upload() {
    for (case, parts) in cases_in_parts().into_iter().filter(|(case, _)| emulated(case.provider).is_some()) {
        let bench = Bench::new(Case { replicas: true, ..case }, &[]);
        bench.send(parts).await.unwrap_or_else(|error| panic!("{}: {error}", case.name()));
        assert_eq!(bench.stored(), [noise(1, SIZE)], "{}", case.name());
        assert_eq!(bench.served.blobs(), 1, "{}: the parts are discarded", case.name());
    }
}

/// A fault, and the numbers of begun uploads, parts, completions and cancellations.
#[tokio::test]
async fn a_part_is_sent_again_alone() {
    for (case, parts) in cases_in_parts() {
        for (fault, expected) in [
            ("429 POST **/parts nth=2 retry-after=0", [1, 5, 1, 0]),
            ("fail=500 POST **/parts nth=1", [1, 5, 1, 0]),
            ("fail=409 POST **/parts nth=4", [1, 5, 1, 0]),
            ("reset POST **/parts nth=3", [1, 5, 1, 0]),
            ("lose POST **/parts nth=2", [1, 5, 1, 0]),
            ("lose POST **/uploads times=1", [2, 4, 1, 0]),
            // Carried out: the file is found.
            ("lose POST **/complete times=1", [1, 4, 1, 0]),
            ("truncate-json POST **/complete times=1", [1, 4, 1, 0]),
            // Not carried out: not found, and completed again.
            ("fail=500 POST **/complete times=1", [1, 4, 2, 0]),
        ] {
            let bench = Bench::new(case, &[fault]);
            let context = format!("{} {fault}", case.name());
            let uploaded = bench.send(parts).await.unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(bench.counts(expected), expected, "{context}");
            assert_eq!(uploaded.file.size, Some(SIZE as u64), "{context}");
            assert!(bench.stored() == [noise(1, SIZE)], "{context}");
        }
    }
}

#[tokio::test]
async fn a_rejected_upload_in_parts_is_cancelled() {
    for (case, parts) in cases_in_parts() {
        for (fault, expected) in
            [("fail=400 POST **/parts nth=4", [1, 4, 0, 1]), ("fail=400 POST **/complete", [1, 4, 1, 1])]
        {
            let bench = Bench::new(case, &[fault]);
            bench.send(parts).await.unwrap_err();
            assert_eq!(bench.counts(expected), expected, "{} {fault}", case.name());
            assert_eq!(bench.stored().len(), 0);
            // A part that is sent at the same time is discarded after the response to the client.
            assert!(within(|| bench.served.blobs() == 0), "the parts are discarded");
        }
    }
}
