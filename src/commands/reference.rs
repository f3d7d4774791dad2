//! `haul ref`

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use serde_json::{Value, json};
use url::Url;

use super::batch::{self, BatchArgs, Labels};
use super::report::Outcome;
use super::select::{Chosen, Selector};
use crate::context::Context;
use crate::error::{Error, Kind, Result, word};
use crate::model::File;
use crate::providers::{Usage, require_download, token_header, usage};
use crate::ui::{Columns, is_unsafe};

/// The arguments of `haul ref`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul ref xai:report.pdf --as openai\n  \
    haul ref xai:report.pdf --as curl --model grok-5\n  \
    haul ref llamacloud:report.pdf --as python\n\n\
    `openai`, `anthropic` and `gemini` print the content block for a request to that API; `ai-sdk` prints a file part \
    for the AI SDK in TypeScript; `curl` and `python` print the whole request: a prompt with the file, or where the \
    purpose of the file is `batch` or `fine-tune`, the request that creates the job. A snippet contains the name of \
    the variable with the token, and never the token.")]
#[command(mut_arg("refs", |refs| refs.required_unless_present_any(["filter", "retry_from"])))]
pub struct RefArgs {
    #[command(flatten)]
    selector: Selector,
    /// The format of the snippet
    #[arg(long = "as", value_name = "FORMAT")]
    format: Format,
    /// The model in the snippet
    #[arg(long, value_name = "NAME", default_value = "MODEL")]
    model: String,
    #[command(flatten)]
    batch: BatchArgs,
}

/// The format of a snippet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A content part for OpenAI's Responses API
    Openai,
    /// A content block for Anthropic's Messages API
    Anthropic,
    /// A part for Gemini's `generateContent`
    Gemini,
    /// A file part for Vercel's AI SDK
    AiSdk,
    /// A curl command
    Curl,
    /// A program with the platform's Python client
    Python,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::AiSdk => "ai-sdk",
            Self::Curl => "curl",
            Self::Python => "python",
        }
    }

    /// The formats for an API, the best known first.
    fn of(usage: Usage, platform: &str) -> Vec<Self> {
        let own = match usage {
            Usage::Responses => Some(Self::Openai),
            Usage::Messages => Some(Self::Anthropic),
            Usage::GenerateContent => Some(Self::Gemini),
            _ => None,
        };
        let sdk = sdk_provider(platform).filter(|_| own.is_some()).map(|_| Self::AiSdk);
        own.into_iter().chain(sdk).chain([Self::Curl, Self::Python]).collect()
    }
}

pub(super) const COLUMNS: Columns =
    Columns { all: &["format", "snippet", "file"], shown: &["format", "snippet"], piped: Some(&["snippet"]) };

/// A snippet that uses a file.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "snippet")]
pub(super) struct Row {
    /// The format: `openai`, `anthropic`, `gemini`, `ai-sdk`, `curl` or `python`.
    format: &'static str,
    /// The text of the snippet.
    snippet: String,
    /// The file that it uses.
    file: File,
}

impl RefArgs {
    /// Prints the snippets.
    pub async fn run(self, ctx: &Context) -> Result<()> {
        let is_text = !ctx.ui.is_json();
        let rows = ctx.ui.rows(COLUMNS)?;
        let selector = self.selector.clone().prepare(ctx, &self.batch, None).await?;
        let mut started = false;
        batch::run(
            ctx,
            &self.batch,
            Labels::of("shown").without_summary(),
            selector.files(ctx, None),
            async |chosen: Chosen| {
                let snippet = self.snippet(ctx, &chosen)?;
                Ok((chosen.file, snippet))
            },
            rows,
            |rows, (file, snippet)| {
                let id = file.id.clone();
                if is_text {
                    let gap = if std::mem::replace(&mut started, true) { "\n" } else { "" };
                    ctx.ui.write_text(&format!("{gap}{snippet}\n"))?;
                } else {
                    rows.push(&Row { format: self.format.name(), snippet, file })?;
                }
                Ok(vec![Outcome::Done(Some(id))])
            },
        )
        .await
    }

