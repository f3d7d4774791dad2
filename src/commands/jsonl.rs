//! Checks JSONL files for batches and fine-tuning, in one pass and without keeping the lines in memory.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::marker::PhantomData;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize as Derive, Serialize};

use crate::human::count;
use crate::model::hash_of;

/// What a JSONL file is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Purpose {
    /// Batch requests
    Batch,
    /// Examples for fine-tuning
    FineTune,
}

impl Purpose {
    /// The purpose that platforms call `word`.
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "batch" => Some(Self::Batch),
            "fine-tune" => Some(Self::FineTune),
            _ => None,
        }
    }
}

/// The documented limits for a batch on OpenAI and Perplexity. A megabyte may mean 1024 × 1024 bytes, so the
/// larger value is used.
const BATCH_BYTES: u64 = 200 * 1024 * 1024;
const BATCH_LINES: u64 = 50_000;
/// Minimum number of examples for a fine-tuning job.
const EXAMPLES: u64 = 10;
/// Maximum number of errors, and of warnings, reported per file.
const FINDINGS: usize = 100;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Severity {
    /// The platform rejects the file.
    Error,
    /// The platform may reject the file or one of its lines.
    Warning,
}

/// A problem found in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The severity.
    pub severity: Severity,
    /// The line number, starting at 1; `None` if the finding concerns the whole file.
    pub line: Option<u64>,
    /// The reason.
    pub message: String,
}

/// Checks the lines of a file of `size` bytes. `limits` is the severity of exceeding the limits of a batch. The check
/// stops after the maximum number of requests or of errors.
pub fn check(content: impl Read, size: u64, purpose: Purpose, limits: Severity) -> io::Result<Vec<Finding>> {
    let mut check = Check { purpose, findings: Vec::new(), counts: [0; 2], first: None, ids: HashSet::new() };
    if purpose == Purpose::Batch && size > BATCH_BYTES {
        check.add(limits, None, "larger than 200 MB, OpenAI's limit for a batch".to_owned());
    }
    let mut content = BufReader::with_capacity(64 * 1024, content);
    let (mut number, mut lines, mut blank) = (0_u64, 0_u64, None);
    while !content.fill_buf()?.is_empty() && check.counts[Severity::Error as usize] < FINDINGS {
        number += 1;
        let mut line = Line { content: &mut content, ended: false, utf8: Utf8::default(), blank: true };
        let read = check.line(&mut line, number);
        line.skip()?;
        let (valid, is_blank) = (line.utf8.is_valid(), line.blank);
        if !valid {
            check.error(Some(number), "not valid UTF-8".to_owned());
            continue;
        }
        if is_blank {
            blank.get_or_insert(number);
            continue;
        }
        if let Some(blank) = blank.take() {
            check.warn(Some(blank), "empty line".to_owned());
        }
        lines += 1;
        if let Err((severity, message)) = read {
            check.add(severity, Some(number), message);
        }
        if purpose == Purpose::Batch && lines == BATCH_LINES + 1 {
            let message = format!("more than {BATCH_LINES} requests, OpenAI's limit for a batch");
            check.add(limits, Some(number), message);
            break;
        }
    }
    if lines == 0 && check.findings.is_empty() {
        check.error(None, "empty file".to_owned());
    } else if purpose == Purpose::FineTune && lines < EXAMPLES {
        check.warn(None, format!("{}; fine-tuning needs at least {EXAMPLES}", count(lines, "example")));
    }
    Ok(check.findings)
}

struct Check {
    purpose: Purpose,
    findings: Vec<Finding>,
    /// The number of errors and the number of warnings.
    counts: [usize; 2],
    /// The values in the first line: `url` and model for a batch, or the shape of an example.
    first: Option<[Option<String>; 2]>,
    /// Hashes of the ids read so far.
    ids: HashSet<u64>,
}

