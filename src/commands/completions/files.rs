//! Completes references to files, by name or id.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use clap_complete::engine::CompletionCandidate;
use jiff::Timestamp;

use super::cache::{Cache, Kept, Known};
use super::line::{Line, candidate};
use crate::context::Context;
use crate::error::Result;
use crate::filter::Filter;
use crate::human;
use crate::interrupt::Interrupt;
use crate::model::{Address, Clock, Ref};
use crate::providers::{Listing, Provider, Query, Sort};
use crate::settings::{Env, Flags, Profile, Settings};
use crate::ui::{Ui, is_unsafe, one_line};
use crate::vault::{self, Timeout};

/// The maximum number of candidates.
const OFFERED: usize = 2_000;
/// The maximum number of files read from a platform's listing.
const LISTED: u64 = 5_000;
/// The time reserved for returning the files received before the deadline.
const RESERVE: Duration = Duration::from_millis(80);

/// The references that start with `typed`; `None` if the settings are invalid.
pub(super) fn complete(line: &Line, typed: &str) -> Option<Vec<CompletionCandidate>> {
    let settings = line.settings.as_ref()?;
    let is_profile = |name: &str| settings.is_profile(name);
    let address = Address::parse(typed, is_profile);
    let name = address.profile.clone().unwrap_or_else(|| settings.profile_name().value);
    let known =
        settings.profile(&name).ok().and_then(|profile| known(line, settings, &profile, &address.reference));
    let lead = address.profile.as_ref().map(|name| format!("{name}:")).unwrap_or_default();
    let offers = offers(&known.unwrap_or_default(), &address.reference, line.clock.now()).into_iter();
    let mut candidates: Vec<CompletionCandidate> = offers
        .map(|Offer { reference, help }| {
            candidate(format!("{lead}{}", written(&reference, &lead, is_profile)), help)
        })
        .collect();
    // Profiles are offered only if the word is not empty and neither the word nor a flag selects a profile.
    if lead.is_empty() && !typed.is_empty() && line.flags.profile.is_none() {
        let profiles = line.profiles().into_iter().filter(|(name, _)| name.starts_with(typed));
        candidates.extend(profiles.map(|(name, title)| candidate(format!("{name}:"), title)));
    }
    Some(candidates)
}

/// The files of a profile, from the cache or the platform; `None` if the local store does not respond in time.
fn known(line: &Line, settings: &Settings, profile: &Profile, asked: &Ref) -> Option<Vec<Known>> {
    // The local store is as fast as a cache.
    if profile.spec.base_url.is_empty() {
        return list(line, profile, local_queries(asked));
    }
    let now = line.clock.now();
    let cache = Cache::of(settings, profile);
    let Kept { files: kept, is_fresh } = cache.read(now).unwrap_or_default();
    if is_fresh {
        return Some(kept);
    }
    let listed = list(line, profile, vec![Query { limit: Some(LISTED), ..Query::default() }]);
    let answered = listed.is_some();
    let files = listed.unwrap_or(kept);
    cache.write(&files, answered, now);
    Some(files)
}

/// The queries for the local store, which filters by prefix itself. A second query reads the last match in case there
/// are more than [`OFFERED`]: the shell inserts the candidates' common prefix, which must be the common prefix of all
/// matches.
fn local_queries(asked: &Ref) -> Vec<Query> {
    let of = |field: &'static str, start: &str| {
        [(false, OFFERED as u64), (true, 1)].map(|(descending, limit)| Query {
            filter: (!start.is_empty()).then(|| Filter::starts_with(field, start)),
            sort: Some(Sort { field: field.to_owned(), descending }),
            limit: Some(limit),
            page_size: None,
        })
    };
    match asked {
        Ref::Id(start) => of("id", start).into(),
        Ref::Any(start) if !start.is_empty() => [of("name", start), of("id", start)].concat(),
        Ref::Name(start) | Ref::Any(start) => of("name", start).into(),
    }
}

/// Lists on a separate thread that is abandoned at the deadline, because waiting for a locked store, a keyring or a
/// DNS lookup cannot be cancelled.
fn list(line: &Line, profile: &Profile, queries: Vec<Query>) -> Option<Vec<Known>> {
    let (sender, receiver) = mpsc::channel();
    let (flags, env, clock) = (line.flags.clone(), line.env.clone(), line.clock);
    let (name, deadline) = (profile.name.clone(), line.deadline);
    thread::spawn(move || {
        let files = ask(flags, env, clock, &name, queries, deadline.checked_sub(RESERVE).unwrap_or(deadline));
        // Fails if the deadline has passed and the receiver has been dropped.
        let _ = sender.send(files);
    });
    receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok().flatten()
}

