//! Extreme times, dates and sizes in every header and field that haul computes with. No run panics, and each ends with
//! a documented exit code (see `World::haul`).

use std::collections::BTreeSet;

use crate::hostile::served::Served;
use crate::hostile::world::{Action, FakeFile, World, dialects, json_answer};
use crate::platforms::{all, of, some};
use crate::support::server::Answer;

/// Waits beyond the limit, in seconds or as a date.
const WAITS: [&str; 9] = [
    "301",
    "9223372036854775807",
    "9223372036854775808",
    "9999999999999999999",
    "18446744073709551615",
    "18446744073709551616",
    "1e300",
    "999999999999999999999999999999999999999999999999.9",
    "Thu, 30 Dec 9999 21:59:59 GMT",
];

/// Invalid, negative and negligible waits.
const IGNORED_WAITS: [&str; 12] = [
    "0",
    "-0",
    "-1",
    "-9223372036854775808",
    "-1e300",
    "1e-300",
    "NaN",
    "inf",
    "",
    "Fri, 31 Dec 99999 23:59:59 GMT",
    "Sat, 01 Jan 0000 00:00:00 GMT",
    "Thu, 01 Jan 1970 00:00:00 -9999",
];

const VERBS: [&[&str]; 8] = [
    &["ls", "--ids"],
    &["info", "id:f1"],
    &["info", "name:n"],
    &["get", "id:f1", "-o", "-"],
    &["rm", "id:f1"],
    &["upload", "a.txt"],
    &["upload", "a.txt", "--if-exists", "replace"],
    &["link", "id:f1"],
];

#[test]
fn a_wait_beyond_the_limit_exits_with_6_and_reports_its_end() {
    for dialect in dialects() {
        for (status, header) in [
            (429, "Retry-After"),
            (429, "retry-after-ms"),
            (429, "RateLimit-Reset"),
            (503, "Retry-After"),
            (408, "Retry-After"),
        ] {
            for (number, wait) in WAITS.iter().enumerate() {
                // Only `Retry-After` may be a date.
                if header != "Retry-After" && wait.contains("GMT") {
                    continue;
                }
                // 301 milliseconds are within the limit. Other statuses share the code of 429, so a sample suffices.
                let is_short = header == "retry-after-ms" && *wait == "301";
                if is_short || (status != 429 && ![1, 3, 4, 6].contains(&number)) {
                    continue;
                }
                let world = World::with_override(dialect, vec![FakeFile::new("f1", "n")], move |_, _, _| {
                    Some(Answer::status(status, &[(header, wait)], ""))
                });
                world.env.write("a.txt", "a");
                // Each wait with half of the verbs, with and without retries.
                for verb in VERBS.iter().skip(number % 2).step_by(2) {
                    if verb[0] == "link" && !dialect.links {
                        continue;
                    }
                    let retries = if number % 3 == 0 { "0" } else { "3" };
                    let run = world.haul(&[verb, &["--retries", retries][..]].concat());
                    let what = format!("{} {status} {header}: {wait} {verb:?}", dialect.provider);
                    assert_eq!(run.status, 6, "{what}: {run}");
                    assert!(run.stderr().contains("which exceeds haul's limit"), "{what}: {run}");
                    let says_when = run.stderr().contains("hint: try again after ")
                        || run.stderr().contains("until after the year 9999");
                    assert!(says_when, "{what}: {run}");
                }
            }
        }
    }
}

#[test]
fn invalid_waits_are_ignored() {
    for dialect in dialects() {
        for header in ["Retry-After", "retry-after-ms", "RateLimit-Reset"] {
            for wait in IGNORED_WAITS {
                let world = World::with_override(dialect, vec![FakeFile::new("f1", "n")], move |_, _, _| {
                    Some(Answer::status(429, &[(header, wait)], ""))
                });
                let run = world.haul(&["ls", "--ids"]).fails(6);
                assert!(!run.stderr().contains("longer than"), "{header}: {wait}: {run}");
            }
        }
    }
}

