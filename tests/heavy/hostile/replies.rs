//! What a hostile server answers: nonsense in a platform's wire format, ids that lead elsewhere, listings without end.
//! No run panics, hangs, shows the token or steers a terminal; each ends with the exit code of its kind.

use std::fs;

use haul::providers::{find, states};
use serde_json::json;

use crate::hostile::transfers::peak;
use crate::hostile::world::{Ask, Cursor, Dialect, Fetch, Told, World, dialects, fetch, json_answer, plain};
use crate::platforms::some;
use crate::support::server::Answer;

/// Bodies that are no answer at all. For a question about files each is exit 8.
fn nonsense() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &str, close: &str| {
        let levels = 10_000;
        format!("{}1{}", open.repeat(levels), close.repeat(levels)).into_bytes()
    };
    vec![
        ("empty", Vec::new()),
        ("blanks", b" \r\n\t ".to_vec()),
        ("null", b"null".to_vec()),
        ("a number", b"1e300".to_vec()),
        ("a text", b"\"\\u001b[31mred\"".to_vec()),
        ("an open array", b"[".to_vec()),
        ("an array of nothing", b"[null,null]".to_vec()),
        ("html", b"<html><title>\x1b[31mhello</title></html>".to_vec()),
        ("a byte order mark", "\u{feff}{}".into()),
        ("invalid UTF-8", b"{\"data\":[{\"id\":\"\xff\xfe\"}],\"items\":[{\"id\":\"\xff\"}],\"id\":\"\xff\"}".to_vec()),
        ("half of a surrogate", br#"{"data":[{"id":"\ud800"}],"items":[{"id":"\ud800"}],"results":[{"id":"\ud800"}],"id":"\ud800"}"#.to_vec()),
        ("a raw line feed in a text", b"{\"data\":[{\"id\":\"a\nb\"}],\"items\":[{\"id\":\"a\nb\"}],\"results\":[{\"id\":\"a\nb\"}],\"id\":\"a\nb\"}".to_vec()),
        ("nested arrays", deep("[", "]")),
        ("nested objects", deep("{\"data\":", "}")),
        ("nested metadata", {
            let meta = String::from_utf8(deep("{\"a\":", "}")).unwrap();
            let file = format!(r#"{{"id":"f","metadata":{meta},"more":{meta}}}"#);
            format!(r#"{{"data":[{file}],"items":[{file}],"results":[{file}],"id":"f","metadata":{meta}}}"#).into()
        }),
        ("a number that is none", br#"{"data":[{"id":"f","bytes":1e999}],"items":[{"id":"f","size":1e999}],"results":[{"id":"f","size":1e999}],"id":"f","x":1e999}"#.to_vec()),
        ("twice the same", br#"{"id":"f","id":"g","data":[],"data":[],"items":[],"items":[],"results":[],"results":[]}"#.to_vec()),
        ("a list of texts", br#"{"data":["f"],"items":["f"],"results":["f"]}"#.to_vec()),
        ("an object for a list", br#"{"data":{"id":{}},"items":{"id":{}},"results":{"id":{}},"id":{}}"#.to_vec()),
        ("no id", br#"{"data":[{"name":"n"}],"items":[{"name":"n"}],"results":[{"name":"n"}],"name":"n"}"#.to_vec()),
        ("an empty id", br#"{"data":[{"id":""}],"items":[{"id":""}],"results":[{"id":""}],"id":""}"#.to_vec()),
    ]
}

#[test]
fn nonsense_is_told_as_such_by_every_verb() {
    for dialect in dialects() {
        for (what, body) in nonsense() {
            let world = World::twisted(dialect, Vec::new(), {
                let body = body.clone();
                move |ask, _, _| match ask {
                    Ask::List | Ask::Stat(_) => Some(json_answer(200, &body)),
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
                // Without links the refusal comes before the question.
                let expected = if verb[0] == "link" && !dialect.links { 5 } else { 8 };
                assert_eq!(run.status, expected, "{} {what} {verb:?}: {run}", dialect.provider);
                assert!(run.stdout().len() + run.stderr().len() < 4000, "{what}: {run}");
            }
            assert_eq!(world.asked("DELETE"), 0, "{what}");
            assert_eq!(world.env.files(), Vec::<String>::new(), "{what}");
        }
    }
}

#[test]
fn values_that_make_no_sense_hide_no_file() {
    let odd = [
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
        for value in odd {
            for key in ["size", "created_at", "updated_at", "expires_at", "bytes_too"] {
                let mut told = Told::new(&format!("f{}", files.len()), "n");
                match key {
                    "size" => value.clone_into(&mut told.size),
                    key => told = told.and(&format!("\"{key}\":{value}")),
                }
                files.push(told);
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
                files.push(Told::new(&format!("f{}", files.len()), "n").and(&format!("\"{key}\":{value}")));
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
        assert!(world.left().is_empty());
    }
}

/// A size or a checksum that is not the content's is exit 9, and nothing of it is kept.
#[test]
fn a_content_that_is_not_what_was_told_is_not_kept() {
    for dialect in dialects() {
        for size in ["0", "1", "3", "18446744073709551615"] {
            let mut told = Told::new("f1", "n");
            size.clone_into(&mut told.size);
            let world = World::new(dialect, vec![told]);
            let run = world.haul(&["get", "id:f1", "-o", "out", "--progress", "always"]).fails(9);
            assert_eq!(world.env.files(), Vec::<String>::new(), "{run}");
            let streamed = world.haul(&["get", "id:f1", "-o", "-"]).fails(9);
            assert!(streamed.out.len() <= 2, "{streamed}");
            world.haul(&["get", "id:f1", "-o", "out", "--no-verify"]).ok();
            assert_eq!(world.env.read("out"), b"f1");
        }
    }
}

/// Ids that would lead elsewhere if they were put into a URL, a path or a terminal as they are.
#[test]
fn an_id_arrives_as_it_is_or_not_at_all() {
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
        let files = || ids.iter().map(|id| Told::new(id, "n")).collect::<Vec<_>>();
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
        let before = world.asked("DELETE");
        for (count, id) in ids.iter().enumerate() {
            world.terminal(&["rm", &format!("id:{id}")]).ok();
            assert!(!world.left().contains(&(*id).to_owned()), "{}: {id:?} is left", dialect.provider);
            assert_eq!(world.left().len(), ids.len() - count - 1, "{}: only {id:?} went", dialect.provider);
        }
        // Every name is the same here: what is saved is saved once, by the ids that were asked for.
        assert_eq!(world.asked("DELETE") - before, ids.len());
        assert!(world.server.requests().iter().all(|seen| !seen.head.contains('\u{1b}')));

        // What cannot be a part of a URL at all is refused before anything is asked.
        let world =
            World::new(dialect, vec![Told::new(".", "n"), Told::new("..", "n"), Told::new("ok", "n")]);
        for id in [".", ".."] {
            world.haul(&["info", &format!("id:{id}")]).fails(2);
            world.haul(&["rm", &format!("id:{id}")]).fails(2);
            world.haul(&["get", &format!("id:{id}"), "-o", "out"]).fails(2);
        }
        assert_eq!(world.server.count(), 0);
        let rest = world.haul(&["rm", "*", "--yes"]);
        assert_eq!((rest.status, world.left()), (2, vec![".".to_owned(), "..".to_owned()]), "{rest}");
    }
}

/// The words of a server are shown on one line and escaped, with the token out, and they are not long.
#[test]
fn the_words_of_a_refusal_steer_nothing() {
    let words = "no \u{1b}[31m\u{1b}]0;title\u{7}\u{202e}\nhint: `rm -rf /`\r\n\u{9b}2J tok_canary_4f1c9a7e ";
    let long = words.repeat(2000);
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
                let world = World::twisted(dialect, vec![Told::new("f1", "n")], move |_, _, _| {
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

/// A hint is there to be pasted: whatever the id in it, it does what it says and no more.
#[test]
fn a_hint_with_an_id_of_the_server_can_be_pasted() {
    for id in [
        "f1; touch pwned",
        "f1`touch pwned`",
        "$(touch pwned)",
        "it's; touch pwned #",
        "a b",
        "*",
        "~",
        "--yes",
    ] {
        let told = Told { size: "999".to_owned(), ..Told::new(id, "up") };
        let told = plain().file(&told);
        let world = World::twisted(plain(), vec![Told::new(id, "n")], move |_, _, seen| {
            seen.head.starts_with("POST").then(|| json_answer(200, &told))
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
        assert_eq!((ran.ok().status, world.left()), (0, Vec::<String>::new()), "{typed}");
    }
}

/// Links and redirects of a server that lead where no link may.
#[test]
fn a_link_that_leads_elsewhere_is_not_followed() {
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
            let world = World::twisted(dialect, vec![Told::new("f1", "n")], move |ask, _, _| {
                matches!(ask, Ask::Link(_)).then(|| json_answer(200, &said))
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
            let world = World::twisted(dialect, vec![Told::new("f1", "n")], move |ask, _, _| {
                matches!(ask, Ask::Bytes(_)).then(|| Answer::status(302, &[("Location", &target)], ""))
            });
            let run = world.terminal(&["get", "id:f1", "-o", "out"]);
            assert!((3..=8).contains(&run.status), "{} {url}: {run}", dialect.provider);
            assert_eq!(world.env.files(), Vec::<String>::new(), "{} {url}", dialect.provider);
        }
    }
}

/// What a server says of a content is neither a name nor a path.
#[test]
fn what_the_headers_of_a_content_say_is_not_believed() {
    for dialect in dialects() {
        let world = World::twisted(dialect, vec![Told::new("f1", "n.txt")], |ask, _, _| {
            let headers = [
                (
                    "Content-Disposition",
                    "attachment; filename=\"../../outside\"; filename*=UTF-8''%2Fetc%2Fpasswd",
                ),
                ("Content-Type", "text/\u{9b}31m; charset=\u{202e}"),
                ("Content-Location", "../../elsewhere"),
                ("ETag", "\"\u{9b}31m\""),
                ("Last-Modified", "the day before"),
            ];
            matches!(ask, Ask::Bytes(_)).then(|| Answer::status(200, &headers, "f1"))
        });
        let run = world.terminal(&["get", "id:f1"]).ok();
        assert_eq!(world.env.files(), ["n.txt"], "{run}");
        assert_eq!(world.env.read("n.txt"), b"f1");
        // Nor do they steer a terminal where all of them are shown.
        let traced = world.terminal(&["get", "id:f1", "-o", "-", "-vvv"]).ok();
        assert!(traced.stdout().to_lowercase().contains("content-disposition"), "{traced}");
    }
}

/// One answer of a million files is read; what it takes is bounded by the two limits of an answer, 64 MiB and 2^20
/// objects, each of which refuses one that is larger.
#[test]
#[ignore = "heavy: answers of a million files on every platform"]
fn a_page_of_a_million_files() {
    for dialect in dialects() {
        let world = all_at_once(dialect, 1_000_000, 0);
        let peak = peak(&world.env, "ls --ids");
        println!("{}: {peak} KiB for a million files in one answer", dialect.provider);
        assert!(peak < 1_500_000, "{}: {peak} KiB", dialect.provider);
        assert_eq!(world.haul(&["ls", "--ids"]).ok().lines().len(), 1_000_000);
    }
}

#[test]
fn an_answer_that_is_too_large_is_refused() {
    let last_ids = dialects().filter(|dialect| dialect.replies().cursor == Cursor::LastId);
    for dialect in dialects().take(1).chain(last_ids) {
        for (files, width, said) in
            [(1_100_000, 0, "more than 1048576 objects"), (70, 1 << 20, "larger than 64 MiB")]
        {
            let world = all_at_once(dialect, files, width);
            for verb in [&["ls", "--ids"][..], &["rm", "*", "--yes"]] {
                let run = world.haul(verb).fails(8);
                assert!(
                    run.stderr().contains(said) && run.out.is_empty(),
                    "{} {verb:?}: {run}",
                    dialect.provider
                );
            }
            assert_eq!(world.asked("DELETE"), 0);
        }
    }
}

/// A platform that lists so many files in one answer, each with a name of that length.
fn all_at_once(dialect: &'static Dialect, files: usize, width: usize) -> World {
    let name = "x".repeat(width);
    let file = |number: usize| Told {
        size: "1".to_owned(),
        content: Vec::new(),
        ..Told::new(&format!("f{number:07}"), &name)
    };
    let page = dialect.page(&(0..files).map(file).collect::<Vec<_>>(), None).into_bytes();
    World::twisted(dialect, Vec::new(), move |_, _, _| Some(json_answer(200, &page)))
}
