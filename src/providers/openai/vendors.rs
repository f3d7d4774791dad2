//! The vendors with OpenAI's Files API, one constant each. The facts come from `docs/platforms/NAME.md`.

use std::time::Duration;

use super::parts::{MD5, PART_SIZE, VIA};
use super::provider::{Expiry, Vendor, read_problem};
use super::store::{self, VECTOR_STORE};
use crate::filter::{Comparison, Equality, Op as Is};
use crate::http::RateLimit;
use crate::model::StatusWords;
use crate::providers::pushdown::{Parameter, Spelling, text_of};
use crate::providers::{
    Capabilities, Dialect, Download, Duplicates, ListAbility, NameLimit, NameSlash, Native, Op, Quota,
    Setting, Spec, USUAL_DELAY, UploadAbility,
};

/// OpenAI, and any other server with the same API at a different base URL.
pub(in crate::providers) static OPENAI: Vendor = Vendor {
    spec: Spec {
        name: "openai",
        title: "OpenAI",
        token_variables: &["OPENAI_API_KEY"],
        base_url_variables: &["OPENAI_BASE_URL"],
        base_url: "https://api.openai.com/v1",
        docs_url: "https://platform.openai.com/docs/api-reference/files",
        token_page: "https://platform.openai.com/account/api-keys",
        settings: &[
            ORGANIZATION,
            PROJECT,
            AUTH_HEADER,
            HEADERS,
            QUERY,
            Setting {
                key: "download",
                help: "`all` tries to download files with any purpose; for servers other than the vendor's own",
                secret: false,
            },
            VIA,
            PART_SIZE,
            MD5,
            VECTOR_STORE,
        ],
        dialects: &[only(&OPENAI_CAN)],
        open: |connection| OPENAI.open(connection),
        ..SPEC
    },
    refused: &["assistants", "user_data", "evals"],
    quota: Some(Quota { bytes: Some(2_500_000_000_000), files: None, per: "project" }),
    limits_batches: true,
    attached: Some(&Capabilities { list: ATTACHED, ..OPENAI_CAN }),
    parts_for: PURPOSES,
    ..VENDOR
};

/// Azure OpenAI. Its classic path requires the parameter `api-version`.
pub(in crate::providers) static AZURE: Vendor = Vendor {
    spec: Spec {
        name: "azure",
        title: "Azure OpenAI",
        token_variables: &["AZURE_OPENAI_API_KEY"],
        base_url_variables: &["AZURE_OPENAI_ENDPOINT"],
        base_url: "https://RESOURCE.openai.azure.com/openai/v1",
        base_path: "/openai/v1",
        docs_url: "https://learn.microsoft.com/azure/foundry/reference/rest",
        settings: &[AUTH_HEADER, QUERY, VIA, PART_SIZE, MD5, VECTOR_STORE],
        dialects: &[only(&AZURE_CAN)],
        status: StatusWords { ready: &["notrunning"], failed: &["deleted", "deleting"] },
        open: |connection| AZURE.open(connection),
        ..SPEC
    },
    auth_header: Some("api-key"),
    needs_endpoint: true,
    attached: Some(&Capabilities { list: ATTACHED, ..AZURE_CAN }),
    parts_for: &["assistants", "batch", "fine-tune", "vision"],
    ..VENDOR
};

/// DeepSeek. It processes an upload before responding, and never returns any content.
pub(in crate::providers) static DEEPSEEK: Vendor = Vendor {
    spec: Spec {
        name: "deepseek",
        title: "DeepSeek",
        token_variables: &["DEEPSEEK_API_KEY"],
        base_url: "https://api.deepseek.com",
        docs_url: "https://api-docs.deepseek.com/guides/files_api",
        dialects: &[only(&Capabilities {
            upload: UploadAbility {
                max_bytes: Some(104_857_600),
                purposes: &["user_data", "text_recognition", "rich_layout_recognition"],
                ..UPLOAD
            },
            download: Download::Never,
            list: ListAbility { max_page: 1_000, stated: WITHOUT_STATUS, ..LIST },
            appears_within: Duration::from_mins(10),
            ..CAN
        })],
        open: |connection| DEEPSEEK.open(connection),
        ..SPEC
    },
    newest_first: Some("desc"),
    ..VENDOR
};