impl Check {
    fn add(&mut self, severity: Severity, line: Option<u64>, message: String) {
        let count = &mut self.counts[severity as usize];
        if *count < FINDINGS {
            *count += 1;
            self.findings.push(Finding { severity, line, message });
        }
    }

    fn error(&mut self, line: Option<u64>, message: String) {
        self.add(Severity::Error, line, message);
    }

    fn warn(&mut self, line: Option<u64>, message: String) {
        self.add(Severity::Warning, line, message);
    }

    /// Checks one line. The error is the reason why the rest of the line cannot be checked.
    fn line(&mut self, line: &mut Line<impl BufRead>, number: u64) -> Result<(), (Severity, String)> {
        match self.purpose {
            Purpose::Batch => self.request(&parse(line)?, number),
            Purpose::FineTune => self.example(&parse(line)?, number),
        }
        Ok(())
    }

    fn request(&mut self, request: &Request, number: u64) {
        let at = Some(number);
        match request.custom_id.as_ref().map(|id| &id.0) {
            Some(Some(id)) if !id.is_empty() => {
                if !self.ids.insert(hash_of(id)) {
                    self.error(at, format!("duplicate custom_id {id:?}"));
                }
            }
            Some(_) => self.error(at, "custom_id must be a nonempty string".to_owned()),
            None => self.error(at, "missing custom_id".to_owned()),
        }
        for (key, is_present) in [
            ("method", request.method.is_some()),
            ("url", request.url.is_some()),
            ("body", request.body.is_some()),
        ] {
            if !is_present {
                self.error(at, format!("missing {key}"));
            }
        }
        let text = |word: &Option<Text>| word.as_ref().and_then(|word| word.0.clone());
        if text(&request.method).is_some_and(|method| method != "POST") {
            self.warn(at, "method is not POST".to_owned());
        }
        let body = request.body.as_ref();
        if body.is_some_and(|body| body.0.is_none()) {
            self.warn(at, "body is not an object".to_owned());
        }
        let model = body.and_then(|body| text(&body.0.as_ref()?.model));
        if body.is_some_and(|body| body.0.is_some()) && model.is_none() {
            self.warn(at, "body has no model".to_owned());
        }
        let now = [text(&request.url), model];
        for (index, key) in ["url", "model"].into_iter().enumerate() {
            let before = self.first.as_ref().and_then(|first| first[index].clone());
            if before.is_some() && now[index].is_some() && before != now[index] {
                self.warn(at, format!("{key} differs from the first line"));
            }
        }
        self.first.get_or_insert(now);
    }

    fn example(&mut self, example: &Example, number: u64) {
        let at = Some(number);
        let shape = if example.messages.is_some() {
            "messages"
        } else if example.input.is_some() {
            "input"
        } else if example.prompt.is_some() {
            "prompt"
        } else {
            return self.warn(at, "has no messages, input or prompt".to_owned());
        };
        let before = self.first.get_or_insert([Some(shape.to_owned()), None])[0].clone();
        if before.as_deref() != Some(shape) {
            self.warn(at, "has different keys from the first line".to_owned());
        }
        for (key, is_missing) in [
            ("preferred_output", shape == "input" && example.preferred_output.is_none()),
            ("non_preferred_output", shape == "input" && example.non_preferred_output.is_none()),
            ("completion", shape == "prompt" && example.completion.is_none()),
        ] {
            if is_missing {
                self.warn(at, format!("missing {key}"));
            }
        }
        let Some(messages) = example.messages.as_ref() else { return };
        match &messages.0 {
            Some(messages) if messages.count > 0 => {
                if let Some(role) = &messages.unknown_role {
                    self.warn(at, format!("unknown role {role:?}"));
                }
                if messages.incomplete {
                    self.warn(at, "a message has no role or no content".to_owned());
                }
            }
            _ => self.warn(at, "messages must be a nonempty list".to_owned()),
        }
    }
}