#[test]
fn extreme_clocks_of_the_server_are_tolerated() {
    for dialect in dialects() {
        for date in [
            "Thu, 30 Dec 9999 21:59:59 GMT",
            "Fri, 31 Dec 99999 23:59:59 GMT",
            "Sat, 01 Jan 0000 00:00:00 GMT",
            "Thu, 01 Jan 1970 00:00:00 -9999",
            "18446744073709551615",
        ] {
            let file =
                |name: &str| FakeFile::new("f1", name).with_members(r#""created_at":253402207200,"extra":1"#);
            let world = World::with_override(dialect, vec![file("n")], move |action, number, seen| {
                let date = [("Date", date), ("Content-Type", "application/json")];
                match action {
                    Action::List => Some(Answer::status(200, &date, dialect.page(&[file("a.txt")], None))),
                    // The response is lost, and the program looks for the file by the server's clock.
                    Action::Other if seen.head.starts_with("POST") && number < 3 => {
                        Some(Answer::status(502, &date, ""))
                    }
                    _ => None,
                }
            });
            world.env.write("a.txt", "a");
            world.haul(&["ls", "--since", "1d", "--ids"]);
            world.haul(&["upload", "a.txt"]);
        }
    }
}

#[test]
fn extreme_expiry_times_hide_no_link() {
    for dialect in dialects().filter(|dialect| dialect.links) {
        for time in [
            "9223372036854775807",
            "18446744073709551615",
            "-9223372036854775808",
            "1e300",
            "\"9223372036854775807\"",
            "\"9999-12-31T23:59:59Z\"",
            "\"-009999-01-01T00:00:00Z\"",
            "\"\"",
        ] {
            let world =
                World::with_override(dialect, vec![FakeFile::new("f1", "n")], move |action, _, seen| {
                    let url = format!("http://{}/bytes/f1", seen.header("host").unwrap_or_default());
                    let link = format!(
                        r#"{{"id":"l","url":"{url}","public_url":"{url}","presigned_url":"{url}",
                    "expires_at":{time},"expires_in_seconds":{time}}}"#
                    );
                    matches!(action, Action::Link(_)).then(|| json_answer(200, link))
                });
            let run = world.haul(&["link", "id:f1"]).ok();
            assert!(run.stdout().contains("http"), "{} {time}: {run}", dialect.provider);
            world.haul(&["link", "id:f1", "--json"]).ok();
            world.terminal(&["link", "id:f1"]).ok();
        }
    }
}

