//! `--jq`: a jq program, run by jaq on the JSON that a command prints.

use std::fmt;
use std::sync::Arc;

use jaq_core::compile::Undefined;
use jaq_core::load::{self, Arena, Errors, File, Loader, import, lex, parse};
use jaq_core::{Compiler, Ctx, Exn, Vars, data};
use jaq_json::{Val, read};
use jaq_std::ValT as _;

use super::text;
use crate::error::{Error, Result};

/// The formats of jq that jaq's library lacks.
const FORMATS: &str = r#"
    def @csv: [.[] | if isstring then "\"" + gsub("\""; "\"\"") + "\"" elif . == null then ""
        elif isarray or isobject then error("\(tojson) is not valid in a CSV row") else tojson end] | join(",");
    def @tsv: [.[] | if isstring then gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r")
        elif . == null then "" elif isarray or isobject then error("\(tojson) is not valid in a TSV row") else tojson end]
        | join("\t");
"#;

/// Maximum length of a reason, in characters. A longer one is truncated, because a reason can contain all rows.
const REASON: usize = 200;

type Data = data::JustLut<Val>;
type Filter = jaq_core::Filter<Data>;

/// A compiled jq program.
#[derive(Clone)]
pub struct Jq(Arc<Filter>);

impl fmt::Debug for Jq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jq")
    }
}

impl Jq {
    /// Compiles a program. The error is the reason, for a usage error.
    pub fn parse(program: &str) -> std::result::Result<Self, String> {
        let own = load::parse(FORMATS, |parser| parser.defs()).unwrap_or_default();
        let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).chain(own);
        // `env` would read variables that are not valid UTF-8, and settings are read in one place.
        let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let funs = funs.filter(|(name, ..)| *name != "env");
        let arena = Arena::default();
        let reasons = |errors: Errors<&str, ()>| {
            errors.iter().map(|(_, error)| load_error(error)).collect::<Vec<_>>().join("; ")
        };
        let modules = Loader::new(defs).load(&arena, File { code: program, path: () }).map_err(reasons)?;
        // Reject imports of data files: a program that uses a variable without a value would panic.
        import(&modules, |_| Err("module loading not supported".to_owned())).map_err(reasons)?;
        let filter = Compiler::default().with_funs(funs).compile(modules).map_err(|errors| {
            let undefined =
                errors.into_iter().flat_map(|(_, undefined)| undefined).map(|(name, kind)| match kind {
                    Undefined::Filter(arity) if arity > 0 => format!("undefined filter `{name}/{arity}`"),
                    kind => format!("undefined {} `{name}`", kind.as_str()),
                });
            undefined.collect::<Vec<_>>().join("; ")
        })?;
        Ok(Self(Arc::new(filter)))
    }

    /// Runs the program on a JSON value, and appends each result as a line to `out`: strings raw, everything else as
    /// compact JSON. With `safe`, unsafe characters are escaped for a terminal. Results before an error are kept.
    pub(super) fn run(&self, json: &[u8], safe: bool, out: &mut Vec<u8>) -> Result<()> {
        let input = read::parse_single(json)
            .map_err(|error| Error::failed("--jq: cannot read the command's JSON").caused_by(error))?;
        let is_array = matches!(input, Val::Arr(_));
        let context = Ctx::<Data>::new(&self.0.lut, Vars::new([]));
        for result in self.0.id.run((context, input)) {
            let value = match result.map_err(Exn::get_err) {
                Ok(value) => value,
                Err(Ok(error)) => return Err(failed(&reason(error), is_array)),
                Err(Err(stop)) => match stop.get_halt() {
                    Ok(0) => return Ok(()),
                    Ok(code) => {
                        return Err(failed(&format!("the program halted with exit code {code}"), false));
                    }
                    Err(_) => return Err(failed("`break` outside its label", false)),
                },
            };
            match value.as_utf8_bytes().map(String::from_utf8_lossy) {
                Some(text) if safe => out.extend_from_slice(text::safe_rows(&text).as_bytes()),
                Some(text) => out.extend_from_slice(text.as_bytes()),
                None if safe => out.extend_from_slice(text::safe_json(&value.to_string()).as_bytes()),
                None => out.extend_from_slice(value.to_string().as_bytes()),
            }
            out.push(b'\n');
        }
        Ok(())
    }
}

fn failed(reason: &str, is_array: bool) -> Error {
    let error = Error::failed(format!("--jq: {reason}"));
    if is_array && reason.starts_with("cannot index [") {
        return error
            .hint("the program's input is an array; for each row, begin with `.[] |`, or add `--jsonl`");
    }
    error
}