/// Groq: batch files only, and listings without pages.
pub(in crate::providers) static GROQ: Vendor = Vendor {
    spec: Spec {
        name: "groq",
        title: "Groq",
        token_variables: &["GROQ_API_KEY"],
        base_url_variables: &["GROQ_BASE_URL"],
        base_url: "https://api.groq.com/openai/v1",
        base_path: "/openai/v1",
        docs_url: "https://console.groq.com/docs/api-reference#files",
        dialects: &[only(&Capabilities {
            upload: UploadAbility { max_bytes: Some(100_000_000), ..BATCHES },
            download: Download::Any,
            list: UNPAGED,
            ..CAN
        })],
        open: |connection| GROQ.open(connection),
        ..SPEC
    },
    parameters: &[],
    ..VENDOR
};

/// DashScope (Qwen), in its OpenAI-compatible mode.
pub(in crate::providers) static DASHSCOPE: Vendor = Vendor {
    spec: Spec {
        name: "dashscope",
        title: "DashScope (Qwen)",
        token_variables: &["DASHSCOPE_API_KEY"],
        base_url_variables: &["DASHSCOPE_COMPATIBLE_BASE_URL"],
        base_url: "https://dashscope.aliyuncs.com/compatible-mode/v1",
        base_path: "/compatible-mode/v1",
        docs_url: "https://help.aliyun.com/zh/model-studio/openai-file-interface",
        dialects: &[only(&Capabilities {
            upload: UploadAbility {
                max_bytes: Some(500_000_000),
                purposes: &["file-extract", "batch"],
                default_purpose: Some("file-extract"),
                lifetime: None,
                ..UPLOAD
            },
            list: ListAbility { stated: PERMANENT, ..LIST },
            rate: Some(RateLimit { requests: 20, per: Duration::from_secs(1) }),
            ..CAN
        })],
        open: |connection| DASHSCOPE.open(connection),
        ..SPEC
    },
    quota: Some(Quota { bytes: Some(100_000_000_000), files: Some(10_000), per: "account" }),
    ..VENDOR
};

/// OpenRouter, with its own file objects and without purposes.
pub(in crate::providers) static OPENROUTER: Vendor = Vendor {
    spec: Spec {
        name: "openrouter",
        title: "OpenRouter",
        token_variables: &["OPENROUTER_API_KEY"],
        base_url_variables: &["OPENROUTER_BASE_URL"],
        base_url: "https://openrouter.ai/api/v1",
        base_path: "/api/v1",
        docs_url: "https://openrouter.ai/docs/guides/features/files-api",
        settings: &[QUERY],
        dialects: &[only(&Capabilities {
            upload: UploadAbility {
                max_bytes: Some(104_857_600),
                empty: false,
                purpose: false,
                default_purpose: None,
                lifetime: None,
                ..UPLOAD
            },
            list: ListAbility {
                max_page: 1_000,
                stated: &["size", "content_type", "created_at", "downloadable", "extra.type"],
                native: &[],
                sort: &["+created_at"],
                newest_first: false,
            },
            ..CAN
        })],
        open: |connection| OPENROUTER.open(connection),
        ..SPEC
    },
    parameters: &["limit"],
    has_cursors: true,
    ..VENDOR
};

/// Perplexity: batch files only, which are kept for 30 days.
pub(in crate::providers) static PERPLEXITY: Vendor = Vendor {
    spec: Spec {
        name: "perplexity",
        title: "Perplexity",
        token_variables: &["PERPLEXITY_API_KEY"],
        base_url_variables: &["PERPLEXITY_BASE_URL"],
        base_url: "https://api.perplexity.ai/v1",
        base_path: "/v1",
        docs_url: "https://docs.perplexity.ai/api-reference/files-create-post",
        dialects: &[only(&Capabilities {
            upload: UploadAbility { max_bytes: Some(200_000_000), ..BATCHES },
            download: Download::Any,
            list: ListAbility { max_page: 100, ..LIST },
            ..CAN
        })],
        open: |connection| PERPLEXITY.open(connection),
        ..SPEC
    },
    limits_batches: true,
    ..VENDOR
};

