//! Properties of every platform in every dialect, selected by the capabilities.

use haul::emulator::to_hex;
use haul::error::Kind;
use haul::http::Range;
use haul::model::{File, FileId, NewFile, Object, Patch};
use haul::progress::silent;
use haul::providers::{Download, NameSlash, Op, Query, require_upload, supports};
use jiff::SignedDuration;
use serde_json::json;
use sha2::Digest as _;

use crate::support::rig::{Case, Rig, TOKEN, object};

const NAME: &str = "Zürich – 報告 (1).pdf";
const CONTENT: &str = "the quick brown fox\r\n\0 jumps over the lazy dog\n";

pub fn an_upload_keeps_all_given_attributes(case: Case) {
    let rig = Rig::new(case);
    let can = rig.can();
    let metadata =
        if can.upload.metadata { object(&[(key(&rig), "Äpfel \"und\" Birnen")]) } else { Object::new() };
    let lifetime = can.upload.lifetime.map(|_| SignedDuration::from_hours(24));
    let purpose = can.upload.default_purpose.filter(|_| can.upload.purpose);
    let new = NewFile {
        content_type: "application/pdf".to_owned(),
        metadata: metadata.clone(),
        expires: lifetime,
        purpose: purpose.map(str::to_owned),
        sha256: rig.provider.asks_for_sha256().then(|| to_hex(&sha2::Sha256::digest(CONTENT))),
        ..NewFile::from_bytes(NAME, CONTENT)
    };
    require_upload(case.spec(), can, &new).unwrap();
    let uploaded = rig.upload(&new).unwrap();
    let seen = rig.stat(&uploaded.id).unwrap();
    for file in [&uploaded, &seen] {
        assert_eq!((file.provider.as_str(), file.profile.as_str()), (case.provider, "work"));
        assert!(!file.id.as_str().is_empty());
        assert_eq!(file.id, uploaded.id);
        assert_eq!(file.name, NAME);
        assert!(file.size.is_none_or(|size| size == CONTENT.len() as u64), "{:?}", file.size);
        assert!(file.content_type.as_deref().is_none_or(|kind| kind == "application/pdf"), "{file:?}");
        assert!(purpose.is_none() || file.purpose.as_deref() == purpose, "{:?}", file.purpose);
        assert_eq!(file.metadata, metadata);
        verify_checksums(file, CONTENT.as_bytes());
        if lifetime.is_some() {
            let (made, ends) = (file.created_at.unwrap(), file.expires_at.unwrap());
            assert!((ends.duration_since(made) - SignedDuration::from_hours(24)).abs().as_secs() <= 1);
        }
    }
    let sums = &seen.checksums;
    // In the `auto` dialect, the capabilities list checksums that the platform may not return, so they are computed
    // during the upload.
    for name in can.checksums.iter().filter(|_| case.dialect != "auto") {
        let stated = match *name {
            "sha256" => &sums.sha256,
            "blake3" => &sums.blake3,
            "md5" => &sums.md5,
            other => panic!("{other}"),
        };
        assert!(stated.is_some(), "{name} is in the capabilities but missing");
    }
    let listed = rig.pages(None).concat();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].id, &listed[0].name), (&uploaded.id, &seen.name));
}

/// A file of a type that every platform with links accepts for links.
fn document(content: &str) -> NewFile {
    NewFile {
        content_type: "application/pdf".to_owned(),
        ..NewFile::from_bytes("document.pdf", content.to_owned())
    }
}

fn verify_checksums(file: &File, content: &[u8]) {
    let hex = to_hex;
    let sums = &file.checksums;
    let same = |stated: &Option<String>, own: String| stated.as_ref().is_none_or(|stated| *stated == own);
    assert!(same(&sums.sha256, hex(&sha2::Sha256::digest(content))), "{sums:?}");
    assert!(same(&sums.md5, hex(&md5::Md5::digest(content))), "{sums:?}");
    assert!(same(&sums.blake3, blake3::hash(content).to_hex().to_string()), "{sums:?}");
}

