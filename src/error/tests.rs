use super::*;

#[test]
fn exit_codes_match_the_documentation() {
    let codes: Vec<u8> = Kind::ALL.iter().map(|kind| kind.exit_code()).collect();
    assert_eq!(codes, [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 9, 129, 130, 143]);
}

#[test]
fn quoted_text_is_one_word_for_a_shell() {
    for plain in ["report.pdf", "id:file_1", "xai:id:a-b", "日本.txt", "a=b,c@d+e%20"] {
        assert_eq!(word(plain), plain);
    }
    assert_eq!(word("two words"), "'two words'");
    assert_eq!(word("it's; rm -rf ~"), r"'it'\''s; rm -rf ~'");
    for odd in ["", "$(x)", "`x`", "*.pdf", "~/x", "a\nb", "#", "!", "a&b"] {
        assert_eq!(word(odd), format!("'{odd}'"));
    }
}

#[test]
fn a_typed_name_replaces_the_id() {
    let message = || Message::about("the key of ", "file_1", " is not that of file_1");
    let error = Error::usage(message()).hint("`haul link --list file_1`").about("file_1");
    let other = error.clone().called("file_2", "b.txt");
    assert_eq!(other.message(), "the key of file_1 is not that of file_1");
    let error = error.called("file_1", "file_11").called("file_11", "a.txt");
    assert_eq!(error.message(), "the key of a.txt is not that of file_1");
    assert_eq!(error.hints(), ["`haul link --list file_1`"]);
    assert_eq!(error.reference(), Some("a.txt"));
}

#[test]
fn sources_are_accessible_and_printed_once() {
    let disk = io::Error::other(io::Error::from(io::ErrorKind::StorageFull));
    let written = Error::io("write", Path::new("a"), disk);
    let error = Error::failed("b: not kept").cause("in words").caused_by(written);
    assert_eq!(error.to_string(), "b: not kept: in words: a: cannot write: no storage space");
    assert_eq!(error.causes(), ["in words", "a: cannot write: no storage space"]);
    let chain: Vec<String> =
        std::iter::successors(error.source(), |&error| error.source()).map(ToString::to_string).collect();
    assert_eq!(chain, ["a: cannot write: no storage space", "no storage space"]);
}

#[test]
fn failures_of_different_kinds_have_the_kind_failed() {
    assert_eq!(Error::kind_of_all([]), None);
    assert_eq!(Error::kind_of_all([Kind::Auth, Kind::Auth]), Some(Kind::Auth));
    assert_eq!(Error::kind_of_all([Kind::Auth, Kind::NotFound]), Some(Kind::Failed));
}

#[test]
fn json_has_the_documented_keys() {
    let error = Error::not_found("x: no such file").hint("`haul ls`").about("local:x");
    assert_eq!(
        serde_json::to_string(&ErrorLine { error: error.object() }).unwrap(),
        r#"{"error":{"kind":"not_found","exit_code":3,"message":"x: no such file","details":[],"hints":["`haul ls`"],"request_id":null,"ref":"local:x"}}"#
    );
}

const NAMES: [&str; 9] =
    ["ls", "list", "upload", "name", "content_type", "created_at", "xai", "llamacloud", "Report 2026.pdf"];

fn near(typed: &str) -> Option<&'static str> {
    nearest(typed, NAMES)
}

#[test]
fn a_few_typing_errors_are_allowed() {
    assert_eq!(near("lss"), Some("ls"));
    assert_eq!(near("nmae"), Some("name"));
    assert_eq!(near("UPLAOD"), Some("upload"));
    assert_eq!(near("contnt_typ"), Some("content_type"));
    assert_eq!(near("report 2025.pdf"), Some("Report 2026.pdf"));
}

#[test]
fn the_start_or_a_word_is_enough() {
    assert_eq!(near("type"), Some("content_type"));
    assert_eq!(near("llama"), Some("llamacloud"));
    assert_eq!(near("report"), Some("Report 2026.pdf"));
}

#[test]
fn distant_names_are_not_suggested() {
    for typed in ["", "x", "nope", "zebra_crossing", "li", &"upload".repeat(40)] {
        assert_eq!(near(typed), if typed == "li" { Some("ls") } else { None }, "{typed}");
    }
    assert_eq!(nearest("upload", ["upload".repeat(40).as_str()]), None);
}
