//! The emulated vendors with OpenAI's Files API, each with a [`Vendor`] and a [`Platform`]. They follow
//! `docs/platforms`.

use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Expiry, Refusal, Vendor, ids, object, routes};
use crate::emulator::{Gate, Platform, Quirk};
use crate::model::{File, Object};

/// The platform of a vendor: its name, its constant, and its own token variable, if it has one in addition to those
/// of OpenAI's clients.
macro_rules! platform {
    ($name:literal, $vendor:ident $(, $key:literal)?) => {
        Platform {
            name: $name,
            base_path: $vendor.prefix,
            gate: $vendor.gate,
            reads: &[],
            dialects: &[],
            md5: false,
            quirks: QUIRKS,
            variables: |root, token| {
                let own = vec![$(($key, token.to_owned()))?];
                [own, openai_variables(format!("{root}{}", $vendor.prefix), token)].concat()
            },
            routes: |site| routes(site, &$vendor),
            error: |_, status, message| -> Response { $vendor.refuse(&Refusal::new(status, message)) },
        }
    };
}

const QUIRKS: &[Quirk] = &[
    Quirk { name: "ranges", value: "", help: "honors Range in downloads" },
    Quirk {
        name: "downloads",
        value: "",
        help: "allows downloading files with any purpose, as a gateway does",
    },
    Quirk {
        name: "ignore-after",
        value: "",
        help: "ignores `after` and always reports another page, as some gateways do",
    },
];

const QUIRKS_WITH_UPLOADS: &[Quirk] = &[
    QUIRKS[0],
    QUIRKS[1],
    QUIRKS[2],
    Quirk {
        name: "upload-life",
        value: "SECONDS",
        help: "time after which a multipart upload expires [default: 3600]",
    },
];

const MIB: u64 = 1024 * 1024;
const MB: u64 = 1_000_000;
const DAY: i64 = 86_400;

/// The variables of OpenAI's clients, which are the documented clients for most vendors.
fn openai_variables(base: String, token: &str) -> Vec<(&'static str, String)> {
    vec![("OPENAI_BASE_URL", base), ("OPENAI_API_KEY", token.to_owned())]
}

/// A file's object without these fields.
fn without(fields: &[&str], file: &File) -> Object {
    let mut object = object(file);
    object.retain(|key, _| !fields.contains(&key.as_str()));
    object
}

fn with_status(mut object: Object, status: &str) -> Object {
    object.insert("status".to_owned(), status.into());
    object
}

const OPENAI_API: Vendor = Vendor { uploads: Vendor::OPENAI.purposes, vector_stores: true, ..Vendor::OPENAI };

/// The OpenAI platform.
pub static OPENAI: Platform = Platform { quirks: QUIRKS_WITH_UPLOADS, ..platform!("openai", OPENAI_API) };

const AZURE_API: Vendor = Vendor {
    prefix: "/openai/v1",
    alias: Some("/openai"),
    gate: Gate { headers: &["api-key"], ..Gate::BEARER },
    uploads: &["assistants", "batch", "fine-tune", "vision"],
    vector_stores: true,
    ..Vendor::OPENAI
};

/// The Azure OpenAI platform, at the path of API version 1 and at the classic path with `api-version`.
pub static AZURE: Platform = Platform {
    variables: |root, token| {
        vec![("AZURE_OPENAI_ENDPOINT", root.to_owned()), ("AZURE_OPENAI_API_KEY", token.to_owned())]
    },
    quirks: QUIRKS_WITH_UPLOADS,
    ..platform!("azure", AZURE_API)
};

const DEEPSEEK_API: Vendor = Vendor {
    prefix: "",
    id: |_, _| format!("file-api-{}", ids::hex(16)),
    purposes: &["user_data", "text_recognition", "rich_layout_recognition"],
    purpose_first: true,
    max_size: 100 * MIB,
    page: Some((1000, 1000)),
    newest_first: false,
    downloads: |_| false,
    object: |_, file| without(if file.expires_at.is_none() { &["expires_at"] } else { &[] }, file),
    ..Vendor::OPENAI
};

/// The DeepSeek platform.
pub static DEEPSEEK: Platform = platform!("deepseek", DEEPSEEK_API, "DEEPSEEK_API_KEY");

const GROQ_API: Vendor = Vendor {
    prefix: "/openai/v1",
    id: |_, _| format!("file_{}", ids::base62(26).to_lowercase()),
    purposes: &["batch"],
    max_size: 100 * MB,
    expiry: Expiry::Never,
    page: None,
    downloads: |_| true,
    object: |_, file| without(&["expires_at"], file),
    ..Vendor::OPENAI
};