/// A metadata key that every platform with metadata accepts.
fn key(rig: &Rig) -> &'static str {
    rig.case.facts().metadata_key
}

pub fn an_empty_file_is_uploaded_where_supported(case: Case) {
    let rig = Rig::new(case);
    let new = NewFile::from_bytes("empty.txt", "");
    let refused = require_upload(case.spec(), rig.can(), &new);
    if !rig.can().upload.empty {
        assert_eq!(refused.unwrap_err().kind(), Kind::Unsupported);
        assert!(rig.upload(&new).is_err(), "it accepts empty files, contrary to its capabilities");
        return;
    }
    refused.unwrap();
    let file = rig.upload(&new).unwrap();
    assert!(file.size.is_none_or(|size| size == 0));
    if rig.can().download == Download::Any {
        let content = rig.run(rig.provider.download(&file.id, None)).unwrap();
        assert_eq!(rig.bytes(content), b"");
    }
}

pub fn pages_list_every_file_once_and_in_order(case: Case) {
    let rig = Rig::new(case);
    let mut put: Vec<FileId> =
        (0..5).map(|n| rig.put(&format!("page {n}.txt"), &"x".repeat(n + 1)).id).collect();
    let pages = rig.pages(Some(2));
    let mut seen: Vec<FileId> = pages.concat().into_iter().map(|file| file.id).collect();
    if rig.can().list.max_page < u32::MAX {
        // A platform that lists one purpose at a time has an empty page for each purpose without files.
        let counts: Vec<_> = pages.iter().map(Vec::len).filter(|count| *count > 0).collect();
        assert_eq!(counts, [2, 2, 1], "pages");
    }
    if rig.can().list.newest_first {
        put.reverse();
    } else {
        put.sort();
        seen.sort();
    }
    assert_eq!(seen, put);
    // A limit is a hint for the page size; a page may have more rows.
    let few = rig.list(&Query { limit: Some(2), ..Query::default() }, None).unwrap();
    assert!(few.files.len() >= 2);
}

pub fn a_native_order_is_the_requested_order(case: Case) {
    use haul::providers::Sort;
    let rig = Rig::new(case);
    for (name, size) in [("b", 30), ("a", 10), ("d", 40), ("c", 20)] {
        rig.put(&format!("{name}.txt"), &"x".repeat(size));
    }
    for field in File::FIELDS {
        for descending in [false, true] {
            let sort = Sort { field: field.to_owned(), descending };
            if !rig.can().list.sorts(&sort) {
                continue;
            }
            let query = Query { sort: Some(sort), page_size: Some(3), ..Query::default() };
            let first = rig.list(&query, None).unwrap();
            let second = rig.list(&query, first.next.as_deref()).unwrap();
            let files = [first.files, second.files].concat();
            assert_eq!(files.len(), 4);
            let value = |file: &File| match field {
                "name" => file.name.clone(),
                "size" => format!("{:020}", file.size.unwrap()),
                "id" => file.id.to_string(),
                "created_at" => file.created_at.map(|time| format!("{time:.9}")).unwrap_or_default(),
                other => panic!("no platform sorts by {other}"),
            };
            let got: Vec<String> = files.iter().map(value).collect();
            let mut wanted = got.clone();
            wanted.sort();
            if descending {
                wanted.reverse();
            }
            assert_eq!(got, wanted, "{field}, descending {descending}");
        }
    }
}