fn ask(
    flags: Flags,
    env: Env,
    clock: Clock,
    profile: &str,
    queries: Vec<Query>,
    deadline: Instant,
) -> Option<Vec<Known>> {
    let settings = Settings::load(flags, env).ok()?;
    let ctx = Context::new(Ui::silent(), settings, clock, Interrupt::default());
    let profile = ctx.profile(Some(profile)).ok()?;
    let timeout = Timeout::after(deadline.saturating_duration_since(Instant::now()));
    let token = vault::without_prompt(&ctx.settings, &profile, &timeout);
    if token.is_none() && !profile.spec.token_variables.is_empty() {
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let files = runtime.block_on(async {
        let provider: Arc<dyn Provider> = Arc::from(ctx.open_with(&profile, token, 0).ok()?);
        let mut files = Vec::new();
        let ended = tokio::time::timeout_at(deadline.into(), gather(&provider, queries, &mut files)).await;
        // An incomplete listing is still useful.
        (matches!(ended, Ok(Ok(()))) || !files.is_empty()).then_some(files)
    });
    runtime.shutdown_background();
    files
}

async fn gather(provider: &Arc<dyn Provider>, queries: Vec<Query>, files: &mut Vec<Known>) -> Result<()> {
    for query in queries {
        let mut listing = Listing::new(Arc::clone(provider), query, None)?;
        while let Some(page) = listing.next().await? {
            files.extend(page.into_iter().map(Known::from));
        }
    }
    Ok(())
}

/// A candidate with its description.
struct Offer {
    reference: Ref,
    help: String,
}

/// The candidates for a reference. Each name is offered once. If several files have exactly the typed name, their
/// ids follow. A file whose name cannot be printed on a terminal is offered by id.
fn offers(known: &[Known], asked: &Ref, now: Timestamp) -> Vec<Offer> {
    let start = asked.text();
    let ids: HashSet<&str> = known.iter().map(|file| file.id.as_str()).collect();
    let mut groups: BTreeMap<&str, BTreeMap<&str, &Known>> = BTreeMap::new();
    for file in known {
        groups.entry(&file.name).or_default().insert(&file.id, file);
    }
    let (mut by_name, mut by_id) = (Vec::new(), BTreeMap::new());
    for (name, files) in groups {
        let can_be_named = !name.is_empty() && !name.contains(is_unsafe);
        if can_be_named && name.starts_with(start) && !matches!(asked, Ref::Id(_)) {
            by_name.push(Offer {
                // A plain reference is first resolved as an id.
                reference: match asked {
                    Ref::Any(_) if !ids.contains(name) => Ref::Any(name.to_owned()),
                    _ => Ref::Name(name.to_owned()),
                },
                help: match files.len() {
                    1 => files.values().map(|file| describe(file, now)).collect(),
                    several => format!("{several} files have this name"),
                },
            });
        }
        // Ids are offered only after the first character, unless the word requires an id.
        let is_typed_out = name == start && files.len() > 1;
        let is_id_meant = matches!(asked, Ref::Id(_)) || !can_be_named || !start.is_empty();
        by_id
            .extend(files.into_iter().filter(|(id, _)| is_typed_out || is_id_meant && id.starts_with(start)));
    }
    let by_id = by_id.into_iter().map(|(id, file)| Offer {
        reference: match asked {
            Ref::Any(_) => Ref::Any(id.to_owned()),
            _ => Ref::Id(id.to_owned()),
        },
        help: format!("{}, {}", one_line(&file.name), describe(file, now)),
    });
    let by_id = if matches!(asked, Ref::Name(_)) { Vec::new() } else { by_id.collect() };
    [ends_of(by_name), ends_of(by_id)].into_iter().flatten().collect()
}

/// Shortens a sorted list to [`OFFERED`] elements. The last element is kept, so that the common prefix stays the
/// same.
fn ends_of<T>(mut sorted: Vec<T>) -> Vec<T> {
    if sorted.len() > OFFERED {
        let last = sorted.pop();
        sorted.truncate(OFFERED - 1);
        sorted.extend(last);
    }
    sorted
}

/// Describes a file, for example `1.2 MB, 3 hours ago`.
fn describe(file: &Known, now: Timestamp) -> String {
    let size = file.size.map(human::size);
    let made = file.created_at.map(|time| human::relative(time, now));
    [size, made].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Formats a reference for the position after `lead`, so that it is not parsed as a pattern, a profile or an option.
fn written(reference: &Ref, lead: &str, is_profile: impl Fn(&str) -> bool) -> String {
    let Ref::Any(text) = reference else {
        return Address { profile: None, reference: reference.clone() }.to_string();
    };
    let is_plain = Address::parse(&format!("{lead}{text}"), is_profile).reference == *reference
        && !text.contains(['*', '?', '['])
        && !(lead.is_empty() && text.starts_with('-'));
    if is_plain { text.clone() } else { format!("name:{text}") }
}
