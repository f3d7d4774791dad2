//! Hostile responses: invalid values in a platform's wire format, ids that are paths, oversized listings. No run panics,
//! hangs, shows the token or sends control characters to a terminal; each ends with the exit code for its error.

use std::fs;

use haul::providers::{find, states};
use serde_json::json;

use crate::hostile::transfers::peak;
use crate::hostile::world::{
    Action, Cursor, Dialect, FakeFile, Fetch, World, dialects, fetch, json_answer, plain,
};
use crate::platforms::some;
use crate::support::server::Answer;

/// Bodies that are not a valid response. Each causes exit code 8 if it is the response to a request for files.
fn invalid_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &str, close: &str| {
        let levels = 10_000;
        format!("{}1{}", open.repeat(levels), close.repeat(levels)).into_bytes()
    };
    vec![
        ("empty", Vec::new()),
        ("spaces", b" \r\n\t ".to_vec()),
        ("null", b"null".to_vec()),
        ("a number", b"1e300".to_vec()),
        ("a string", b"\"\\u001b[31mred\"".to_vec()),
        ("an open array", b"[".to_vec()),
        ("an array of nothing", b"[null,null]".to_vec()),
        ("html", b"<html><title>\x1b[31mhello</title></html>".to_vec()),
        ("a byte order mark", "\u{feff}{}".into()),
        ("invalid UTF-8", b"{\"data\":[{\"id\":\"\xff\xfe\"}],\"items\":[{\"id\":\"\xff\"}],\"id\":\"\xff\"}".to_vec()),
        ("half of a surrogate", br#"{"data":[{"id":"\ud800"}],"items":[{"id":"\ud800"}],"results":[{"id":"\ud800"}],"id":"\ud800"}"#.to_vec()),
        ("a raw line feed in a string", b"{\"data\":[{\"id\":\"a\nb\"}],\"items\":[{\"id\":\"a\nb\"}],\"results\":[{\"id\":\"a\nb\"}],\"id\":\"a\nb\"}".to_vec()),
        ("nested arrays", deep("[", "]")),
        ("nested objects", deep("{\"data\":", "}")),
        ("nested metadata", {
            let meta = String::from_utf8(deep("{\"a\":", "}")).unwrap();
            let file = format!(r#"{{"id":"f","metadata":{meta},"more":{meta}}}"#);
            format!(r#"{{"data":[{file}],"items":[{file}],"results":[{file}],"id":"f","metadata":{meta}}}"#).into()
        }),
        ("an infinite number", br#"{"data":[{"id":"f","bytes":1e999}],"items":[{"id":"f","size":1e999}],"results":[{"id":"f","size":1e999}],"id":"f","x":1e999}"#.to_vec()),
        ("duplicate keys", br#"{"id":"f","id":"g","data":[],"data":[],"items":[],"items":[],"results":[],"results":[]}"#.to_vec()),
        ("a list of strings", br#"{"data":["f"],"items":["f"],"results":["f"]}"#.to_vec()),
        ("an object for a list", br#"{"data":{"id":{}},"items":{"id":{}},"results":{"id":{}},"id":{}}"#.to_vec()),
        ("no id", br#"{"data":[{"title":"n"}],"items":[{"title":"n"}],"results":[{"title":"n"}],"title":"n"}"#.to_vec()),
        ("an empty id", br#"{"data":[{"id":""}],"items":[{"id":""}],"results":[{"id":""}],"id":""}"#.to_vec()),
    ]
}

#[test]
fn every_verb_reports_an_invalid_response() {
    for dialect in dialects() {
        for (what, body) in invalid_bodies() {
            let world = World::with_override(dialect, Vec::new(), {
                let body = body.clone();
                move |action, _, _| match action {
                    Action::List | Action::Stat(_) => Some(json_answer(200, &body)),
                    _ => None,
                }
            });
            for verb in [
                &["ls"][..],
                &["info", "id:f"],
                &["get", "id:f", "-o", "out"],
                &["get", "*", "-o", "out/"],
                &["rm", "id:f"],
                &["rm", "*", "--yes"],
                &["link", "id:f"],
            ] {
                let run = if verb == ["ls"] { world.terminal(verb) } else { world.haul(verb) };
                // On platforms without links, haul refuses the command before any request.
                let expected = if verb[0] == "link" && !dialect.links { 5 } else { 8 };
                assert_eq!(run.status, expected, "{} {what} {verb:?}: {run}", dialect.provider);
                assert!(run.stdout().len() + run.stderr().len() < 4000, "{what}: {run}");
            }
            assert_eq!(world.request_count("DELETE"), 0, "{what}");
            assert_eq!(world.env.files(), Vec::<String>::new(), "{what}");
        }
    }
}

#[test]
fn invalid_values_hide_no_file() {
    let invalid = [
        "-1",
        "1e300",
        "-1e300",
        "18446744073709551615",
        "18446744073709551616",
        "0.5",
        "\"12\"",
        "\"-12\"",
        "\"1e3\"",
        "\"\"",
        "true",
        "[]",
        "{}",
        "null",
        "\"9999999999-01-01T00:00:00Z\"",
        "\"-009999-01-01T00:00:00Z\"",
        "\"9999-12-31T23:59:59.999999999Z\"",
        "\"0000-00-00T00:00:00Z\"",
        "\"2026-02-30T25:61:61Z\"",
        "253402207200",
        "-377705116800",
        "9223372036854775807",
        "-9223372036854775808",
    ];
    for dialect in dialects() {
        let mut files = Vec::new();
        for value in invalid {
            for key in ["size", "created_at", "updated_at", "expires_at", "bytes_too"] {
                let mut file = FakeFile::new(&format!("f{}", files.len()), "n");
                match key {
                    "size" => value.clone_into(&mut file.size),
                    key => file = file.with_members(&format!("\"{key}\":{value}")),
                }
                files.push(file);
            }
        }
        let texts =
            ["\"a\\u0000b\"", "\"text/\\u001b[31mhtml\\r\\nX: y\"", "\"\\u202e\"", "7", "[1]", "{\"a\":1}"];
        for value in texts {
            for key in [
                "content_type",
                "mime_type",
                "purpose",
                "status",
                "metadata",
                "title",
                "hash",
                "checksums",
                "public_url",
            ] {
                files.push(
                    FakeFile::new(&format!("f{}", files.len()), "n")
                        .with_members(&format!("\"{key}\":{value}")),
                );
            }
        }
        let count = files.len();
        let world = World::new(dialect, files);
        let rows = world.haul(&["ls", "--json"]).ok().json();
        assert_eq!(rows.len(), count, "{}", dialect.provider);
        assert!(rows.iter().all(|row| row["size"].is_null() || row["size"].is_u64()));
        let list = &find(dialect.provider).unwrap().dialects[0].can.list;
        let all = ["size > 1MB", "created_at > -7d", "expires_at < +24h", "metadata.a = 1", "name != z"];
        let field = |comparison: &str| comparison.split(' ').next().unwrap().to_owned();
        let (stated, others): (Vec<&str>, Vec<&str>) =
            all.into_iter().partition(|comparison| states(list.stated, &field(comparison)));
        for comparison in others {
            world.haul(&["ls", "--filter", comparison]).fails(5);
        }
        for arguments in [
            &["ls"][..],
            &["ls", "--long"],
            &["ls", "--sort", &field(stated[0])],
            &["ls", "--sort", "created_at", "--reverse"],
            &["ls", "--fields", "id,size,created_at,updated_at,expires_at,content_type,metadata,extra"],
            &["info", "*"],
            &["ls", "--filter", &stated.join(" OR ")],
        ] {
            world.terminal(arguments).ok();
            world.haul(arguments).ok();
        }
        world.terminal(&["rm", "*"]).fails(1);
        world.terminal(&["rm", "*", "--yes"]).ok();
        assert!(world.remaining_ids().is_empty());
    }
}

/// A wrong size or checksum causes exit code 9, and the content is not kept.
#[test]
fn content_that_differs_from_its_record_is_not_kept() {
    for dialect in dialects() {
        for size in ["0", "1", "3", "18446744073709551615"] {
            let mut file = FakeFile::new("f1", "n");
            size.clone_into(&mut file.size);
            let world = World::new(dialect, vec![file]);
            let run = world.haul(&["get", "id:f1", "-o", "out", "--progress", "always"]).fails(9);
            assert_eq!(world.env.files(), Vec::<String>::new(), "{run}");
            let streamed = world.haul(&["get", "id:f1", "-o", "-"]).fails(9);
            assert!(streamed.out.len() <= 2, "{streamed}");
            world.haul(&["get", "id:f1", "-o", "out", "--no-verify"]).ok();
            assert_eq!(world.env.read("out"), b"f1");
        }
    }
}

/// Ids that would change the meaning of a URL, a path or terminal output if they were not escaped.
#[test]
fn ids_are_encoded_in_urls_or_refused() {
    let long = "i".repeat(10_000);
    let ids = [
        "a/b",
        "../../admin",
        "..%2f..",
        "%2e%2e",
        "a?b=c",
        "a#b",
        "a%00b",
        "a b",
        "a\\b",
        "/",
        "//evil.example/x",
        "http://evil.example/",
        "a\nb",
        ".\t.",
        ".\n.",
        "\n",
        "a\rb: c",
        "\u{1b}[31mred",
        "\u{202e}di",
        "日本",
        "*",
        "-rf",
        "--yes",
        "id:x",
        "local:x",
        "name:x",
        "a:b",
        "@",
        ";",
        "&x=y",
        "+",
        "{}",
        "~",
        long.as_str(),
    ];
    for dialect in dialects() {
        let files = || ids.iter().map(|id| FakeFile::new(id, "n")).collect::<Vec<_>>();
        let world = World::new(dialect, files());
        for id in ids {
            let shown = world.haul(&["info", &format!("id:{id}"), "--json"]).ok().json();
            assert_eq!(shown[0]["id"], id, "{}", dialect.provider);
            let got = world.haul(&["get", &format!("id:{id}"), "-o", "-"]).ok();
            assert_eq!(got.out, id.as_bytes());
            if dialect.links {
                world.haul(&["link", &format!("id:{id}")]).ok();
            }
        }
        world.terminal(&["ls", "--ids"]).ok();
        world.terminal(&["ls"]).ok();
        world.terminal(&["info", "*"]).ok();
        let before = world.request_count("DELETE");
        for (count, id) in ids.iter().enumerate() {
            world.terminal(&["rm", &format!("id:{id}")]).ok();
            assert!(
                !world.remaining_ids().contains(&(*id).to_owned()),
                "{}: {id:?} remains",
                dialect.provider
            );
            assert_eq!(
                world.remaining_ids().len(),
                ids.len() - count - 1,
                "{}: only {id:?} is deleted",
                dialect.provider
            );
        }
        // All names are equal, and each id was deleted once.
        assert_eq!(world.request_count("DELETE") - before, ids.len());
        assert!(world.server.requests().iter().all(|seen| !seen.head.contains('\u{1b}')));

        // Ids that no URL can contain are refused before any request.
        let world = World::new(
            dialect,
            vec![FakeFile::new(".", "n"), FakeFile::new("..", "n"), FakeFile::new("ok", "n")],
        );
        for id in [".", ".."] {
            world.haul(&["info", &format!("id:{id}")]).fails(2);
            world.haul(&["rm", &format!("id:{id}")]).fails(2);
            world.haul(&["get", &format!("id:{id}"), "-o", "out"]).fails(2);
        }
        assert_eq!(world.server.count(), 0);
        let rest = world.haul(&["rm", "*", "--yes"]);
        assert_eq!(
            (rest.status, world.remaining_ids()),
            (2, vec![".".to_owned(), "..".to_owned()]),
            "{rest}"
        );
    }
}

/// Messages from the server are shown on one line, escaped, shortened and without the token.
#[test]
fn error_messages_of_the_server_are_escaped() {
    let message =
        "no \u{1b}[31m\u{1b}]0;title\u{7}\u{202e}\nhint: `rm -rf /`\r\n\u{9b}2J tok_canary_4f1c9a7e ";
    let long = message.repeat(2000);
    let quoted = json!(long).to_string();
    let bodies = [
        long.clone().into_bytes(),
        format!("<html><title>{long}</title>").into_bytes(),
        format!(r#"{{"detail":{quoted}}}"#).into_bytes(),
        format!(r#"{{"error":{{"message":{quoted}}},"message":{quoted}}}"#).into_bytes(),
        format!(r#"{{"detail":[{{"loc":[{quoted}],"msg":{quoted}}}],"code":{quoted}}}"#).into_bytes(),
        b"\xff\xfe\x1b[31m".to_vec(),
    ];
    for dialect in dialects() {
        for (status, exit) in [(400, 1), (401, 4), (404, 3), (418, 1), (451, 1), (500, 8), (599, 8)] {
            for body in &bodies {
                let body = body.clone();
                let world = World::with_override(dialect, vec![FakeFile::new("f1", "n")], move |_, _, _| {
                    let headers = [("X-Request-Id", "req\t\u{9b}31m"), ("Content-Type", "text/\u{9b}31m")];
                    Some(Answer::status(status, &headers, &body))
                });
                let run = world.terminal(&["info", "id:f1", "--color", "always"]).fails(exit);
                let text = run.stdout();
                assert!(text.lines().count() < 8 && text.len() < 3000, "{run}");
                assert!(!text.lines().any(|line| line.starts_with("hint: `rm")), "{run}");
            }
        }
    }
}

/// A hint can be pasted into a shell and runs only the command that it shows, whatever the id.
#[test]
fn hints_quote_the_ids_of_the_server() {
    for id in [
        "f1; touch injected",
        "f1`touch injected`",
        "$(touch injected)",
        "it's; touch injected #",
        "a b",
        "*",
        "~",
        "--yes",
    ] {
        let file = FakeFile { size: "999".to_owned(), ..FakeFile::new(id, "up") };
        let response = plain().file(&file);
        let world = World::with_override(plain(), vec![FakeFile::new(id, "n")], move |_, _, seen| {
            seen.head.starts_with("POST").then(|| json_answer(200, &response))
        });
        world.env.write("up", "up");
        let run = world.haul(&["upload", "up"]).fails(9);
        let hint = run.stderr().lines().find_map(|line| {
            line.strip_prefix("hint: the uploaded file was kept; to delete it: `").map(str::to_owned)
        });
        let hint = hint.unwrap_or_else(|| panic!("{run}"));
        let typed = hint.strip_suffix("`").unwrap();
        let ran = world.env.shell(typed);
        assert_eq!(world.env.files(), ["up"], "{typed}: {ran}");
        assert_eq!((ran.ok().status, world.remaining_ids()), (0, Vec::<String>::new()), "{typed}");
    }
}

/// Links and redirects with other schemes or invalid URLs.
#[test]
fn links_with_other_schemes_are_not_followed() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "secret of this machine").unwrap();
    let urls = [
        format!("file://{}", outside.path().display()),
        outside.path().display().to_string(),
        "data:,hello".to_owned(),
        "javascript:alert(1)".to_owned(),
        "ftp://127.0.0.1/x".to_owned(),
        "http://".to_owned(),
        "http://[::".to_owned(),
        String::new(),
        "\u{1b}[31m".to_owned(),
    ];
    for dialect in some(dialects().filter(|dialect| fetch(dialect) != Fetch::Direct)) {
        for url in &urls {
            let said = json!({"id": "link_1", "url": url}).to_string();
            let world = World::with_override(dialect, vec![FakeFile::new("f1", "n")], move |action, _, _| {
                matches!(action, Action::Link(_)).then(|| json_answer(200, &said))
            });
            let run = world.terminal(&["get", "id:f1", "-o", "out"]);
            assert!(matches!(run.status, 2 | 7 | 8), "{} {url}: {run}", dialect.provider);
            assert!(!run.stdout().contains("secret of"), "{run}");
            assert_eq!(world.env.files(), Vec::<String>::new(), "{} {url}", dialect.provider);
            world.terminal(&["link", "id:f1"]);
        }
    }
    for dialect in dialects() {
        for url in urls.iter().filter(|url| !url.contains('\u{1b}')) {
            let target = url.clone();
            let world = World::with_override(dialect, vec![FakeFile::new("f1", "n")], move |action, _, _| {
                matches!(action, Action::Content(_))
                    .then(|| Answer::status(302, &[("Location", &target)], ""))
            });
            let run = world.terminal(&["get", "id:f1", "-o", "out"]);
            assert!((3..=8).contains(&run.status), "{} {url}: {run}", dialect.provider);
            assert_eq!(world.env.files(), Vec::<String>::new(), "{} {url}", dialect.provider);
        }
    }
}

/// The headers of a download determine neither its name nor its path.
#[test]
fn headers_of_content_choose_no_path() {
    for dialect in dialects() {
        let world = World::with_override(dialect, vec![FakeFile::new("f1", "n.txt")], |action, _, _| {
            let headers = [
                (
                    "Content-Disposition",
                    "attachment; filename=\"../../outside\"; filename*=UTF-8''%2Fetc%2Fpasswd",
                ),
                ("Content-Type", "text/\u{9b}31m; charset=\u{202e}"),
                ("Content-Location", "../../outside"),
                ("ETag", "\"\u{9b}31m\""),
                ("Last-Modified", "the day before"),
            ];
            matches!(action, Action::Content(_)).then(|| Answer::status(200, &headers, "f1"))
        });
        let run = world.terminal(&["get", "id:f1"]).ok();
        assert_eq!(world.env.files(), ["n.txt"], "{run}");
        assert_eq!(world.env.read("n.txt"), b"f1");
        // A trace shows all headers, escaped.
        let traced = world.terminal(&["get", "id:f1", "-o", "-", "-vvv"]).ok();
        assert!(traced.stdout().to_lowercase().contains("content-disposition"), "{traced}");
    }
}

/// A response with many files is accepted. Its memory is bounded by the two limits of a response: 64 MiB, and 512 MiB
/// when decoded.
#[test]
#[ignore = "heavy: a response with many files on every platform"]
fn a_page_of_many_files() {
    for dialect in dialects() {
        let world = single_page(dialect, 250_000, 0);
        let peak = peak(&world.env, "ls --ids");
        println!("{}: {peak} KiB for 250,000 files in one response", dialect.provider);
        assert!(peak < 700_000, "{}: {peak} KiB", dialect.provider);
        assert_eq!(world.haul(&["ls", "--ids"]).ok().lines().len(), 250_000);
    }
}

#[test]
fn an_oversized_listing_is_refused() {
    let last_ids = dialects().filter(|dialect| dialect.replies().cursor == Cursor::LastId);
    for dialect in dialects().take(1).chain(last_ids) {
        for (files, width, said) in [(800_000, 0, "more than 512 MiB"), (70, 1 << 20, "larger than 64 MiB")] {
            let world = single_page(dialect, files, width);
            for verb in [&["ls", "--ids"][..], &["rm", "*", "--yes"]] {
                let run = world.haul(verb).fails(8);
                assert!(
                    run.stderr().contains(said) && run.out.is_empty(),
                    "{} {verb:?}: {run}",
                    dialect.provider
                );
            }
            assert_eq!(world.request_count("DELETE"), 0);
        }
    }
}

/// A platform that lists `files` files on one page, with names of `width` bytes.
fn single_page(dialect: &'static Dialect, files: usize, width: usize) -> World {
    let name = "x".repeat(width);
    let file = |number: usize| FakeFile {
        size: "1".to_owned(),
        content: Vec::new(),
        ..FakeFile::new(&format!("f{number:07}"), &name)
    };
    let page = dialect.page(&(0..files).map(file).collect::<Vec<_>>(), None).into_bytes();
    World::with_override(dialect, Vec::new(), move |_, _, _| Some(json_answer(200, &page)))
}
