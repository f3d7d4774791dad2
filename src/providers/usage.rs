//! The APIs that use an uploaded file, for `haul ref`. The facts come from `docs/platforms` and the official clients.

use crate::model::File;

/// An API that accepts the id or the URL of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// OpenAI's Responses API: a part of the input.
    Responses,
    /// Anthropic's Messages API: a content block.
    Messages,
    /// Gemini's `generateContent`: a part of the contents.
    GenerateContent,
    /// Chat completions with a reference to the file in a system message.
    SystemMessage,
    /// Mistral's OCR.
    Ocr,
    /// `LlamaCloud`'s parser.
    Parse,
    /// An input of a model on Replicate.
    Prediction,
    /// A batch of requests, with OpenAI's Batch API or a compatible one.
    Batch,
    /// Mistral's batches.
    BatchJob,
    /// A fine-tuning job, with OpenAI's API.
    FineTuning,
    /// Together's fine-tuning jobs.
    FineTune,
}

/// The API of a platform that uses this file; `None` if there is none, or none is known.
pub fn usage(platform: &str, file: &File) -> Option<Usage> {
    let purpose = file.purpose.as_deref().unwrap_or_default();
    let has_openai_batches = [
        "openai",
        "azure",
        "groq",
        "dashscope",
        "perplexity",
        "moonshot",
        "deepinfra",
        "novita",
        "siliconflow",
    ];
    Some(match (platform, purpose) {
        ("together", "batch-api") => Usage::Batch,
        (name, "batch") if has_openai_batches.contains(&name) => Usage::Batch,
        ("openai" | "azure", "fine-tune") => Usage::FineTuning,
        // Results of the platform, and data for evaluations.
        ("openai" | "azure", "assistants_output" | "batch_output" | "fine-tune-results" | "evals") => {
            return None;
        }
        ("openai" | "azure" | "xai", _) => Usage::Responses,
        ("dashscope", "file-extract") => Usage::SystemMessage,
        ("anthropic", _) => Usage::Messages,
        ("gemini", _) => Usage::GenerateContent,
        ("mistral", "ocr") => Usage::Ocr,
        ("mistral", "batch") => Usage::BatchJob,
        ("together", "fine-tune") => Usage::FineTune,
        ("llamacloud", _) => Usage::Parse,
        ("replicate", _) => Usage::Prediction,
        _ => return None,
    })
}

/// The header that contains a platform's token; `None` for `Authorization: Bearer`.
pub fn token_header(platform: &str) -> Option<&'static str> {
    match platform {
        "azure" => Some("api-key"),
        "anthropic" => Some("x-api-key"),
        "gemini" => Some("x-goog-api-key"),
        _ => None,
    }
}