pub fn a_download_equals_the_upload(case: Case) {
    let rig = Rig::new(case);
    let file = rig.put(NAME, CONTENT);
    if rig.can().download == Download::SomeFiles {
        // This one is refused, or only its text is returned.
        match rig.run(rig.provider.download(&file.id, None)) {
            Ok(content) => assert!(content.derived || rig.provider.derives(&file)),
            Err(error) => assert_eq!(error.kind(), Kind::Unsupported, "{error}"),
        }
        return;
    }
    if rig.can().download != Download::Any {
        let refused = rig.run(rig.provider.download(&file.id, None)).map(drop);
        assert_eq!(refused.unwrap_err().kind(), Kind::Unsupported);
        return;
    }
    let content = rig.run(rig.provider.download(&file.id, None)).unwrap();
    assert_eq!((content.start, content.derived), (0, false));
    assert!(content.length.is_none_or(|length| length == CONTENT.len() as u64));
    let release = content.release.clone();
    assert_eq!(rig.bytes(content), CONTENT.as_bytes());
    if let Some(link) = release {
        let link = link.id.unwrap_or(link.url);
        rig.run(rig.provider.unlink(&file.id, Some(&link))).unwrap();
    }
    // If ranges are not supported, the whole content is sent and reported as such.
    // `verified` is set because this test has no validator.
    let range = Range { from: 4, verified: true, ..Range::default() };
    let content = rig.run(rig.provider.download(&file.id, Some(range))).unwrap();
    let start = usize::try_from(content.start).unwrap();
    assert_eq!(start, if rig.can().ranges { 4 } else { 0 });
    assert_eq!(rig.bytes(content), &CONTENT.as_bytes()[start..]);
}

pub fn a_change_is_stored_and_affects_nothing_else(case: Case) {
    let rig = Rig::new(case);
    let Some(can) = rig.can().annotate else { return };
    let file = rig.put("before.txt", CONTENT);
    if can.metadata {
        let key = can.keys.first().copied().unwrap_or("author");
        let patch = Patch { set: object(&[(key, "Hegel")]), ..Patch::default() };
        let changed = rig.run(rig.provider.annotate(&file.id, &patch)).unwrap();
        assert_eq!((&changed.id, &changed.name), (&file.id, &file.name));
        assert_eq!(changed.metadata.get(key), Some(&json!("Hegel")));
        assert_eq!(rig.stat(&file.id).unwrap().metadata, changed.metadata);
        if can.keys.is_empty() {
            let patch =
                Patch { set: object(&[("year", "1807")]), unset: vec![key.to_owned()], ..Patch::default() };
            let changed = rig.run(rig.provider.annotate(&file.id, &patch));
            if let Some(refusal) = case.facts().unset_refusal {
                // The platform only merges: the key that stays is reported.
                let error = changed.unwrap_err();
                assert_eq!(error.kind(), Kind::Unsupported);
                assert!(error.message().ends_with(refusal), "{error}");
                return;
            }
            assert_eq!(changed.unwrap().metadata, object(&[("year", "1807")]));
            let patch = Patch { set: object(&[("z", "1")]), replace: true, ..Patch::default() };
            assert_eq!(
                rig.run(rig.provider.annotate(&file.id, &patch)).unwrap().metadata,
                object(&[("z", "1")])
            );
        }
    }
    let named = |name| Patch { name, ..Patch::default() };
    let typed = |content_type| Patch { content_type, ..Patch::default() };
    let moved = |path| Patch { path, ..Patch::default() };
    let some = |text: &str| Some(text.to_owned());
    for (able, patch, field) in [
        (can.name, named(some("später.txt")), "name"),
        (can.content_type, typed(some("text/markdown")), "content_type"),
        (can.path, moved(some("reports/2026")), "path"),
    ] {
        let changed = rig.run(rig.provider.annotate(&file.id, &patch));
        if !able {
            assert_eq!(changed.unwrap_err().kind(), Kind::Unsupported, "{field}");
            continue;
        }
        let wanted = patch.name.clone().or(patch.content_type.clone()).or(patch.path.clone()).unwrap();
        let value = |file: &File| serde_json::to_value(file).unwrap()[field].clone();
        assert_eq!(value(&changed.unwrap()).as_str().unwrap().trim_matches('/'), wanted, "{field}");
        // xAI's other dialect returns no types or paths.
        if let Some(seen) = value(&rig.stat(&file.id).unwrap()).as_str() {
            assert_eq!(seen.trim_matches('/'), wanted, "{field}");
        }
    }
    if rig.can().download == Download::Any {
        let content = rig.run(rig.provider.download(&file.id, None)).unwrap();
        assert_eq!(rig.bytes(content), CONTENT.as_bytes());
    }
}