/// The Groq platform.
pub static GROQ: Platform = Platform {
    variables: |root, token| vec![("GROQ_BASE_URL", root.to_owned()), ("GROQ_API_KEY", token.to_owned())],
    ..platform!("groq", GROQ_API)
};

const DASHSCOPE_API: Vendor = Vendor {
    prefix: "/compatible-mode/v1",
    id: |purpose, _| {
        let kind = if purpose == "batch" { "batch" } else { "fe" };
        format!("file-{kind}-{}", ids::base62(22))
    },
    purposes: &["file-extract", "batch"],
    max_size: 500 * MB,
    expiry: Expiry::Never,
    downloads: |purpose| purpose != "file-extract",
    object: |_, file| {
        let mut object = with_status(without(&["expires_at"], file), "processed");
        object.insert("status_details".to_owned(), Value::Null);
        object
    },
    ..Vendor::OPENAI
};

/// The DashScope (Qwen) platform.
pub static DASHSCOPE: Platform = Platform {
    variables: |root, token| {
        let base = format!("{root}/compatible-mode/v1");
        let own =
            vec![("DASHSCOPE_COMPATIBLE_BASE_URL", base.clone()), ("DASHSCOPE_API_KEY", token.to_owned())];
        [own, openai_variables(base, token)].concat()
    },
    ..platform!("dashscope", DASHSCOPE_API)
};

const OPENROUTER_API: Vendor = Vendor {
    prefix: "/api/v1",
    id: |_, _| format!("or_file_{}", ids::base62(24)),
    purposes: &[],
    default_purpose: Some(""),
    max_size: 100 * MIB,
    empty: false,
    expiry: Expiry::Never,
    page: Some((1000, 1000)),
    newest_first: false,
    cursors: true,
    downloads: |_| false,
    object: |_, file| {
        let object = json!({
            "type": "file",
            "id": file.id,
            "filename": file.name,
            "mime_type": file.content_type,
            "size_bytes": file.size,
            "created_at": file.created_at.map(|time| time.to_string()),
            "downloadable": false,
        });
        object.as_object().cloned().unwrap_or_default()
    },
    list: |data, has_more| {
        let id = |object: Option<&Value>| object.map_or(Value::Null, |object| object["id"].clone());
        let (first, last) = (id(data.first()), id(data.last()));
        let cursor = if has_more { last.clone() } else { Value::Null };
        json!({ "data": data, "cursor": cursor, "first_id": first, "last_id": last, "has_more": has_more })
    },
    error: |refusal| json!({ "error": { "code": refusal.status.as_u16(), "message": refusal.message } }),
    ..Vendor::OPENAI
};

/// The OpenRouter platform, with its own file objects.
pub static OPENROUTER: Platform = Platform {
    variables: |root, token| {
        vec![("OPENROUTER_BASE_URL", format!("{root}/api/v1")), ("OPENROUTER_API_KEY", token.to_owned())]
    },
    ..platform!("openrouter", OPENROUTER_API)
};

const PERPLEXITY_API: Vendor = Vendor {
    purposes: &["batch"],
    max_size: 200 * MB,
    expiry: Expiry::Fixed(30 * DAY),
    page: Some((20, 100)),
    downloads: |_| true,
    ..Vendor::OPENAI
};

/// The Perplexity platform.
pub static PERPLEXITY: Platform = Platform {
    variables: |root, token| {
        let own = vec![("PERPLEXITY_BASE_URL", root.to_owned()), ("PERPLEXITY_API_KEY", token.to_owned())];
        [own, openai_variables(format!("{root}/v1"), token)].concat()
    },
    ..platform!("perplexity", PERPLEXITY_API)
};

const MOONSHOT_API: Vendor = Vendor {
    id: |_, _| ids::base62(20).to_lowercase(),
    purposes: &["file-extract", "image", "video", "batch"],
    max_size: 100 * MB,
    expiry: Expiry::Never,
    page: None,
    downloads: |_| true,
    extracts: |purpose| purpose == "file-extract",
    object: |_, file| {
        let mut object = with_status(without(&["expires_at"], file), "ok");
        object.insert("status_details".to_owned(), "".into());
        object
    },
    list: |data, _| json!({ "object": "list", "data": data }),
    ..Vendor::OPENAI
};

/// The Moonshot AI (Kimi) platform.
pub static MOONSHOT: Platform = platform!("moonshot", MOONSHOT_API, "MOONSHOT_API_KEY");