/// Parses a line as a single JSON object.
fn parse<T: DeserializeOwned>(line: &mut Line<impl BufRead>) -> Result<T, (Severity, String)> {
    // The parser reads byte by byte.
    let mut parser = serde_json::Deserializer::from_reader(BufReader::with_capacity(4096, line));
    let read = Lax::<T>::deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    match read {
        Ok(Lax(Some(value))) => Ok(value),
        Ok(Lax(None)) => Err((Severity::Error, "not a JSON object".to_owned())),
        Err(error) if error.is_io() => Err((Severity::Error, format!("not readable: {error}"))),
        Err(error) => {
            // Each line has its own parser, which reports it as line 1.
            let text = error.to_string().replace("line 1 ", "").replace(" at column", ", column");
            // All types of values are accepted, so only a repeated key is a data error.
            Err(if error.is_data() {
                (Severity::Warning, text)
            } else {
                (Severity::Error, format!("not valid JSON: {text}"))
            })
        }
    }
}

/// A request in a batch. Only known keys are kept.
#[derive(Default, Derive)]
#[serde(default)]
struct Request {
    custom_id: Option<Text>,
    method: Option<Text>,
    url: Option<Text>,
    body: Option<Lax<Body>>,
}

#[derive(Default, Derive)]
#[serde(default)]
struct Body {
    model: Option<Text>,
}

/// An example for fine-tuning.
#[derive(Default, Derive)]
#[serde(default)]
struct Example {
    messages: Option<List>,
    input: Option<IgnoredAny>,
    preferred_output: Option<IgnoredAny>,
    non_preferred_output: Option<IgnoredAny>,
    prompt: Option<IgnoredAny>,
    completion: Option<IgnoredAny>,
}

#[derive(Default, Derive)]
#[serde(default)]
struct Message {
    role: Option<Text>,
    content: Option<IgnoredAny>,
    tool_calls: Option<IgnoredAny>,
    function_call: Option<IgnoredAny>,
    refusal: Option<IgnoredAny>,
}

/// The problems found in a list of messages.
#[derive(Default)]
struct Messages {
    count: u64,
    unknown_role: Option<String>,
    incomplete: bool,
}

impl Messages {
    fn add(&mut self, message: Option<Message>) {
        self.count += 1;
        let message = message.unwrap_or_default();
        let says = message.content.is_some()
            || message.tool_calls.is_some()
            || message.function_call.is_some()
            || message.refusal.is_some();
        match message.role.and_then(|role| role.0) {
            Some(role) => {
                let known = ["system", "developer", "user", "assistant", "tool", "function"];
                if !known.contains(&role.as_str()) {
                    self.unknown_role = Some(role);
                }
            }
            None => self.incomplete = true,
        }
        self.incomplete |= !says;
    }
}

/// A type that keeps values of one JSON type and replaces any other value with its default.
trait Keep<'de>: Default {
    fn text(_text: &str) -> Self {
        Self::default()
    }

    fn list<A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    fn object<A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

struct Keeper<T>(PhantomData<T>);

impl<'de, T: Keep<'de>> Visitor<'de> for Keeper<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<T, A::Error> {
        T::list(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::object(members)
    }
}

/// An object, or `None` for any other value.
struct Lax<T>(Option<T>);

impl<T> Default for Lax<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Keep<'de> for Lax<T> {
    fn object<A: MapAccess<'de>>(members: A) -> Result<Self, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(|value| Self(Some(value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lax<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Keeper(PhantomData))
    }
}

/// Text, or `None` for any other value.
#[derive(Default)]
struct Text(Option<String>);

impl Keep<'_> for Text {
    fn text(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Keeper(PhantomData))
    }
}

/// A list of messages, or `None` for any other value.
#[derive(Default)]
struct List(Option<Messages>);

impl<'de> Keep<'de> for List {
    fn list<A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        let mut messages = Messages::default();
        while let Some(Lax(message)) = items.next_element::<Lax<Message>>()? {
            messages.add(message);
        }
        Ok(Self(Some(messages)))
    }
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Keeper(PhantomData))
    }
}