    fn snippet(&self, ctx: &Context, chosen: &Chosen) -> Result<String> {
        let (spec, file) = (chosen.provider.spec(), &chosen.file);
        let profile = ctx.profile(Some(chosen.provider.profile()))?;
        let reference = format!("{}:id:{}", profile.name, file.id);
        let typed = word(&reference).into_owned();
        // A file that cannot be downloaded cannot be copied.
        let can_copy = require_download(chosen.provider.as_ref(), file).is_ok();
        let with_copy = |error: Error, to: &str| {
            let hint = format!("to copy the file to {to}: `haul cp {typed} {to}:`");
            if can_copy { error.hint(hint) } else { error }
        };
        let unsupported = |message: String| Error::new(Kind::Unsupported, message).about(reference.clone());
        let Some(usage) = usage(spec.name, file) else {
            let purpose =
                file.purpose.as_ref().map_or_else(String::new, |purpose| format!(" with purpose {purpose}"));
            let message =
                format!("{}: haul knows of no {} API that uses files{purpose}", file.name, spec.name);
            return Err(with_copy(unsupported(message), "openai"));
        };
        let formats = Format::of(usage, spec.name);
        if !formats.contains(&self.format) {
            let error = unsupported(format!(
                "{}: the format {} is not available for this file on {}",
                file.name,
                self.format.name(),
                spec.name
            ));
            let error = match self.format {
                Format::Openai | Format::Anthropic | Format::Gemini if usage != Usage::Batch => {
                    with_copy(error, self.format.name())
                }
                _ => error,
            };
            let first = formats.first().map_or("curl", |format| format.name());
            return Err(error.hint(format!("for this file: `haul ref {typed} --as {first}`")).hint(format!(
                "formats for this file: {}",
                formats.iter().map(|format| format.name()).collect::<Vec<_>>().join(", ")
            )));
        }
        let is_set = |name: &&&str| ctx.settings.env.get(name).is_some();
        let variable = spec.token_variables.iter().find(is_set).or(spec.token_variables.first());
        let target = Target {
            platform: spec.name,
            usage,
            file,
            base_url: profile.base_url.value.as_str().trim_end_matches('/').to_owned(),
            is_custom: profile.base_url.value.as_str().trim_end_matches('/')
                != spec.base_url.trim_end_matches('/'),
            base_path: spec.base_path,
            variable: variable.copied().unwrap_or("HAUL_TOKEN"),
            header: profile.set.get("auth_header").map(|header| header.value.clone()),
            model: &self.model,
        };
        match self.format {
            Format::Curl => target.curl(),
            Format::Python => target.python(),
            Format::AiSdk => target.ai_sdk(),
            Format::Openai | Format::Anthropic | Format::Gemini => Ok(pretty(&target.content()?, "  ")),
        }
    }
}

/// The key of a platform in a provider reference of the AI SDK.
fn sdk_provider(platform: &str) -> Option<&'static str> {
    Some(match platform {
        "openai" => "openai",
        "azure" => "azure",
        "xai" => "xai",
        "anthropic" => "anthropic",
        "gemini" => "google",
        _ => return None,
    })
}

/// A file, and the API that uses it.
struct Target<'a> {
    platform: &'static str,
    usage: Usage,
    file: &'a File,
    /// Without `/` at the end.
    base_url: String,
    /// Whether the base URL is not the platform's own.
    is_custom: bool,
    base_path: &'static str,
    /// The variable that contains the token.
    variable: &'static str,
    /// The header for the token, if it is set for the profile.
    header: Option<String>,
    model: &'a str,
}

/// The endpoint of a batch, which must be the `url` of the lines in the file.
const CHAT: &str = "/v1/chat/completions";

const PROMPT: &str = "Summarize this file.";