pub fn new_content_keeps_the_id(case: Case) {
    let rig = Rig::new(case);
    if !rig.can().replace {
        return;
    }
    let file = rig.put("a.txt", "old");
    let new = NewFile::from_bytes("a.txt", "new content");
    let replaced = rig.run(rig.provider.replace(&file.id, &new, silent())).unwrap();
    assert_eq!((&replaced.id, replaced.name.as_str(), replaced.size), (&file.id, "a.txt", Some(11)));
    verify_checksums(&replaced, b"new content");
    let content = rig.run(rig.provider.download(&file.id, None)).unwrap();
    assert_eq!(rig.bytes(content), b"new content");
    assert_eq!(rig.pages(None).concat().len(), 1);
    let missing = rig.run(rig.provider.replace(&unknown(&rig), &new, silent()));
    assert_eq!(missing.unwrap_err().kind(), Kind::NotFound);
}

pub fn a_link_works_is_listed_and_can_be_revoked(case: Case) {
    let rig = Rig::new(case);
    let Some(can) = rig.can().link else { return };
    let file = rig.upload(&document(CONTENT)).unwrap();
    let lifetime = can.lifetime.map(|_| SignedDuration::from_hours(2));
    let link = rig.run(rig.provider.link(&file.id, lifetime)).unwrap();
    assert!(link.url.contains("://"), "{link:?}");
    if lifetime.is_some() {
        let left = link.expires_at.unwrap().duration_since(jiff::Timestamp::now());
        assert!((SignedDuration::from_mins(118)..=SignedDuration::from_mins(121)).contains(&left), "{left}");
    }
    assert_eq!(rig.open_link(&link).unwrap(), CONTENT.as_bytes());
    if can.list {
        let links = rig.run(rig.provider.links(&file.id)).unwrap();
        assert_eq!(links.iter().map(|link| &link.url).collect::<Vec<_>>(), [&link.url]);
    }
    if can.revoke {
        rig.run(rig.provider.unlink(&file.id, None)).unwrap();
        assert!(rig.open_link(&link).is_err(), "a revoked link still opens");
        if can.list {
            assert_eq!(rig.run(rig.provider.links(&file.id)).unwrap(), []);
        }
        let again = rig.run(rig.provider.unlink(&file.id, None));
        assert_eq!(again.unwrap_err().kind(), Kind::NotFound);
        let link = rig.run(rig.provider.link(&file.id, None)).unwrap();
        let named = link.id.clone().unwrap_or_else(|| link.url.clone());
        rig.run(rig.provider.unlink(&file.id, Some(&named))).unwrap();
    }
    let missing = rig.run(rig.provider.link(&unknown(&rig), None));
    // A link that haul signs itself is created without checking whether the file exists.
    if !case.facts().signs_links {
        assert_eq!(missing.unwrap_err().kind(), Kind::NotFound);
    }
}

pub fn a_deleted_file_is_gone(case: Case) {
    let rig = Rig::new(case);
    let file = rig.put("gone.txt", "x");
    let other = rig.put("stays.txt", "x");
    if !case.deletes() {
        let error = rig.run(rig.provider.delete(&file.id)).unwrap_err();
        assert_eq!((error.kind(), error.status()), (Kind::Unsupported, None), "{error}");
        return;
    }
    rig.run(rig.provider.delete(&file.id)).unwrap();
    let again = rig.run(rig.provider.delete(&file.id));
    assert_eq!(again.unwrap_err().kind(), Kind::NotFound, "a second delete");
    match rig.stat(&file.id) {
        // Some platforms keep the record of a deleted file.
        Ok(file) => {
            let status = case.facts().deleted_status;
            assert!(status.is_some() && file.status.as_deref() == status, "{file:?}");
        }
        Err(error) => assert_eq!(error.kind(), Kind::NotFound),
    }
    let left = rig.pages(None).concat();
    assert_eq!(left.iter().map(|file| &file.id).collect::<Vec<_>>(), [&other.id]);
    assert_eq!(rig.run(rig.provider.delete(&unknown(&rig))).unwrap_err().kind(), Kind::NotFound);
}

