//! Wire formats for the handwritten servers of the tests.

/// A dialect of a handwritten server.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    pub provider: &'static str,
    pub name: &'static str,
    /// The settings that the provider needs.
    pub set: &'static [(&'static str, &'static str)],
    /// Whether the platform has links.
    pub links: bool,
    /// The format of the replies; `None` for a platform without a server.
    pub replies: Option<Replies>,
}

/// The format of a server's replies.
#[derive(Clone, Copy, Debug)]
pub struct Replies {
    /// The path of the base URL.
    pub base: &'static str,
    /// The path of the files below it.
    pub files: &'static str,
    /// The keys of id, name and size.
    pub keys: [&'static str; 3],
    /// Formats a page from its items and the cursor of the next page.
    pub page: fn(&str, Option<&str>) -> String,
    /// Whether the response to a deletion is 204 without a body.
    pub silent_delete: bool,
    /// The source of the cursor for the next page.
    pub cursor: Cursor,
    pub fetch: Fetch,
    /// The path segment of the bytes or of a presigned URL, below the file; may be empty.
    pub content: &'static str,
    /// The path segment of the links, below the file; may be empty.
    pub links: &'static str,
    /// The path for creating links, if it does not contain the file's id.
    pub links_apart: Option<&'static str>,
    /// A page of links that announces another one, if the links of a file are paged.
    pub links_page: Option<&'static str>,
    /// Formats the members for the processing status and the reason of a failure, if the platform processes files.
    pub processing: Option<fn(&str, &str) -> String>,
}

/// The source of the cursor for the next page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// The response contains it, except for the last page.
    Returned,
    /// Every response contains it, even the last one: a short or empty page is the last.
    AlwaysReturned,
    /// The last id, if the response announces another page.
    LastId,
    /// None: pages are numbered, and a short page is the last one.
    Numbered,
    /// None: there is a single page.
    Never,
}

/// A page in the format of OpenAI's API: the next one starts after the last id.
pub fn openai_page(items: &str, next: Option<&str>) -> String {
    format!(r#"{{"object":"list","data":[{items}],"has_more":{}}}"#, next.is_some())
}

/// How a client downloads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// From a URL below that of the file.
    Direct,
    /// From a presigned URL.
    Presigned,
    /// Through a link that is created for the download and then revoked.
    Link,
}