/// Moonshot AI (Kimi). Downloading a file with the purpose `file-extract` returns the extracted text.
pub(in crate::providers) static MOONSHOT: Vendor = Vendor {
    spec: Spec {
        name: "moonshot",
        title: "Moonshot AI (Kimi)",
        token_variables: &["MOONSHOT_API_KEY"],
        base_url: "https://api.moonshot.ai/v1",
        base_path: "/v1",
        docs_url: "https://platform.kimi.ai/docs/api/files",
        dialects: &[only(&Capabilities {
            upload: UploadAbility {
                max_bytes: Some(100_000_000),
                purposes: &["file-extract", "image", "video", "batch"],
                default_purpose: Some("file-extract"),
                lifetime: None,
                ..UPLOAD
            },
            list: UNPAGED,
            ..CAN
        })],
        status: StatusWords { ready: &["ok"], failed: &["deleted"] },
        open: |connection| MOONSHOT.open(connection),
        ..SPEC
    },
    parameters: &[],
    derived: &["file-extract"],
    quota: Some(Quota { bytes: Some(10_000_000_000), files: Some(1_000), per: "user" }),
    ..VENDOR
};

/// Zhipu (Z.ai). Listings require a purpose, and single files cannot be retrieved.
pub(in crate::providers) static ZHIPU: Vendor = Vendor {
    spec: Spec {
        name: "zhipu",
        title: "Zhipu (Z.ai)",
        token_variables: &["ZAI_API_KEY", "ZHIPUAI_API_KEY"],
        base_url_variables: &["ZAI_BASE_URL"],
        base_url: "https://open.bigmodel.cn/api/paas/v4",
        base_path: "/api/paas/v4",
        docs_url: "https://docs.bigmodel.cn/api-reference",
        dialects: &[only(&Capabilities {
            upload: UploadAbility {
                max_bytes: Some(100_000_000),
                purposes: &["batch", "file-extract", "code-interpreter", "agent"],
                default_purpose: Some("batch"),
                lifetime: None,
                ..UPLOAD
            },
            download: Download::Any,
            list: ListAbility { max_page: 100, stated: PERMANENT, sort: &[], newest_first: false, ..LIST },
            ..CAN
        })],
        open: |connection| ZHIPU.open(connection),
        ..SPEC
    },
    parameters: &["limit", "purpose"],
    listed_purposes: &["batch", "file-extract", "code-interpreter", "agent"],
    retrieve: false,
    ..VENDOR
};

/// Upstage: listings without pages.
pub(in crate::providers) static UPSTAGE: Vendor = Vendor {
    spec: Spec {
        name: "upstage",
        title: "Upstage",
        token_variables: &["UPSTAGE_API_KEY"],
        base_url: "https://api.upstage.ai/v2",
        base_path: "/v2",
        docs_url: "https://console.upstage.ai/api/docs/for-agents",
        dialects: &[only(&Capabilities {
            upload: UploadAbility {
                max_bytes: None,
                warn_bytes: Some(UNCERTAIN),
                purposes: &["user_data"],
                lifetime: None,
                ..UPLOAD
            },
            list: UNPAGED,
            ..CAN
        })],
        open: |connection| UPSTAGE.open(connection),
        ..SPEC
    },
    parameters: &[],
    ..VENDOR
};

/// DeepInfra: batch files only.
pub(in crate::providers) static DEEPINFRA: Vendor = Vendor {
    spec: Spec {
        name: "deepinfra",
        title: "DeepInfra",
        token_variables: &["DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"],
        base_url: "https://api.deepinfra.com/v1/openai",
        base_path: "/v1/openai",
        docs_url: "https://deepinfra.com/docs",
        dialects: &[only(&Capabilities {
            upload: UploadAbility { warn_bytes: Some(UNCERTAIN), ..BATCHES },
            download: Download::Any,
            list: ListAbility { stated: PERMANENT, ..LIST },
            ..CAN
        })],
        open: |connection| DEEPINFRA.open(connection),
        ..SPEC
    },
    ..VENDOR
};