/// An id in the platform's format that no file has.
fn unknown(rig: &Rig) -> FileId {
    let id = rig.put("for its id.txt", "x").id;
    if rig.case.deletes() {
        rig.run(rig.provider.delete(&id)).unwrap();
    }
    let swap = |c: char| {
        if c == '0' {
            '1'
        } else if c.is_ascii_digit() {
            '0'
        } else {
            c
        }
    };
    let start = id.0.len() - 6;
    FileId(format!(
        "{}{}",
        &id.0[..start],
        id.0[start..]
            .chars()
            .map(swap)
            .map(|c| match c {
                'a' => 'b',
                'A' => 'B',
                _ if c.is_ascii_lowercase() => 'a',
                _ if c.is_ascii_uppercase() => 'A',
                _ => c,
            })
            .collect::<String>()
    ))
}

pub fn an_unknown_id_is_reported(case: Case) {
    let rig = Rig::new(case);
    rig.put("a.txt", "x");
    assert_eq!(rig.stat(&unknown(&rig)).unwrap_err().kind(), Kind::NotFound);
    let odd = ["nope", "a/b?c#d%", "報告.pdf", "a b", "..", "", "%2e%2e", "a\\b", "x\u{7f}y", "content"];
    for id in odd.into_iter().chain([&*"long".repeat(500)]) {
        let error = rig.stat(&id.into()).map(|file| panic!("{id:?} is {file:?}")).unwrap_err();
        // Some platforms validate the format of an id before they look it up.
        let told =
            matches!(error.kind(), Kind::NotFound | Kind::Usage) || matches!(error.status(), Some(400 | 422));
        assert!(told, "{id:?}: {error:?}");
    }
}

pub fn a_wrong_token_is_refused_everywhere(case: Case) {
    if !case.is_remote() {
        return;
    }
    let rig = Rig::new(case);
    let file = rig.put("a.txt", "x");
    let set: Vec<_> = case.set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let wrong = rig.other(&TOKEN.replace("tests", "nobody"), &set);
    let new = NewFile::from_bytes("b.txt", "x");
    let refused = |what: &str, result: haul::error::Result<()>| {
        let error = result.expect_err(what);
        assert_eq!(error.kind(), Kind::Auth, "{what}: {error:?}");
        let text = format!("{error:?} {:?}", error.lines());
        assert!(!text.contains(&TOKEN.replace("tests", "nobody")), "{what} reveals the token");
    };
    refused("list", rig.run(wrong.list(&Query::default(), None)).map(drop));
    refused("stat", rig.run(wrong.stat(&file.id)).map(drop));
    refused("upload", rig.run(wrong.upload(&new, silent())).map(drop));
    if case.deletes() {
        refused("delete", rig.run(wrong.delete(&file.id)).map(drop));
    }
    assert_eq!(rig.pages(None).concat().len(), 1);
}