const ZHIPU_API: Vendor = Vendor {
    prefix: "/api/paas/v4",
    id: |_, now| format!("file-{}-{}", now.as_millisecond(), ids::base62(5)),
    purposes: &["batch", "file-extract", "code-interpreter", "agent", "fine-tune", "retrieval"],
    max_size: 100 * MB,
    expiry: Expiry::Never,
    page: Some((20, 100)),
    lists_by_purpose: true,
    retrieve: false,
    downloads: |_| true,
    object: |_, file| without(&["expires_at"], file),
    list: |data, has_more| json!({ "object": "list", "data": data, "has_more": has_more }),
    error: |refusal| {
        let code = match refusal.status.as_u16() {
            401 => "1000",
            404 => "1261",
            _ => "1214",
        };
        json!({ "error": { "code": code, "message": refusal.message } })
    },
    ..Vendor::OPENAI
};

/// The Zhipu (Z.ai) platform.
pub static ZHIPU: Platform = Platform {
    variables: |root, token| {
        vec![("ZAI_BASE_URL", format!("{root}/api/paas/v4")), ("ZAI_API_KEY", token.to_owned())]
    },
    ..platform!("zhipu", ZHIPU_API)
};

const UPSTAGE_API: Vendor = Vendor {
    prefix: "/v2",
    purposes: &["user_data"],
    default_purpose: Some("user_data"),
    expiry: Expiry::Never,
    downloads: |_| false,
    ..Vendor::OPENAI
};

/// The Upstage platform.
pub static UPSTAGE: Platform = platform!("upstage", UPSTAGE_API, "UPSTAGE_API_KEY");

const DEEPINFRA_API: Vendor = Vendor {
    prefix: "/v1/openai",
    purposes: &["batch"],
    expiry: Expiry::Never,
    downloads: |_| true,
    ..Vendor::OPENAI
};

/// The DeepInfra platform.
pub static DEEPINFRA: Platform = platform!("deepinfra", DEEPINFRA_API, "DEEPINFRA_API_KEY");

const NOVITA_API: Vendor = Vendor {
    prefix: "/openai/v1",
    purposes: &["batch"],
    expiry: Expiry::Fixed(15 * DAY),
    page: None,
    downloads: |_| true,
    single: |object| json!({ "code": 0, "message": "", "data": object }),
    list: |data, _| json!({ "code": 0, "message": "", "data": data }),
    error: |refusal| json!({ "code": refusal.status.as_u16(), "message": refusal.message, "data": null }),
    ..Vendor::OPENAI
};

/// The Novita platform.
pub static NOVITA: Platform = platform!("novita", NOVITA_API, "NOVITA_API_KEY");

const SILICONFLOW_API: Vendor = Vendor {
    purposes: &["batch"],
    expiry: Expiry::Never,
    page: Some((10, 10_000)),
    lists_by_purpose: true,
    downloads: |_| true,
    object: |_, file| {
        let mut object = without(&["expires_at"], file);
        let created = object.shift_remove("created_at").unwrap_or_default();
        object.insert("createdAt".to_owned(), created);
        object
    },
    single: |object| json!({ "code": 20000, "message": "Ok", "status": true, "data": object }),
    list: |data, _| json!({ "code": 20000, "message": "Ok", "status": true, "data": data }),
    error: |refusal| {
        let code = u32::from(refusal.status.as_u16()) * 100;
        json!({ "code": code, "message": refusal.message, "status": false, "data": null })
    },
    ..Vendor::OPENAI
};

/// The SiliconFlow platform.
pub static SILICONFLOW: Platform = platform!("siliconflow", SILICONFLOW_API, "SILICONFLOW_API_KEY");

const ARK_API: Vendor = Vendor {
    prefix: "/api/v3",
    id: |_, now: Timestamp| {
        format!("file-{}-{}", now.strftime("%Y%m%d%H%M%S"), ids::base62(5).to_lowercase())
    },
    purposes: &["user_data", "agent"],
    expiry: Expiry::Field("expire_at", DAY, 30 * DAY, 7 * DAY),
    downloads: |_| false,
    object: |_, file| {
        let mut object = with_status(without(&["expires_at"], file), "active");
        object.insert("mime_type".to_owned(), json!(file.content_type));
        object.insert("expire_at".to_owned(), json!(file.expires_at.map(Timestamp::as_second)));
        object
    },
    ..Vendor::OPENAI
};

/// The Volcengine Ark (BytePlus) platform.
pub static ARK: Platform = platform!("ark", ARK_API, "ARK_API_KEY");