/// Novita: batch files only, which are kept for 15 days. Each response has an envelope.
pub(in crate::providers) static NOVITA: Vendor = Vendor {
    spec: Spec {
        name: "novita",
        title: "Novita",
        token_variables: &["NOVITA_API_KEY"],
        base_url: "https://api.novita.ai/openai/v1",
        base_path: "/openai/v1",
        docs_url: "https://novita.ai/docs/guides/llm-batch-api",
        dialects: &[only(&Capabilities {
            upload: UploadAbility { warn_bytes: Some(UNCERTAIN), ..BATCHES },
            download: Download::Any,
            list: ListAbility { stated: LIST.stated, ..UNPAGED },
            ..CAN
        })],
        open: |connection| NOVITA.open(connection),
        ..SPEC
    },
    parameters: &[],
    codes: &[0, 200, 20_000],
    ..VENDOR
};

/// SiliconFlow: batch files only. Listings require a purpose and have a single page, and each response has an
/// envelope.
pub(in crate::providers) static SILICONFLOW: Vendor = Vendor {
    spec: Spec {
        name: "siliconflow",
        title: "SiliconFlow",
        token_variables: &["SILICONFLOW_API_KEY"],
        base_url: "https://api.siliconflow.cn/v1",
        base_path: "/v1",
        docs_url: "https://docs.siliconflow.cn/cn/api-reference/batch",
        dialects: &[only(&Capabilities {
            upload: UploadAbility { warn_bytes: Some(UNCERTAIN), ..BATCHES },
            download: Download::Any,
            list: UNPAGED,
            ..CAN
        })],
        open: |connection| SILICONFLOW.open(connection),
        ..SPEC
    },
    parameters: &["limit", "purpose"],
    listed_purposes: &["batch"],
    codes: &[20_000],
    ..VENDOR
};

/// Volcengine Ark (BytePlus). Uploads specify the time of expiry instead of a lifetime.
pub(in crate::providers) static ARK: Vendor = Vendor {
    spec: Spec {
        name: "ark",
        title: "Volcengine Ark (BytePlus)",
        token_variables: &["ARK_API_KEY"],
        base_url: "https://ark.cn-beijing.volces.com/api/v3",
        base_path: "/api/v3",
        docs_url: "https://www.volcengine.com/docs/82379/1885708",
        dialects: &[only(&Capabilities {
            upload: UploadAbility {
                purposes: &["user_data", "agent"],
                lifetime: Some((86_400, 2_592_000)),
                ..UPLOAD
            },
            list: ListAbility {
                stated: &[
                    "size",
                    "content_type",
                    "purpose",
                    "status",
                    "created_at",
                    "expires_at",
                    "extra.object",
                ],
                ..LIST
            },
            ..CAN
        })],
        status: StatusWords { ready: &["active"], failed: &["deleted"] },
        open: |connection| ARK.open(connection),
        ..SPEC
    },
    expiry: Expiry::At("expire_at"),
    quota: Some(Quota { bytes: Some(20_000_000_000), files: None, per: "account" }),
    ..VENDOR
};

/// The values that most vendors share. Each vendor overrides those that differ.
const VENDOR: Vendor = Vendor {
    spec: SPEC,
    auth_header: None,
    needs_endpoint: false,
    parameters: &["limit", "order", "purpose"],
    newest_first: None,
    listed_purposes: &[],
    has_cursors: false,
    expiry: Expiry::After,
    quota: None,
    codes: &[],
    refused: &[],
    derived: &[],
    limits_batches: false,
    attached: None,
    retrieve: true,
    parts_for: &[],
};

const SPEC: Spec = Spec {
    name: "",
    title: "",
    token_variables: &[],
    base_url_variables: &[],
    base_url: "",
    upload_base_url: None,
    // The vendor's variable contains the whole URL, and gateways use other paths.
    base_path: "",
    docs_url: "",
    token_page: "",
    settings: &[],
    dialects: &[],
    equality: Equality::Exact,
    // It is inferred that the service strips the path from a name.
    name_slash: NameSlash::Stripped,
    read_problem,
    status: StatusWords { ready: &[], failed: &["deleted"] },
    request_ids: &[],
    scheme: None,
    open: |connection| OPENAI.open(connection),
};

const UPLOAD: UploadAbility = UploadAbility {
    max_bytes: Some(536_870_912),
    warn_bytes: None,
    empty: true,
    name: NameLimit::Unlimited,
    forbidden: &[],
    forbids_control: false,
    purpose: true,
    purposes: &[],
    default_purpose: Some("user_data"),
    metadata: false,
    lifetime: Some((3600, 2_592_000)),
    files_per_request: 1,
    mark: false,
};