#[test]
fn extreme_lengths_and_ranges_write_nothing() {
    let lengths = ["18446744073709551615", "18446744073709551616", "9223372036854775808", "-1", "1e3"];
    let ranges = [
        "bytes 2-18446744073709551615/*",
        "bytes 2-18446744073709551615/18446744073709551615",
        "bytes 18446744073709551615-18446744073709551615/*",
        "bytes 2-18446744073709551616/*",
        "bytes 0-18446744073709551615/*",
        "bytes 2-1/18446744073709551616",
        "bytes */18446744073709551615",
        "bytes */2",
        "bytes -1-2/3",
    ];
    for dialect in dialects() {
        for length in lengths {
            let world = World::with_override(dialect, vec![FakeFile::new("f1", "n")], move |action, _, _| {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nf1");
                matches!(action, Action::Content(_)).then(|| Answer::raw(head))
            });
            let run = world.haul(&["get", "id:f1", "-o", "out"]);
            assert!(world.env.files().iter().all(|name| name != "out") || run.status == 0, "{length}: {run}");
            world.haul(&["get", "id:f1", "-o", "-", "--progress", "always"]);
        }
        for (status, range) in ranges.iter().flat_map(|range| [(206, *range), (416, *range), (200, *range)]) {
            // The first response ends after two of eight bytes, so that the program requests the rest.
            let mut file = FakeFile::new("f1", "n");
            "8".clone_into(&mut file.size);
            let world = World::with_override(dialect, vec![file], move |action, _, seen| {
                if !matches!(action, Action::Content(_)) {
                    return None;
                }
                if seen.header("range").is_none() {
                    return Some(Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nf1"));
                }
                Some(Answer::status(status, &[("Content-Range", range)], "f1"))
            });
            let run = world.haul(&["get", "id:f1", "-o", "out", "--retries", "1"]);
            assert!(run.status != 0, "{} {status} {range}: {run}", dialect.provider);
            assert!(world.env.files().iter().all(|name| name != "out"), "{status} {range}: {run}");
        }
    }
}

/// Sums of sizes are computed for the bars, and for a request body with several files.
#[test]
fn sums_of_sizes_do_not_overflow() {
    for dialect in dialects() {
        let files: Vec<FakeFile> = (0..5)
            .map(|number| {
                let id = format!("f{number}");
                let mut file = FakeFile::new(&id, &id);
                "18446744073709551615".clone_into(&mut file.size);
                file
            })
            .collect();
        let world = World::new(dialect, files);
        for verb in [
            &["get", "f*", "-o", "out/", "--progress", "always"][..],
            &["get", "f*", "-o", "out/", "--progress", "json"],
            &["get", "f*", "-o", "out/", "--dry-run"],
            &["ls", "--sort", "size"],
            &["ls", "--filter", "size > 1"],
            &["rm", "f*"],
            &["rm", "f*", "--dry-run"],
        ] {
            world.haul(verb);
            world.terminal(verb);
        }
    }
}

/// The emulator adds lifetimes and windows to the time of its clock.
#[test]
fn the_emulator_serves_at_extreme_times_and_with_extreme_quirks() {
    let quirks: Vec<String> =
        all().flat_map(|platform| platform.extreme_quirks).map(|quirk| format!("--quirk={quirk}")).collect();
    let quirks: Vec<&str> = quirks.iter().map(String::as_str).collect();
    for platform in dialects().map(|dialect| of(dialect.provider)) {
        // Each dialect that supports deletion.
        let wires: BTreeSet<&str> =
            platform.cases.iter().filter(|case| case.deletes()).filter_map(|case| case.wire).collect();
        let wires: Vec<String> = wires.into_iter().map(|wire| format!("--dialect={wire}")).collect();
        let wires: Vec<[&str; 1]> = wires.iter().map(|wire| [wire.as_str()]).collect();
        let in_the_last_year = wires.iter().map(|wire| (Some("9999-12-30T21:59:59Z"), &wire[..]));
        for (now, options) in in_the_last_year.chain([
            (Some("9999-12-30T21:59:59Z"), &[][..]),
            (Some("-009999-01-02T02:00:00Z"), &[]),
            (None, &quirks),
        ]) {
            let served = Served::start_at(now, platform.name, options);
            served.env.write("a.txt", "a");
            served.env.write("c.png", "c");
            let what = format!("{} {now:?} {options:?}", platform.name);
            for arguments in [
                &["upload", "a.txt", "c.png"][..],
                &["ls", "--ids"],
                &["ls", "--page-size", "1", "--ids"],
                &["info", "name:a.txt"],
                &["upload", "a.txt", "--if-exists", "replace"],
                // The first file may have expired, so that the second one did not replace it.
                &["rm", "a.*", "--yes"],
            ] {
                let run = served.haul(arguments);
                assert_eq!(run.status, 0, "{what} {arguments:?}: {run}");
            }
            // Operations of some platforms only; a panic of the emulator would close the connection (exit 7).
            for arguments in [
                &["link", "name:c.png"][..],
                &["link", "name:c.png", "--expires", "1h"],
                &["upload", "a.txt", "--expires", "24h"],
                &["upload", "a.txt", "--set", "via=presigned"],
                &["upload", "a.txt", "--set", "via=chunks"],
                &["get", "name:c.png", "-o", "-"],
            ] {
                let run = served.haul(arguments);
                assert!(run.status != 7, "{what} {arguments:?}: {run}");
            }
        }
    }
    for (platform, quirk) in some(all().filter_map(|platform| Some((platform, platform.facts.one_request?))))
    {
        let served = Served::start(platform.name, &[&format!("--quirk={quirk}")]);
        served.env.write("a.txt", "a");
        served.haul(&["upload", "a.txt"]).ok();
        let run = served.haul(&["upload", "a.txt"]).fails(6);
        assert!(run.stderr().contains("until after the year 9999"), "{run}");
    }
}

/// Extreme values in options and in the clock of the program.
#[test]
fn extreme_values_of_the_user_are_refused_or_accepted() {
    let times =
        ["9223372036854775807s", "18446744073709551616s", "7304484d", "19998y", "1e300s", "-7304484d"];
    for dialect in dialects() {
        let mut world = World::new(dialect, vec![FakeFile::new("f1", "n")]);
        world.env.write("a.txt", "a");
        for now in ["2026-03-01T12:00:00Z", "9999-12-30T22:00:00Z", "-009999-01-02T02:00:00Z"] {
            world.env.set("HAUL_NOW", now);
            for time in times {
                let relative = time.trim_start_matches('-');
                for arguments in [
                    &["ls", "--since", time][..],
                    &["ls", "--expiring", time],
                    &["ls", "--timeout", time],
                    &["ls", "--filter", &format!("created_at > -{relative}")],
                    &["ls", "--filter", &format!("expires_at < +{relative}")],
                    &["upload", "a.txt", "--expires", time],
                    &["upload", "a.txt", "--dry-run", "--expires", time],
                    &["link", "id:f1", "--expires", time],
                ] {
                    let run = world.haul(arguments);
                    assert!([0, 1, 2, 3, 5].contains(&run.status), "{now} {arguments:?}: {run}");
                }
            }
            // The expiry time of the cached listing may be out of range.
            let mut complete = world.env.command();
            complete.env("COMPLETE", "fish").args(["--", "haul", "info", "n"]);
            let run = world.env.run(&mut complete).ok();
            assert!(run.stdout().starts_with("n\t"), "{now}: {run}");
        }
    }
}
