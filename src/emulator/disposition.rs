//! `Content-Disposition`: parses the forms that browsers, curl and HTTP libraries send, and formats the header for
//! downloads.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// The characters that are percent-encoded in `filename*`: those for which RFC 5987 requires it, and some others.
const EXTENDED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'!').remove(b'#');

/// The name and file name of a form part. Returns `None` if the name is missing or the type is not `form-data`.
pub(super) fn parse(value: &[u8]) -> Option<(String, Option<String>)> {
    let (kind, rest) = value.split_at(value.iter().position(|byte| *byte == b';')?);
    if !kind.trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return None;
    }
    let parameters = parameters(&rest[1..]);
    let find = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let name = text(find("name")?);
    let file_name = find("filename*").and_then(|value| extended(value));
    Some((name, file_name.or_else(|| find("filename").map(|value| text(value)))))
}

/// The parameters of a header value, with names in lowercase and values without quotes and escapes.
pub(super) fn parameters(mut rest: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_ascii_start();
        while let [b';', after @ ..] = rest {
            rest = after.trim_ascii_start();
        }
        if rest.is_empty() {
            return found;
        }
        let end = rest.iter().position(|byte| matches!(byte, b'=' | b';')).unwrap_or(rest.len());
        let name = String::from_utf8_lossy(rest[..end].trim_ascii()).to_ascii_lowercase();
        rest = &rest[end..];
        let mut value = Vec::new();
        if let [b'=', after @ ..] = rest {
            (value, rest) = read_value(after.trim_ascii_start());
        }
        found.push((name, value));
    }
}

/// The value at the start, and the rest of the text.
fn read_value(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let [b'"', quoted @ ..] = text else {
        let end = text.iter().position(|byte| *byte == b';').unwrap_or(text.len());
        return (text[..end].trim_ascii().to_vec(), &text[end..]);
    };
    let mut value = Vec::new();
    let mut at = 0;
    while let Some(byte) = quoted.get(at) {
        at += 1;
        match (byte, quoted.get(at)) {
            (b'"', _) => break,
            // Other backslashes are literal, because old clients send names without escaping them.
            (b'\\', Some(escaped @ (b'"' | b'\\'))) => {
                value.push(*escaped);
                at += 1;
            }
            _ => value.push(*byte),
        }
    }
    (value, &quoted[at..])
}

/// Decodes UTF-8 and the three escapes used in HTML forms. Any other `%` is literal.
fn text(value: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(value).into_owned();
    for (escape, character) in [("%22", "\""), ("%0D", "\r"), ("%0d", "\r"), ("%0A", "\n"), ("%0a", "\n")] {
        if text.contains(escape) {
            text = text.replace(escape, character);
        }
    }
    text
}

/// Decodes `CHARSET'LANGUAGE'PERCENT-ENCODED`, where the charset is UTF-8 or ISO-8859-1.
fn extended(value: &[u8]) -> Option<String> {
    let value = std::str::from_utf8(value).ok()?;
    let (charset, rest) = value.split_once('\'')?;
    let (_, encoded) = rest.split_once('\'')?;
    let bytes: Vec<u8> = percent_decode(encoded.as_bytes()).collect();
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" => String::from_utf8(bytes).ok(),
        "iso-8859-1" => Some(bytes.into_iter().map(char::from).collect()),
        _ => None,
    }
}