/// The reason for an error at run time: its text, or its value as JSON.
fn reason(error: jaq_json::Error) -> String {
    let value = error.into_val();
    let reason = match value.as_utf8_bytes() {
        Some(text) => String::from_utf8_lossy(text).into_owned(),
        None => value.to_string(),
    };
    match reason.char_indices().nth(REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason,
    }
}

/// The reason why a program cannot be parsed.
fn load_error(error: &load::Error<&str>) -> String {
    let found = |text: &str| match text.chars().next() {
        None => "at the end".to_owned(),
        Some(_) => format!("at `{}`", text.chars().take(20).collect::<String>()),
    };
    match error {
        load::Error::Io(modules) => {
            modules.iter().map(|(name, reason)| format!("{name}: {reason}")).collect::<Vec<_>>().join("; ")
        }
        load::Error::Lex(errors) => {
            let reason = |(expected, text): &lex::Error<&str>| {
                format!("expected {} {}", expected.as_str(), found(text))
            };
            errors.iter().map(reason).collect::<Vec<_>>().join("; ")
        }
        load::Error::Parse(errors) => {
            let reason = |(expected, text): &parse::Error<&str>| {
                format!("expected {} {}", expected.as_str(), found(text))
            };
            errors.iter().map(reason).collect::<Vec<_>>().join("; ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(program: &str, json: &str) -> std::result::Result<String, String> {
        let mut out = Vec::new();
        let result = Jq::parse(program)?.run(json.as_bytes(), false, &mut out);
        result.map_err(|error| error.message().to_owned())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn strings_are_raw_and_other_values_compact() {
        let rows = r#"[{"id":"a\"b","size":18446744073709551615,"at":"2026-03-01T09:00:00.5Z"},{"id":"c","size":null}]"#;
        assert_eq!(run(".[].id", rows).unwrap(), "a\"b\nc\n");
        assert_eq!(run("map(.size)", rows).unwrap(), "[18446744073709551615,null]\n");
        assert_eq!(run(".[0].at | fromdate | floor", rows).unwrap(), "1772355600\n");
        assert_eq!(run("map(select(.id | test(\"^C\"; \"i\"))) | length", rows).unwrap(), "1\n");
        assert_eq!(
            run(".[] | [.id, .size] | @csv", rows).unwrap(),
            "\"a\"\"b\",18446744073709551615\n\"c\",\n"
        );
        assert_eq!(run("[\"a\\tb\\\\\\n\", null, true] | @tsv", "[]").unwrap(), "a\\tb\\\\\\n\t\ttrue\n");
        assert_eq!(run("empty", rows).unwrap(), "");
        assert_eq!(run("1, halt, 2", rows).unwrap(), "1\n");
    }

    #[test]
    fn wrong_programs_are_rejected_with_a_reason() {
        let reason = |program: &str| Jq::parse(program).unwrap_err();
        assert_eq!(reason(".["), "expected closing bracket at the end");
        assert_eq!(reason(". | |"), "expected term at `|`");
        assert_eq!(reason("nope"), "undefined filter `nope`");
        assert_eq!(reason("map(nope(1))"), "undefined filter `nope/1`");
        assert_eq!(reason("$x"), "undefined variable `$x`");
        assert_eq!(reason("env"), "undefined filter `env`");
        assert_eq!(reason("include \"x\"; ."), "x: module loading not supported");
        assert_eq!(reason("import \"x\" as $x; $x"), "x: module loading not supported");
    }

    #[test]
    fn an_error_in_the_run_has_the_reason() {
        assert_eq!(run("error(\"boom\")", "[]").unwrap_err(), "--jq: boom");
        assert_eq!(run("error({a: 1})", "[]").unwrap_err(), r#"--jq: {"a":1}"#);
        assert_eq!(run("halt_error", "[]").unwrap_err(), "--jq: the program halted with exit code 5");
        assert_eq!(run("[[1]] | @csv", "[]").unwrap_err(), "--jq: [1] is not valid in a CSV row");
        let long = format!("[\"{}\"]", "é".repeat(500));
        assert_eq!(run(".id", &long).unwrap_err().chars().count(), "--jq: ".len() + REASON + 1);
        let mut out = Vec::new();
        let error = Jq::parse("1, .id").unwrap().run(b"[]", false, &mut out).unwrap_err();
        assert_eq!(out, b"1\n");
        assert_eq!(error.hints().len(), 1);
    }

    #[test]
    fn output_on_a_terminal_is_safe() {
        let mut out = Vec::new();
        let program = Jq::parse(".[0], .").unwrap();
        program.run("[\"a\\u001b\\n\u{202e}b\"]".as_bytes(), true, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a\\u{1b}\n\\u{202e}b\n[\"a\\u001b\\n\\u202eb\"]\n");
    }
}