/// A call returns "unsupported" if and only if the capabilities exclude it.
pub fn capabilities_are_correct(case: Case) {
    let rig = Rig::new(case);
    let (can, provider) = (rig.can(), &rig.provider);
    let put = || {
        let new = document("x");
        if case.spec().names_are_ids() {
            let _ = rig.run(provider.delete(&new.name.as_str().into()));
        }
        rig.upload(&new).unwrap().id
    };
    let new = NewFile::from_bytes("honest.txt", "y");
    for op in Op::ALL {
        let id = put();
        let result = match op {
            Op::List => rig.run(provider.list(&Query::default(), None)).map(drop),
            Op::Stat => rig.run(provider.stat(&id)).map(drop),
            Op::Upload => rig.upload(&new).map(drop),
            Op::Delete => rig.run(provider.delete(&id)),
            Op::Download => rig.run(provider.download(&id, None)).map(drop),
            Op::Annotate => {
                let patch = match can.annotate {
                    Some(able) if able.name => Patch { name: Some("n.txt".to_owned()), ..Patch::default() },
                    Some(able) => {
                        let key = able.keys.first().copied().unwrap_or("author");
                        Patch { set: object(&[(key, "x")]), ..Patch::default() }
                    }
                    None => Patch { set: object(&[("title", "x")]), ..Patch::default() },
                };
                rig.run(provider.annotate(&id, &patch)).map(drop)
            }
            Op::Replace => rig.run(provider.replace(&id, &new, silent())).map(drop),
            Op::Link => rig.run(provider.link(&id, None)).map(drop),
            Op::Links => rig.run(provider.links(&id)).map(drop),
            Op::AllLinks => rig.run(provider.all_links(None)).map(drop),
            // There may be no link to revoke, which is a different error.
            Op::Unlink => rig.run(provider.unlink(&id, None)),
        };
        if op == Op::Download && can.download == Download::SomeFiles {
            continue;
        }
        // Only with a signed link; otherwise the operation is unsupported.
        let promised = supports(can, op) && !(op == Op::Download && can.download == Download::SignedLinks);
        match result {
            Err(error) if error.kind() == Kind::Unsupported => {
                assert!(!promised, "{op:?} is in the capabilities but refused: {error}");
                assert!(error.message().starts_with(case.provider), "{op:?}: {error}");
            }
            Err(error) => {
                assert!(
                    promised,
                    "{op:?} is not in the capabilities but fails with another error: {error:?}"
                );
                let expected = (op == Op::Unlink && error.kind() == Kind::NotFound)
                    || (op == Op::Delete && !case.deletes());
                assert!(expected, "{op:?}: {error:?}");
            }
            Ok(()) => assert!(promised, "{op:?} works but is not in the capabilities"),
        }
    }
    // This upload skips haul's own check, which refuses such a name on platforms that do not keep it.
    let uploaded = rig.upload(&NewFile::from_bytes("sub/a.txt", "z"));
    match (case.spec().name_slash, uploaded) {
        (NameSlash::Kept, Ok(file)) => assert_eq!(file.name, "sub/a.txt"),
        (NameSlash::Stripped, Ok(file)) => assert_eq!(file.name, "a.txt"),
        (NameSlash::Refused, Err(_)) => {}
        other => panic!("{other:?}"),
    }
}

pub fn an_unsupported_option_is_refused_before_any_request(case: Case) {
    let rig = Rig::new(case);
    let can = rig.can();
    let base = || NewFile::from_bytes("a.txt", "x");
    let options = [
        (can.upload.purpose, NewFile { purpose: Some("p".to_owned()), ..base() }),
        (can.upload.metadata, NewFile { metadata: object(&[("title", "x")]), ..base() }),
        (can.upload.lifetime.is_some(), NewFile { expires: Some(SignedDuration::from_hours(24)), ..base() }),
    ];
    for (has_place, new) in options {
        match require_upload(case.spec(), can, &new) {
            Ok(()) => assert!(has_place, "{new:?}"),
            Err(error) => {
                assert!(!has_place, "{new:?}");
                assert_eq!(error.kind(), Kind::Unsupported);
            }
        }
    }
    let is_kept = case.spec().name_slash == NameSlash::Kept;
    assert_eq!(require_upload(case.spec(), can, &NewFile::from_bytes("a/b.txt", "x")).is_ok(), is_kept);
    if let Some((shortest, longest)) = can.upload.lifetime {
        for seconds in [shortest - 1, longest + 1] {
            let new = NewFile { expires: Some(SignedDuration::from_secs(seconds)), ..base() };
            assert_eq!(require_upload(case.spec(), can, &new).unwrap_err().kind(), Kind::Unsupported);
        }
    }
    assert_eq!(rig.served.requests(), Vec::<String>::new());
}
