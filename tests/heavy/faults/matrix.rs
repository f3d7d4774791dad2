//! The product of platforms, verbs and faults.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use haul::providers::supports;

use crate::faults::catalog::{FAULTS, Needs};
use crate::faults::cell::Cell;
use crate::faults::expected::{GENERAL, RULES, exceptions};
use crate::faults::site::Site;
use crate::faults::verbs::{Class, Column, REFUSED, Reason, Requests, Verb, columns, target};
use crate::in_parallel;
use crate::platforms::all;
use crate::platforms::faults::{Exception, Outcome};

/// The number of concurrent cells. A cell mostly waits: for pauses between attempts and for timeouts.
const AT_ONCE: usize = 12;

/// The whole matrix.
struct Matrix {
    /// Every possible cell, with its column.
    cells: Vec<(&'static Column, Cell)>,
    /// The reason for each missing cell, with its column.
    reasons: Vec<(&'static Column, Reason)>,
}

impl Matrix {
    fn new() -> Self {
        let (mut cells, mut reasons) = (Vec::new(), Vec::new());
        for (verb_at, verb) in Verb::ALL.into_iter().enumerate() {
            for (fault_at, fault) in FAULTS.iter().enumerate() {
                let first = cells.len();
                for column in columns() {
                    let ends = target(column, verb)
                        .map(|target| (target, outcome(column, verb, target.class, fault.name)));
                    match ends {
                        Ok((target, Outcome::Ends(expected))) => {
                            let number = cells.len();
                            let cell = Cell { number, verb, fault, target, expected, ordinary: false };
                            cells.push((column, cell));
                        }
                        Ok((_, Outcome::Cannot(reason))) | Err(reason) => reasons.push((column, reason)),
                    }
                }
                // An ordinary run crosses each verb with each fault on one platform, chosen in turn.
                let count = cells.len() - first;
                if count > 0 {
                    cells[first + (verb_at + fault_at) % count].1.ordinary = true;
                }
            }
        }
        Self { cells, reasons }
    }

    fn count(&self, ordinary: bool) -> usize {
        self.cells.iter().filter(|(_, cell)| cell.ordinary == ordinary).count()
    }
}

fn outcome(column: &Column, verb: Verb, class: Class, fault: &str) -> Outcome {
    let exception = exception(column, verb, fault);
    let rule = RULES.iter().find(|rule| rule.fault == fault);
    exception.map_or_else(|| rule.expect("a rule for every fault").of(class), |exception| exception.outcome)
}

/// The exception that applies, if any.
fn exception(column: &Column, verb: Verb, fault: &str) -> Option<&'static Exception> {
    exceptions(column).find(|exception| exception.verbs.contains(&verb) && exception.faults.contains(&fault))
}

/// The number of passed cells of each fault and verb.
type Counts = BTreeMap<(&'static str, &'static str), usize>;

/// Runs the cells of an ordinary run, or all others. Panics if any cell fails; otherwise returns the number of cells.
fn run(ordinary: bool) -> usize {
    let only = std::env::var("FAULTS").unwrap_or_default();
    let sites: Vec<Site> = columns().into_iter().map(Site::start).collect();
    let chosen = |column: &Column, cell: &Cell| {
        let name = format!("{} · {} · {}", column.name, cell.verb.name(), cell.fault.name);
        only.split(',').all(|word| name.contains(word)) && cell.ordinary == ordinary
    };
    let cells = Matrix::new().cells.into_iter().filter(|(column, cell)| chosen(column, cell));
    let site = |column: &Column| sites.iter().find(|site| site.column.name == column.name).unwrap();
    let mut work: Vec<(&Site, Cell)> = cells.map(|(column, cell)| (site(column), cell)).collect();
    // The slowest cells start first.
    work.sort_by_key(|(_, cell)| cell.fault.needs != Needs::ShortTimeout);
    let (most, failed) = (AtomicU64::new(0), Mutex::<Vec<String>>::default());
    let (counts, of_column) = (Mutex::<Counts>::default(), Mutex::<BTreeMap<&str, usize>>::default());
    in_parallel(AT_ONCE, &work, |(site, cell)| match cell.run(site) {
        Ok(peak) => {
            most.fetch_max(peak, Ordering::Relaxed);
            *counts.lock().unwrap().entry((cell.fault.name, cell.verb.name())).or_default() += 1;
            *of_column.lock().unwrap().entry(site.column.name).or_default() += 1;
        }
        Err(failure) => failed.lock().unwrap().push(failure),
    });
    let mut failed = failed.into_inner().unwrap();
    let mut foreign_requests = 0;
    for site in &sites {
        match site.check_foreign_requests() {
            Ok(count) => foreign_requests += count,
            Err(failure) => failed.push(failure),
        }
    }
    failed.sort();
    println!("{}", summary(&counts.into_inner().unwrap(), &of_column.into_inner().unwrap()));
    println!("{} cells; peak memory of a run: {} KiB", work.len(), most.into_inner());
    assert!(failed.is_empty(), "{} of {} cells failed:\n{}", failed.len(), work.len(), failed.join("\n"));
    assert!(foreign_requests > 0 || !only.is_empty(), "no redirect was followed to another origin");
    assert!(only.is_empty(), "{} cells ran, not all", work.len());
    work.len()
}

/// A table with a row per fault and a column per verb; the cells are numbers of platforms.
fn summary(counts: &Counts, of_column: &BTreeMap<&str, usize>) -> String {
    let mut text = format!("{:<28}", "");
    for (at, _) in Verb::ALL.iter().enumerate() {
        let _ = write!(text, "{:>4}", char::from(b'a' + u8::try_from(at).unwrap()));
    }
    for fault in FAULTS {
        let _ = write!(text, "\n{:<28}", fault.name);
        for verb in Verb::ALL {
            match counts.get(&(fault.name, verb.name())) {
                Some(count) => drop(write!(text, "{count:>4}")),
                None => text.push_str("   ·"),
            }
        }
    }
    text.push('\n');
    for (at, verb) in Verb::ALL.iter().enumerate() {
        let _ = write!(text, "{} {}  ", char::from(b'a' + u8::try_from(at).unwrap()), verb.name());
    }
    for (column, count) in of_column {
        let _ = write!(text, "\n{column}: {count}");
    }
    text
}

#[test]
fn every_verb_withstands_every_fault() {
    assert_eq!(run(true), Matrix::new().count(true));
}

#[test]
#[ignore = "heavy: the cells that an ordinary run omits"]
fn every_verb_withstands_every_fault_on_every_platform() {
    assert_eq!(run(false), Matrix::new().count(false));
}

#[test]
fn every_cell_has_an_expectation_or_a_reason() {
    let matrix = Matrix::new();
    assert_eq!(matrix.cells.len() + matrix.reasons.len(), columns().len() * Verb::ALL.len() * FAULTS.len());
    assert!(matrix.reasons.iter().all(|(_, reason)| reason.len() > 10));
    let of = |column: &Column| {
        let cells = matrix.cells.iter().filter(|(other, _)| other.name == column.name).count();
        let reasons = matrix.reasons.iter().filter(|(other, _)| other.name == column.name).count();
        format!("{}: {cells} cells, {reasons} reasons", column.name)
    };
    let columns: Vec<String> = columns().into_iter().map(of).collect();
    let (ordinary, others) = (matrix.count(true), matrix.count(false));
    let counts =
        format!("{ordinary} cells in an ordinary run, {others} in the other\n{}", columns.join("\n"));
    insta::assert_snapshot!(counts, @"
    897 cells in an ordinary run, 9338 in the other
    replicate: 582 cells, 454 reasons
    activeloop: 640 cells, 396 reasons
    metorial seed: 764 cells, 272 reasons
    metorial pulsar: 636 cells, 400 reasons
    metorial magnetar: 764 cells, 272 reasons
    llamacloud beta: 686 cells, 350 reasons
    llamacloud legacy: 702 cells, 334 reasons
    xai openai: 701 cells, 335 reasons
    xai gateway: 710 cells, 326 reasons
    anthropic ga: 578 cells, 458 reasons
    anthropic beta: 578 cells, 458 reasons
    gemini v1beta: 581 cells, 455 reasons
    openai: 578 cells, 458 reasons
    mistral: 640 cells, 396 reasons
    together v1: 576 cells, 460 reasons
    metorial presigned: 65 cells, 971 reasons
    llamacloud presigned: 65 cells, 971 reasons
    xai chunks: 65 cells, 971 reasons
    gemini start: 65 cells, 971 reasons
    together start: 65 cells, 971 reasons
    together preprocess: 66 cells, 970 reasons
    together parts: 62 cells, 974 reasons
    together form: 66 cells, 970 reasons
    ");
}

#[test]
fn verbs_are_refused_exactly_where_the_platform_lacks_the_operation() {
    for column in columns() {
        let Requests::Verbs { others, .. } = column.requests else { continue };
        for verb in Verb::ALL {
            let can = supports(column.case.can(), verb.needs());
            let refused = target(column, verb).is_err_and(|reason| reason == REFUSED);
            assert_eq!(refused, !can, "{} {}", column.name, verb.name());
            let stated = others.iter().filter(|(verbs, _)| verbs.contains(&verb)).count();
            assert!(stated <= usize::from(can), "{} {} is listed {stated} times", column.name, verb.name());
        }
    }
}

#[test]
fn every_dialect_has_a_column_or_a_reason() {
    for platform in all() {
        for dialect in platform.spec().dialects {
            let is = |column: &Column| column.case.dialect == dialect.name;
            let excused = platform.no_column.iter().any(|(name, _)| *name == dialect.name);
            assert!(platform.columns.iter().any(is) != excused, "{} {}", platform.name, dialect.name);
        }
    }
}

#[test]
fn every_fault_has_one_rule_and_every_exception_a_cell() {
    let faults: Vec<&str> = FAULTS.iter().map(|fault| fault.name).collect();
    let rules: Vec<&str> = RULES.iter().map(|rule| rule.fault).collect();
    assert_eq!(faults.iter().collect::<BTreeSet<_>>().len(), faults.len());
    assert_eq!(faults.iter().collect::<BTreeSet<_>>(), rules.iter().collect::<BTreeSet<_>>());
    assert_eq!(faults.len(), rules.len());
    let own = all().flat_map(|platform| platform.exceptions);
    for stated in own.chain(GENERAL.iter().map(|general| &general.exception)) {
        for fault in stated.faults {
            let holds = |column: &Column, verb: Verb| {
                exception(column, verb, fault).is_some_and(|exception| std::ptr::eq(exception, stated))
            };
            let used = columns().into_iter().any(|column| {
                Verb::ALL.iter().any(|verb| target(column, *verb).is_ok() && holds(column, *verb))
            });
            assert!(used, "the exception of `{}` has no cell of {fault}: {}", stated.column, stated.why);
        }
    }
}