impl Target<'_> {
    fn id(&self) -> &str {
        self.file.id.as_str()
    }

    fn media_type(&self) -> &str {
        self.file.content_type.as_deref().unwrap_or("application/octet-stream")
    }

    fn is_image(&self) -> bool {
        self.media_type().starts_with("image/")
    }

    /// Whether Anthropic accepts the file only as input for the code execution tool.
    fn is_for_code(&self) -> bool {
        self.usage == Usage::Messages
            && !self.is_image()
            && !["application/pdf", "text/plain"].contains(&self.media_type())
    }

    /// The URL that the platform returned for the file.
    fn url(&self) -> Result<&str> {
        let url = match self.usage {
            Usage::GenerateContent => self.file.extra.get("uri"),
            _ => self.file.extra.get("urls").and_then(|urls| urls.get("get")),
        };
        url.and_then(Value::as_str).ok_or_else(|| {
            Error::platform(format!("{}: the platform returned no URL for the file", self.file.name))
        })
    }

    /// The content block, or the part of a request that names the file.
    fn content(&self) -> Result<Value> {
        let id = self.id();
        Ok(match self.usage {
            Usage::Responses if self.is_image() => json!({"type": "input_image", "file_id": id}),
            Usage::Responses => json!({"type": "input_file", "file_id": id}),
            Usage::Messages if self.is_for_code() => json!({"type": "container_upload", "file_id": id}),
            Usage::Messages => {
                let kind = if self.is_image() { "image" } else { "document" };
                json!({"type": kind, "source": {"type": "file", "file_id": id}})
            }
            Usage::GenerateContent => {
                json!({"fileData": {"mimeType": self.media_type(), "fileUri": self.url()?}})
            }
            Usage::SystemMessage => json!({"role": "system", "content": format!("fileid://{id}")}),
            Usage::Ocr => json!({"type": "file", "file_id": id}),
            Usage::Prediction => json!(self.url()?),
            _ => json!(id),
        })
    }

    /// The path of the request below the base URL, and its body.
    fn request(&self) -> Result<(String, Value)> {
        let (content, model) = (self.content()?, self.model);
        let path = |text: &str| text.to_owned();
        Ok(match self.usage {
            Usage::Responses => {
                let parts = json!([content, {"type": "input_text", "text": PROMPT}]);
                (path("/responses"), json!({"model": model, "input": [{"role": "user", "content": parts}]}))
            }
            Usage::Messages => {
                let parts = json!([content, {"type": "text", "text": PROMPT}]);
                let mut body = json!({
                    "model": model,
                    "max_tokens": 1024,
                    "messages": [{"role": "user", "content": parts}],
                });
                if self.is_for_code() {
                    body["tools"] = json!([{"type": "code_execution_20250825", "name": "code_execution"}]);
                }
                (path("/messages"), body)
            }
            Usage::GenerateContent => {
                let mut url = Url::parse("https://host/v1beta/models")
                    .map_err(|error| Error::failed("cannot build the URL of the model").caused_by(error))?;
                if let Ok(mut segments) = url.path_segments_mut() {
                    segments.push(&format!("{model}:generateContent"));
                }
                (url.path().to_owned(), json!({"contents": [{"parts": [content, {"text": PROMPT}]}]}))
            }
            Usage::SystemMessage => {
                let messages = json!([content, {"role": "user", "content": PROMPT}]);
                (path("/chat/completions"), json!({"model": model, "messages": messages}))
            }
            Usage::Ocr => (path("/ocr"), json!({"model": "mistral-ocr-latest", "document": content})),
            Usage::Parse => {
                (path("/api/v2/parse"), json!({"file_id": content, "tier": "agentic", "version": "latest"}))
            }
            Usage::Prediction => {
                let input = if self.is_image() { "image" } else { "file" };
                (path("/predictions"), json!({"version": model, "input": {input: content}}))
            }
            Usage::Batch => {
                let body = json!({"input_file_id": content, "endpoint": CHAT, "completion_window": "24h"});
                (path("/batches"), body)
            }
            Usage::BatchJob => {
                let body = json!({"input_files": [content], "model": model, "endpoint": CHAT});
                (path("/batch/jobs"), body)
            }
            Usage::FineTuning => {
                (path("/fine_tuning/jobs"), json!({"training_file": content, "model": model}))
            }
            Usage::FineTune => (path("/fine-tunes"), json!({"training_file": content, "model": model})),
        })
    }

    fn curl(&self) -> Result<String> {
        let (path, body) = self.request()?;
        let header = match self.header.as_deref().or(token_header(self.platform)) {
            Some(name) => format!("{name}: ${}", self.variable),
            None => format!("Authorization: Bearer ${}", self.variable),
        };
        let mut lines = vec![
            format!("curl {}", word(&format!("{}{path}", self.base_url))),
            format!("-H \"{header}\""),
            "-H 'Content-Type: application/json'".to_owned(),
        ];
        if self.usage == Usage::Messages {
            lines.push("-H 'anthropic-version: 2023-06-01'".to_owned());
            lines.push("-H 'anthropic-beta: files-api-2025-04-14'".to_owned());
        }
        // In JSON text, `'` occurs only within strings.
        lines.push(format!("-d '{}'", pretty(&body, "  ").replace('\'', "\\u0027")));
        Ok(lines.join(" \\\n  "))
    }

    fn python(&self) -> Result<String> {
        let (_, body) = self.request()?;
        let key = format!("os.environ[{}]", literal(self.variable));
        // Clients other than OpenAI's and Together's expect the base URL without the API's path.
        let root = self.base_url.strip_suffix(self.base_path).unwrap_or(&self.base_url);
        let argument = |name: &str, url: &str| {
            if self.is_custom { format!(", {name}={}", literal(url)) } else { String::new() }
        };
        let openai = || {
            let is_own = self.platform == "openai" && !self.is_custom;
            let url = if is_own { String::new() } else { format!(", base_url={}", literal(&self.base_url)) };
            ("from openai import OpenAI", format!("OpenAI(api_key={key}{url})"))
        };
        let (import, client) = match self.usage {
            _ if self.platform == "together" => (
                "from together import Together",
                format!("Together(api_key={key}{})", argument("base_url", &self.base_url)),
            ),
            Usage::Messages => (
                "from anthropic import Anthropic",
                format!("Anthropic(api_key={key}{})", argument("base_url", root)),
            ),
            Usage::GenerateContent => {
                let url = if self.is_custom {
                    format!(", http_options={{\"base_url\": {}}}", literal(root))
                } else {
                    String::new()
                };
                ("from google import genai", format!("genai.Client(api_key={key}{url})"))
            }
            Usage::Ocr | Usage::BatchJob => (
                "from mistralai.client import Mistral",
                format!("Mistral(api_key={key}{})", argument("server_url", root)),
            ),
            Usage::Parse => (
                "from llama_cloud import LlamaCloud",
                format!("LlamaCloud(api_key={key}{})", argument("base_url", root)),
            ),
            Usage::Prediction => (
                "import replicate",
                format!("replicate.Client(api_token={key}{})", argument("base_url", root)),
            ),
            _ => openai(),
        };
        let (method, result) = match self.usage {
            Usage::Responses => ("responses.create", "result.output_text"),
            Usage::Messages => ("beta.messages.create", "result.content"),
            Usage::GenerateContent => ("models.generate_content", "result.text"),
            Usage::SystemMessage => ("chat.completions.create", "result.choices[0].message.content"),
            Usage::Ocr => ("ocr.process", "result.pages[0].markdown"),
            Usage::Parse => ("parsing.parse", "result.markdown"),
            Usage::Prediction => ("run", "result"),
            Usage::Batch => ("batches.create", "result"),
            Usage::BatchJob => ("batch.jobs.create", "result.id"),
            Usage::FineTuning => ("fine_tuning.jobs.create", "result.id"),
            Usage::FineTune => ("fine_tuning.create", "result.id"),
        };
        let mut arguments: Vec<(&str, Value)> = match (&self.usage, &body) {
            (Usage::GenerateContent, _) => {
                let part = json!({"file_data": {"mime_type": self.media_type(), "file_uri": self.url()?}});
                vec![("model", json!(self.model)), ("contents", json!([{"parts": [part, {"text": PROMPT}]}]))]
            }
            (Usage::Prediction, body) => vec![("ref", json!(self.model)), ("input", body["input"].clone())],
            (_, Value::Object(body)) => {
                body.iter().map(|(key, value)| (key.as_str(), value.clone())).collect()
            }
            _ => Vec::new(),
        };
        match self.usage {
            Usage::Messages => arguments.push(("betas", json!(["files-api-2025-04-14"]))),
            Usage::Parse => arguments.push(("expand", json!(["markdown"]))),
            _ => {}
        }
        let mut text = format!("import os\n\n{import}\n\nclient = {client}\nresult = client.{method}(\n");
        for (name, value) in arguments {
            let value = pretty(&value, "    ").replace('\n', "\n    ");
            let _ = writeln!(text, "    {name}={value},");
        }
        let _ = write!(text, ")\nprint({result})");
        Ok(text)
    }

    /// A file part whose data is a provider reference: the id, or for Google the URI.
    fn ai_sdk(&self) -> Result<String> {
        let id = if self.usage == Usage::GenerateContent { self.url()? } else { self.id() };
        let provider = sdk_provider(self.platform).unwrap_or(self.platform);
        let mut part = json!({"type": "file", "mediaType": self.media_type(), "data": {provider: id}});
        if self.is_for_code() {
            part["providerOptions"] = json!({"anthropic": {"containerUpload": true}});
        }
        Ok(pretty(&part, "  "))
    }
}