/// A reader for one line, which ends before the line break.
struct Line<'a, R> {
    content: &'a mut R,
    ended: bool,
    utf8: Utf8,
    blank: bool,
}

impl<R: BufRead> Line<'_, R> {
    /// Reads the rest of the line.
    fn skip(&mut self) -> io::Result<()> {
        let mut rest = [0; 4096];
        while self.read(&mut rest)? > 0 {}
        Ok(())
    }
}

impl<R: BufRead> Read for Line<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let buffer = self.content.fill_buf()?;
        let available = &buffer[..buffer.len().min(into.len())];
        let (length, ends) = match memchr::memchr(b'\n', available) {
            Some(end) => (end, true),
            None => (available.len(), available.is_empty()),
        };
        let bytes = &available[..length];
        let consumed = length + usize::from(ends && length < available.len());
        into[..length].copy_from_slice(bytes);
        self.utf8.add(bytes);
        self.blank &= bytes.iter().all(u8::is_ascii_whitespace);
        self.content.consume(consumed);
        self.ended = ends;
        Ok(length)
    }
}

/// Validates UTF-8 that arrives in pieces.
#[derive(Default)]
struct Utf8 {
    /// The start of a character at the end of the previous piece.
    begun: Vec<u8>,
    invalid: bool,
}