/// OpenAI's purposes for uploads.
const PURPOSES: &[&str] = &["user_data", "assistants", "batch", "evals", "fine-tune", "vision"];

/// Uploads that can be sent in parts.
const IN_PARTS: UploadAbility = UploadAbility {
    // Documented as "8 GB". Only files that exceed it in both interpretations are rejected before sending.
    max_bytes: Some(8 * 1024 * 1024 * 1024),
    warn_bytes: Some(8_000_000_000),
    purposes: PURPOSES,
    ..UPLOAD
};

/// Uploads to a vendor that supports only batch files and no lifetimes.
const BATCHES: UploadAbility = UploadAbility {
    max_bytes: None,
    purposes: &["batch"],
    default_purpose: Some("batch"),
    lifetime: None,
    ..UPLOAD
};

/// The size above which a vendor without a documented limit may reject a file.
const UNCERTAIN: u64 = 100_000_000;

/// The fields returned by a vendor without lifetimes.
const PERMANENT: &[&str] =
    &["size", "purpose", "status", "created_at", "extra.object", "extra.status_details"];
const WITHOUT_STATUS: &[&str] = &["size", "purpose", "created_at", "expires_at", "extra.object"];

const LIST: ListAbility = ListAbility {
    max_page: 10_000,
    stated: &[
        "size",
        "purpose",
        "status",
        "created_at",
        "expires_at",
        "extra.object",
        "extra.status_details",
    ],
    native: &[Native::exact("purpose", &[Is::Eq]).sent(Spelling::Once(purpose))],
    sort: &["created_at"],
    newest_first: true,
};

/// The listing of a vector store. The time of creation is that of the attachment.
const ATTACHED: ListAbility = ListAbility {
    max_page: store::PAGE,
    stated: &[
        "size",
        "purpose",
        "status",
        "created_at",
        "expires_at",
        "extra.object",
        "extra.vector_store_id",
        "extra.usage_bytes",
        "extra.last_error",
        "extra.attributes",
        "extra.chunking_strategy",
    ],
    native: &[Native::exact("status", &[Is::Eq]).sent(Spelling::Once(store::status))],
    ..LIST
};

/// A listing without filters, orders or pages.
const UNPAGED: ListAbility =
    ListAbility { max_page: u32::MAX, stated: PERMANENT, native: &[], sort: &[], newest_first: false };

const CAN: Capabilities = Capabilities {
    upload: UPLOAD,
    download: Download::SomeFiles,
    ranges: false,
    list: LIST,
    annotate: None,
    link: None,
    delete: true,
    replace: false,
    checksums: &[],
    scope: &[],
    duplicates: Duplicates::Possible,
    appears_within: USUAL_DELAY,
    rate: None,
    instead: &[(
        Op::Replace,
        "to upload a new file and delete the old one: `haul upload FILE --if-exists replace`",
    )],
};

const AZURE_CAN: Capabilities = Capabilities { upload: IN_PARTS, ..CAN };

const OPENAI_CAN: Capabilities = Capabilities { scope: &["organization", "project"], ..AZURE_CAN };

const ORGANIZATION: Setting = Setting {
    key: "organization",
    help: "organization to use, for keys with access to several",
    secret: false,
};
const PROJECT: Setting =
    Setting { key: "project", help: "project to use, for keys with access to several", secret: false };
const AUTH_HEADER: Setting = Setting {
    key: "auth_header",
    help: "header that contains only the token, instead of `Authorization: Bearer`",
    secret: false,
};
const HEADERS: Setting =
    Setting { key: "headers.NAME", help: "header to add to every request, for gateways", secret: true };
const QUERY: Setting = Setting {
    key: "query.NAME",
    help: "query parameter to add to every request, for gateways",
    secret: false,
};
/// The dialect of a vendor that has only one.
const fn only(can: &'static Capabilities) -> Dialect {
    Dialect { name: "v1", title: "only dialect", can }
}

/// The parameter for a purpose. The platform compares the value case-sensitively, as haul does.
fn purpose(comparison: &Comparison) -> Option<Parameter> {
    Some(("purpose", text_of(comparison)?))
}