/// A value as indented JSON, which is also valid Python unless it contains `true`, `false` or `null`. Characters that
/// control a terminal are escaped.
fn pretty(value: &Value, indent: &str) -> String {
    let mut bytes = Vec::new();
    let formatter = PrettyFormatter::with_indent(indent.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    // Serializing a JSON value into memory cannot fail.
    let _ = value.serialize(&mut serializer);
    let mut text = String::new();
    for c in String::from_utf8_lossy(&bytes).chars() {
        if c != '\n' && is_unsafe(c) {
            text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            text.push(c);
        }
    }
    text
}

fn literal(text: &str) -> String {
    pretty(&json!(text), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(purpose: &str, content_type: &str) -> File {
        let mut file = File {
            id: "file-1".into(),
            purpose: Some(purpose.to_owned()),
            content_type: Some(content_type.to_owned()),
            ..File::default()
        };
        file.extra.insert("uri".to_owned(), json!("https://host/v1beta/files/1"));
        file.extra.insert("urls".to_owned(), json!({"get": "https://host/v1/files/1"}));
        file
    }

    fn target<'a>(platform: &'static str, file: &'a File) -> Target<'a> {
        let spec = crate::providers::find(platform).unwrap();
        Target {
            platform,
            usage: usage(platform, file).unwrap_or(Usage::Responses),
            file,
            base_url: spec.base_url.to_owned(),
            is_custom: false,
            base_path: spec.base_path,
            variable: spec.token_variables[0],
            header: None,
            model: "MODEL",
        }
    }

    /// The content block, the body of the request, and its URL.
    fn shapes(platform: &'static str, purpose: &str, content_type: &str) -> (Value, Value, String) {
        let file = file(purpose, content_type);
        let target = target(platform, &file);
        let (path, body) = target.request().unwrap();
        (target.content().unwrap(), body, format!("{}{path}", target.base_url))
    }

    #[test]
    fn content_blocks_have_the_vendors_shapes() {
        let block = |platform, content_type| shapes(platform, "user_data", content_type).0;
        assert_eq!(block("openai", "application/pdf"), json!({"type": "input_file", "file_id": "file-1"}));
        assert_eq!(block("xai", "image/png"), json!({"type": "input_image", "file_id": "file-1"}));
        let source = json!({"type": "file", "file_id": "file-1"});
        assert_eq!(block("anthropic", "application/pdf"), json!({"type": "document", "source": source}));
        assert_eq!(block("anthropic", "image/png"), json!({"type": "image", "source": source}));
        assert_eq!(block("anthropic", "text/csv"), json!({"type": "container_upload", "file_id": "file-1"}));
        assert_eq!(
            block("gemini", "video/mp4"),
            json!({"fileData": {"mimeType": "video/mp4", "fileUri": "https://host/v1beta/files/1"}})
        );
    }

    #[test]
    fn the_purpose_determines_the_request() {
        let url = |platform, purpose| shapes(platform, purpose, "application/jsonl").2;
        assert_eq!(url("openai", "batch"), "https://api.openai.com/v1/batches");
        assert_eq!(url("openai", "fine-tune"), "https://api.openai.com/v1/fine_tuning/jobs");
        assert_eq!(url("mistral", "batch"), "https://api.mistral.ai/v1/batch/jobs");
        assert_eq!(url("mistral", "ocr"), "https://api.mistral.ai/v1/ocr");
        assert_eq!(url("together", "fine-tune"), "https://api.together.ai/v1/fine-tunes");
        assert_eq!(url("llamacloud", "parse"), "https://api.cloud.llamaindex.ai/api/v2/parse");
        assert_eq!(
            url("gemini", ""),
            "https://generativelanguage.googleapis.com/v1beta/models/MODEL:generateContent"
        );
        assert_eq!(usage("openai", &file("batch_output", "application/jsonl")), None);
        assert_eq!(usage("local", &file("", "text/plain")), None);
        let body = shapes("anthropic", "", "text/csv").1;
        assert_eq!(body["tools"][0]["name"], "code_execution");
        let body = shapes("replicate", "", "image/png").1;
        assert_eq!(body["input"], json!({"image": "https://host/v1/files/1"}));
    }

    #[test]
    fn tokens_are_variables() {
        let file = file("", "application/pdf");
        for (platform, header) in [
            ("anthropic", "-H \"x-api-key: $ANTHROPIC_API_KEY\""),
            ("gemini", "-H \"x-goog-api-key: $GEMINI_API_KEY\""),
            ("azure", "-H \"api-key: $AZURE_OPENAI_API_KEY\""),
            ("xai", "-H \"Authorization: Bearer $XAI_API_KEY\""),
        ] {
            let curl = target(platform, &file).curl().unwrap();
            assert!(curl.contains(header), "{curl}");
        }
        let mut other = target("openai", &file);
        other.header = Some("x-portkey-api-key".to_owned());
        assert!(other.curl().unwrap().contains("\"x-portkey-api-key: $OPENAI_API_KEY\""));
    }

    #[test]
    fn text_from_a_server_cannot_leave_its_quotes() {
        let mut hostile = file("", "application/pdf");
        hostile.id = "a'; touch x; '\u{1b}\u{202e}\"".into();
        let target = target("openai", &hostile);
        let curl = target.curl().unwrap();
        assert!(curl.contains(r#""file_id": "a\u0027; touch x; \u0027\u001b\u202e\"""#), "{curl}");
        assert!(target.python().unwrap().contains(r#""a'; touch x; '\u001b\u202e\"""#));
    }

    #[test]
    fn python_programs_use_the_platforms_clients() {
        let pdf = file("", "application/pdf");
        assert_eq!(
            target("anthropic", &pdf).python().unwrap(),
            r#"import os

from anthropic import Anthropic

client = Anthropic(api_key=os.environ["ANTHROPIC_API_KEY"])
result = client.beta.messages.create(
    model="MODEL",
    max_tokens=1024,
    messages=[
        {
            "role": "user",
            "content": [
                {
                    "type": "document",
                    "source": {
                        "type": "file",
                        "file_id": "file-1"
                    }
                },
                {
                    "type": "text",
                    "text": "Summarize this file."
                }
            ]
        }
    ],
    betas=[
        "files-api-2025-04-14"
    ],
)
print(result.content)"#
        );
        let mut custom = target("mistral", &pdf);
        custom.usage = Usage::Ocr;
        (custom.base_url, custom.is_custom) = ("http://127.0.0.1:8/mistral/v1".to_owned(), true);
        assert!(custom.python().unwrap().contains(r#", server_url="http://127.0.0.1:8/mistral")"#));
        assert!(target("xai", &pdf).python().unwrap().contains(r#", base_url="https://api.x.ai/v1")"#));
        let part = target("gemini", &pdf).ai_sdk().unwrap();
        assert!(part.contains(r#""google": "https://host/v1beta/files/1""#), "{part}");
    }
}