impl Utf8 {
    fn add(&mut self, bytes: &[u8]) {
        if self.invalid {
            return;
        }
        let mut joined = std::mem::take(&mut self.begun);
        let bytes = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            &joined
        };
        if let Err(error) = std::str::from_utf8(bytes) {
            match error.error_len() {
                Some(_) => self.invalid = true,
                None => self.begun = bytes[error.valid_up_to()..].to_vec(),
            }
        }
    }

    fn is_valid(&self) -> bool {
        !self.invalid && self.begun.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: impl AsRef<[u8]>, purpose: Purpose) -> Vec<String> {
        let text = text.as_ref();
        let findings = check(text, text.len() as u64, purpose, Severity::Error).unwrap();
        let show = |finding: Finding| {
            let line = finding.line.map_or_else(String::new, |line| format!("{line}: "));
            let mark = if finding.severity == Severity::Warning { " (warning)" } else { "" };
            format!("{line}{}{mark}", finding.message)
        };
        findings.into_iter().map(show).collect()
    }

    fn request(id: &str) -> String {
        format!(
            r#"{{"custom_id":"{id}","method":"POST","url":"/v1/responses","body":{{"model":"m","x":[1]}}}}"#
        )
    }

    #[test]
    fn errors_of_a_batch() {
        let (a, b) = (request("a"), request("b"));
        let no_findings: [&str; 0] = [];
        assert_eq!(found(format!("{a}\r\n{b}\n\n"), Purpose::Batch), no_findings);
        for (text, expected) in [
            (String::new(), "empty file"),
            (format!("{a}\n{a}"), "2: duplicate custom_id \"a\""),
            (format!("{a}\n[1]"), "2: not a JSON object"),
            (a[..40].to_owned(), "1: not valid JSON: EOF while parsing a string, column 40"),
            (format!("{a} {b}"), "1: not valid JSON: trailing characters, column 86"),
            (a.replace("custom_id", "id"), "1: missing custom_id"),
            (a.replace("\"a\"", "7"), "1: custom_id must be a nonempty string"),
            (a.replace("method", "m"), "1: missing method"),
            (a.replace("url", "u"), "1: missing url"),
            (a.replace("body", "b"), "1: missing body"),
        ] {
            assert_eq!(found(&text, Purpose::Batch)[0], expected, "{text}");
        }
        let broken = [a.as_bytes(), b"\n\xff\n", b.as_bytes()].concat();
        assert_eq!(found(broken, Purpose::Batch), ["2: not valid UTF-8"]);
        let inside = [&a.as_bytes()[..14], b"\xc3\x28", &a.as_bytes()[14..]].concat();
        assert_eq!(found(inside, Purpose::Batch), ["1: not valid UTF-8"]);
        let many: Vec<String> = (0..=BATCH_LINES).map(|number| request(&number.to_string())).collect();
        assert_eq!(
            found(many.join("\n"), Purpose::Batch),
            ["50001: more than 50000 requests, OpenAI's limit for a batch"]
        );
        for severity in [Severity::Error, Severity::Warning] {
            let large = check(a.as_bytes(), BATCH_BYTES + 1, Purpose::Batch, severity).unwrap();
            let message = "larger than 200 MB, OpenAI's limit for a batch".to_owned();
            assert_eq!(large, [Finding { severity, line: None, message }]);
        }
        assert_eq!(found("x\n".repeat(1000), Purpose::Batch).len(), FINDINGS);
        let warned = |number: usize| request(&number.to_string()).replace("POST", "GET");
        let lines: Vec<String> = (0..1000).chain([0]).map(warned).collect();
        let late = found(lines.join("\n"), Purpose::Batch);
        assert_eq!(late.len(), FINDINGS + 1, "warnings do not hide an error");
        assert_eq!(late[FINDINGS], "1001: duplicate custom_id \"0\"");
    }

    #[test]
    fn warnings_of_a_batch() {
        let a = request("a");
        for (second, expected) in [
            (request("b").replace("POST", "GET"), "2: method is not POST (warning)"),
            (request("b").replace("responses", "embeddings"), "2: url differs from the first line (warning)"),
            (request("b").replace("\"m\"", "\"n\""), "2: model differs from the first line (warning)"),
            (request("b").replace("\"x\"", "\"model\""), "2: duplicate field `model`, column 83 (warning)"),
            (request("b").replace("model", "m"), "2: body has no model (warning)"),
            (request("b").replace(r#"{"model":"m","x":[1]}"#, "[{}]"), "2: body is not an object (warning)"),
        ] {
            assert_eq!(found(format!("{a}\n{second}"), Purpose::Batch), [expected]);
        }
        assert_eq!(found(format!("{a}\n\n{}", request("b")), Purpose::Batch), ["2: empty line (warning)"]);
    }

    #[test]
    fn shapes_of_examples_are_warnings() {
        let chat =
            r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","weight":1}]}"#;
        let lines = |last: &str| format!("{}{last}", format!("{chat}\n").repeat(9));
        let no_findings: [&str; 0] = [];
        assert_eq!(found(lines(chat), Purpose::FineTune), no_findings);
        assert_eq!(found(chat, Purpose::FineTune), ["1 example; fine-tuning needs at least 10 (warning)"]);
        for (last, expected) in [
            (r#"{"messages":[]}"#, "messages must be a nonempty list"),
            (r#"{"messages":"a"}"#, "messages must be a nonempty list"),
            (r#"{"messages":[{"role":"robot","content":"a"}]}"#, "unknown role \"robot\""),
            (r#"{"messages":[{"role":"user"}]}"#, "a message has no role or no content"),
            (r#"{"messages":[7]}"#, "a message has no role or no content"),
            (r#"{"text":"a"}"#, "has no messages, input or prompt"),
            (r#"{"prompt":"a","completion":"b"}"#, "has different keys from the first line"),
        ] {
            assert_eq!(
                found(lines(last), Purpose::FineTune),
                [format!("10: {expected} (warning)")],
                "{last}"
            );
        }
        assert_eq!(found(lines("7"), Purpose::FineTune), ["10: not a JSON object"]);
    }

    #[test]
    fn a_character_may_span_two_reads() {
        let mut utf8 = Utf8::default();
        for byte in "aä報".as_bytes() {
            utf8.add(&[*byte]);
        }
        assert!(utf8.is_valid());
        utf8.add(&[0xe5]);
        assert!(!utf8.is_valid(), "incomplete");
    }
}