/// The `Content-Disposition` for a download; `kind` is `attachment` or `inline`. The name is included in ASCII, for
/// old clients, and in UTF-8.
pub fn content_disposition(kind: &str, name: &str) -> String {
    let plain = |character: char| match character {
        '"' | '\\' => '_',
        ' '..='~' => character,
        _ => '_',
    };
    let ascii: String = name.chars().map(plain).collect();
    format!("{kind}; filename=\"{ascii}\"; filename*=UTF-8''{}", utf8_percent_encode(name, EXTENDED))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::property::holds;

    fn file_name(value: &str) -> Option<String> {
        parse(value.as_bytes()).expect("a name").1
    }

    #[test]
    fn names_from_clients_are_parsed() {
        let part = |rest: &str| file_name(&format!("form-data; name=\"f\"{rest}"));
        assert_eq!(part(""), None);
        assert_eq!(part("; filename=\"\""), Some(String::new()));
        assert_eq!(part("; filename=\"naïve %22q%22 日本.bin\"").unwrap(), "naïve \"q\" 日本.bin");
        assert_eq!(part(r#"; filename="naïve \"q\" \\ 日本.bin""#).unwrap(), "naïve \"q\" \\ 日本.bin");
        assert_eq!(part("; filename=\"a%0D%0Ab%2541;c=d\"").unwrap(), "a\r\nb%2541;c=d");
        assert_eq!(part(r#"; filename="C:\dir\x.txt""#).unwrap(), r"C:\dir\x.txt");
        assert_eq!(part("; filename=plain.txt ; x=y").unwrap(), "plain.txt");
        assert_eq!(part("; filename=\"_\"; filename*=UTF-8''%e6%97%a5%20b").unwrap(), "日 b");
        assert_eq!(part("; filename=\"_\"; filename*=KOI8-R''x").unwrap(), "_");
        assert_eq!(part("; FileName = \"x\"").unwrap(), "x");
        assert_eq!(parse(b"form-data; filename=\"x\""), None);
        assert_eq!(parse(b"attachment; name=\"x\""), None);
    }

    /// Random sequences of header fragments.
    fn random_header() -> impl Strategy<Value = Vec<u8>> {
        const PARTS: &[&str] = &[
            "form-data",
            "attachment",
            ";",
            " ",
            "name",
            "filename",
            "filename*",
            "=",
            "\"",
            "\\",
            "UTF-8''",
            "iso-8859-1''",
            "'",
            "%",
            "%22",
            "%e6%97%a5",
            "é",
            "a",
            "a.txt",
            "\t",
            "\r\n",
            "=?UTF-8?B?",
            "\0",
        ];
        let part = prop_oneof![
            9 => prop::sample::select(PARTS).prop_map(|text| text.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..6),
        ];
        prop::collection::vec(part, 0..14).prop_map(|parts| parts.concat())
    }

    #[test]
    fn the_examples_of_the_standard_are_parsed() {
        // The examples of RFC 6266 section 5, with the type and name of a form part.
        let part = |rest: &str| file_name(&format!("form-data; name=f; {rest}"));
        assert_eq!(part("filename=example.html").unwrap(), "example.html");
        assert_eq!(part("FILENAME= \"an example.html\"").unwrap(), "an example.html");
        assert_eq!(part("filename*= UTF-8''%e2%82%ac%20rates").unwrap(), "€ rates");
        assert_eq!(part("filename=\"EURO rates\"; filename*=utf-8''%e2%82%ac%20rates").unwrap(), "€ rates");
        // The example of RFC 8187 section 3.2.3.
        assert_eq!(part("filename*=iso-8859-1'en'%A3%20rates").unwrap(), "£ rates");
    }

    #[test]
    fn properties_a_download_header_is_parsed_to_the_same_name() {
        let name = prop_oneof!["\\PC*", any::<String>()];
        holds("content-disposition: a download name is parsed back", name, |name| {
            let written = content_disposition("form-data; name=f", &name);
            prop_assert!(written.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(file_name(&written), Some(name));
            Ok(())
        });
    }

    #[test]
    fn properties_a_quoted_name_is_read_in_either_escaping() {
        let name = prop_oneof!["[ab\"\\\\%;=é日 ]{0,12}", "[^\\r\\n\\x00]{0,12}"];
        holds("content-disposition: quoted names in either escaping", name, |name| {
            let written = |name: &str| file_name(&format!("form-data; name=\"f\"; filename=\"{name}\"; x=y"));
            let backslashed = name.replace('\\', "\\\\").replace('"', "\\\"");
            let plain = !["%22", "%0D", "%0d", "%0A", "%0a"].iter().any(|escape| name.contains(escape));
            if plain {
                prop_assert_eq!(written(&backslashed), Some(name.clone()));
            }
            if plain && !name.contains('\\') {
                prop_assert_eq!(written(&name.replace('"', "%22")), Some(name));
            }
            Ok(())
        });
    }

    #[test]
    fn properties_any_header_is_parsed_without_a_panic() {
        let value = prop_oneof![random_header(), prop::collection::vec(any::<u8>(), 0..60)];
        holds("content-disposition: no header panics", value, |value| {
            parse(&value);
            parse(&[b"form-data; ", value.as_slice()].concat());
            let again = parameters(&value);
            prop_assert!(
                again.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= 3 * value.len()
            );
            Ok(())
        });
    }
}
